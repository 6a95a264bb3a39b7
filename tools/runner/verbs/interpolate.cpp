// interpolate: what lies between two codes, decoded.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/base/error.hpp"
#include "core/base/notice.hpp"
#include "core/files/arrays.hpp"
#include "tools/runner/codes.hpp"
#include "tools/runner/drawing.hpp"
#include "tools/runner/results.hpp"
#include "tools/runner/token_text.hpp"

namespace elbo::tools {

using core::Error;
using core::Exit;
using core::Split;
using Json = nlohmann::ordered_json;

namespace {

struct Path {
    std::int64_t from, to; ///< rows; of draws: their numbers
};

/// What was asked for.
struct Plan {
    Split split;
    bool draws, spherical;
    std::int64_t steps;
    std::uint64_t seed;
    std::vector<Path> paths;
};

// The share of each end at t. Along an arc (Shoemake 1985) where the two directions span one; along a line otherwise.
std::pair<double, double> shares(std::span<const float> a, std::span<const float> b, double t, bool spherical) {
    double ab = 0, aa = 0, bb = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        ab += double(a[i]) * double(b[i]);
        aa += double(a[i]) * double(a[i]);
        bb += double(b[i]) * double(b[i]);
    }
    const double angle = aa > 0 && bb > 0 ? std::acos(std::clamp(ab / std::sqrt(aa * bb), -1.0, 1.0)) : 0;
    if (!spherical || std::sin(angle) < 1e-6) return {1 - t, t};
    return {std::sin((1 - t) * angle) / std::sin(angle), std::sin(t * angle) / std::sin(angle)};
}

std::vector<Path> paths_of(const Arguments& arguments, const OpenRun& open, Split split, bool draws) {
    for (const char* end : {"from", "to"})
        for (const char* other : {"pairs", "draws"})
            if (arguments.has(end) && arguments.has(other))
                throw Error(Exit::usage, fmt::format("--{} and --{} exclude each other", end, other));
    const std::int64_t all = open.rows().count(split);
    const auto pairs = arguments.number("pairs", 1);
    if (!pairs && !draws) {
        const auto from = row_of(arguments, "from", open, split), to = row_of(arguments, "to", open, split);
        if (from && !to) throw Error(Exit::usage, "--from: say to which row too: --to N");
        if (to && !from) throw Error(Exit::usage, "--to: say from which row too: --from N");
        if (all < 2 && !from) throw Error(Exit::data, fmt::format("there is only one {} row", name_of(split)));
        return {{from.value_or(0), to.value_or(1)}};
    }
    if (!draws && *pairs > all / 2)
        throw Error(Exit::usage, fmt::format("--pairs: the {} {} rows make {} pairs", all, name_of(split), all / 2));
    std::vector<Path> out;
    for (std::int64_t i = 0; i < pairs.value_or(8); ++i) out.push_back({2 * i, 2 * i + 1});
    return out;
}

bool is_spherical(const Arguments& arguments, const OpenRun& open) {
    const bool sphere = space_of(open) == "sphere";
    const std::string how = arguments.value("how").value_or(sphere ? "spherical" : "linear");
    if (how != "linear" && how != "spherical")
        throw Error(Exit::usage, fmt::format("--how: '{}'; there are linear, spherical{}", how,
                                             core::did_you_mean(how, {"linear", "spherical"})));
    if (sphere && how == "linear")
        core::tell("note: the codes of this model lie on a sphere, and a line leaves it; --how spherical stays on it");
    return how == "spherical";
}

Plan plan_of(const Arguments& arguments, const OpenRun& open) {
    Plan p{split_of(arguments, open.rows()), arguments.has("draws"), is_spherical(arguments, open), 0, 0, {}};
    p.steps = arguments.number("steps", 2).value_or(11);
    if (arguments.has("seed") && !p.draws) throw Error(Exit::usage, "--seed chooses draws: it needs --draws");
    p.seed = std::uint64_t(arguments.number("seed", 0).value_or(1));
    p.paths = paths_of(arguments, open, p.split, p.draws);
    return p;
}

std::vector<float> ends_of(const OpenRun& open, const Plan& plan) {
    if (plan.draws) return drawn_codes(open, 2 * std::int64_t(plan.paths.size()), plan.seed);
    std::vector<std::int64_t> rows;
    for (const Path& p : plan.paths) rows.insert(rows.end(), {p.from, p.to});
    return codes_of(open, plan.split, rows);
}

// Of each step, the row whose class a decoder sees that takes classes: the nearer end's, of draws that of a row per
// pair.
std::vector<std::int64_t> likes_of(const OpenRun& open, const Plan& plan) {
    std::vector<std::int64_t> out;
    for (std::size_t i = 0; i < plan.paths.size(); ++i)
        for (std::int64_t k = 0; k < plan.steps; ++k) {
            const Path& p = plan.paths[i];
            if (plan.draws) out.push_back(std::int64_t(i) % open.rows().count(plan.split));
            else out.push_back(2 * k < plan.steps ? p.from : p.to);
        }
    if (reads_labels(open))
        core::tell(plan.draws ? "note: the decoder takes classes; pair i has that of row i"
                              : "note: the decoder takes classes; each half of the way has that of its end");
    return out;
}

double t_of(const Plan& plan, std::int64_t step) { return double(step) / double(plan.steps - 1); }

/// [pairs, steps, values]
std::vector<float> between(const OpenRun& open, const Plan& plan) {
    const auto latent = std::size_t(open.session().settings().latent);
    const std::vector<float> ends = ends_of(open, plan);
    std::vector<float> codes;
    for (std::size_t i = 0; i < plan.paths.size(); ++i) {
        const auto a = std::span(ends).subspan(2 * i * latent, latent),
                   b = std::span(ends).subspan((2 * i + 1) * latent, latent);
        for (std::int64_t k = 0; k < plan.steps; ++k) {
            const auto [of_a, of_b] = shares(a, b, t_of(plan, k), plan.spherical);
            for (std::size_t j = 0; j < latent; ++j) codes.push_back(float(of_a * double(a[j]) + of_b * double(b[j])));
        }
    }
    return decoded(open, codes, plan.split, likes_of(open, plan));
}

// A line per pair; rows stand as they are at both ends, the way between them apart.
void draw(const std::filesystem::path& out, const OpenRun& open, const Plan& plan, std::span<const float> way) {
    const core::Rows& rows = open.rows();
    const auto column = [&](std::int64_t Path::*end) {
        std::vector<std::int64_t> which;
        for (const Path& p : plan.paths) which.push_back(p.*end);
        return sheet_of(rows, values_of(open, plan.split, which), std::int64_t(which.size()), 1);
    };
    core::Picture middle = sheet_of(rows, way, std::int64_t(plan.paths.size()) * plan.steps, plan.steps);
    if (plan.draws) core::write_png(out, middle);
    else core::write_png(out, beside({column(&Path::from), std::move(middle), column(&Path::to)}));
}

void write_table(const std::filesystem::path& out, const OpenRun& open, const Plan& plan, std::span<const float> way) {
    const std::int64_t values = open.rows().values();
    std::vector<std::string> columns{"pair", "t"};
    for (std::int64_t j = 0; j < values; ++j) columns.push_back(fmt::format("x{}", j));
    std::vector<double> table;
    for (std::size_t at = 0; at < way.size(); ++at) {
        const std::int64_t line = std::int64_t(at) / values;
        if (std::int64_t(at) % values == 0)
            table.insert(table.end(), {double(line / plan.steps), t_of(plan, line % plan.steps)});
        table.push_back(double(way[at]));
    }
    core::write_csv(out, columns, table);
}

void write(const std::filesystem::path& out, const OpenRun& open, const Plan& plan, std::span<const float> way) {
    if (out.extension() == ".png") return draw(out, open, plan, way);
    if (out.extension() == ".csv") return write_table(out, open, plan, way);
    core::write_npy(out, way, {std::int64_t(plan.paths.size()), plan.steps, open.rows().values()});
}

std::string text_of(const std::filesystem::path& out, const Plan& plan) {
    constexpr std::size_t kShown = 10;
    std::string pairs;
    for (std::size_t i = 0; i < std::min(kShown, plan.paths.size()); ++i)
        pairs += fmt::format("{}{} to {}", i ? ", " : "", plan.paths[i].from, plan.paths[i].to);
    if (plan.paths.size() > kShown) pairs += fmt::format(" and {} more", plan.paths.size() - kShown);
    return fmt::format("{}\n{}  {}\nhow   {}, {} steps\n", out.string(),
                       plan.draws ? "draws" : fmt::format("{} rows", name_of(plan.split)), pairs,
                       plan.spherical ? "spherical: along the arc from one direction to the other" : "linear",
                       plan.steps);
}

std::string json_of(const std::filesystem::path& out, const Arguments& arguments, const Plan& plan) {
    Json pairs = Json::array();
    for (const Path& p : plan.paths) pairs.push_back({{"from", p.from}, {"to", p.to}});
    return Json{{"run", arguments.operand},
                {"file", out.string()},
                {"of", plan.draws ? "draws" : name_of(plan.split)},
                {"how", plan.spherical ? "spherical" : "linear"},
                {"steps", plan.steps},
                {"pairs", pairs}}
        .dump();
}

// How far each text is on its way, a tab, and the text; an empty line between two ways.
int print_text(TokenText& text, const Arguments& arguments, const OpenRun& open, const Plan& plan) {
    if (arguments.has("json")) throw Error(Exit::usage, "--json: of tokens the result is text; leave it out");
    const std::vector<float> way = between(open, plan);
    for (std::int64_t i = 0; i < std::int64_t(plan.paths.size()) * plan.steps; ++i) {
        if (i > 0 && i % plan.steps == 0) text.add("");
        text.add(fmt::format("{:.2f}\t{}", t_of(plan, i % plan.steps), text.line(way, i)));
    }
    text.finish();
    return 0;
}

int interpolate(const Arguments& arguments, core::Registry& registry) {
    const OpenRun open = open_run(arguments, registry);
    must_decode(open, "interpolate");
    const Plan plan = plan_of(arguments, open);
    if (auto text = TokenText::wanted(arguments, open)) return print_text(*text, arguments, open, plan);
    const auto fallback = is_image(open.rows().dims()) ? "pictures/interpolations.png" : "interpolations.csv";
    const auto out = out_file(arguments, open, fallback, {".png", ".npy", ".csv"});
    is_picture(out, open.rows().dims(), std::int64_t(plan.paths.size()) * plan.steps, "--pairs times --steps");
    write(out, open, plan, between(open, plan));
    print_result(
        arguments, [&] { return json_of(out, arguments, plan); }, [&] { return text_of(out, plan); });
    return 0;
}

const VerbEntry entry(
    {.order = 72,
     .name = "interpolate",
     .operand = "RUN",
     .summary = "what lies between the codes of two rows, or of two draws, decoded",
     .flags = {{"from", "ROW", "where a way begins (default: 0)"},
               {"to", "ROW", "where it ends (default: 1)"},
               {"pairs", "N", "so many ways instead: rows 0 to 1, 2 to 3, ..."},
               {"draws", "", "between draws from the prior instead of rows"},
               {"seed", "N", "which draws (default: 1)"},
               {"steps", "N", "of each way, both ends among them (default: 11)"},
               {"how", "linear|spherical",
                "along a line or an arc (default: linear; spherical where codes lie on a sphere)"},
               kSplit,
               out_flag("PNG, npy or csv (default: RUN/pictures/interpolations.png, of tables "
                        "RUN/interpolations.csv); of tokens txt, npy or csv (default: lines of text, printed)"),
               kThreads,
               kJson},
     .run = interpolate});

} // namespace
} // namespace elbo::tools
