// traverse: what each latent does, one at a time, the most informative first.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/base/error.hpp"
#include "core/base/notice.hpp"
#include "core/files/arrays.hpp"
#include "core/run/evaluation.hpp"
#include "tools/runner/codes.hpp"
#include "tools/runner/drawing.hpp"
#include "tools/runner/results.hpp"

namespace elbo::tools {

using core::Error;
using core::Exit;
using core::Split;
using Json = nlohmann::ordered_json;

namespace {

constexpr double kReach = 3; // deviations to either side

/// The codes of the training rows, latent by latent.
struct Spread {
    std::vector<double> mean, deviation;
};

Spread spread_of(const OpenRun& open) {
    const auto latent = std::size_t(open.session().settings().latent);
    Spread s{std::vector<double>(latent), std::vector<double>(latent)};
    double seen = 0;
    outputs_of(open, "encode", Split::train, 0, open.rows().count(Split::train), [&](std::span<const float> codes) {
        for (std::size_t i = 0; i < codes.size(); ++i) {
            const std::size_t k = i % latent;
            if (k == 0) seen += 1;
            const double v = double(codes[i]), change = v - s.mean[k];
            s.mean[k] += change / seen;
            s.deviation[k] += change * (v - s.mean[k]);
        }
    });
    for (double& d : s.deviation) d = std::sqrt(d / seen);
    return s;
}

/// How much each latent says, and in what.
struct Information {
    std::vector<double> of;
    std::string unit; ///< "nats", or "variance" where the model has no KL per latent
};

Information information_of(const OpenRun& open, Split split) {
    const core::Evaluation e = core::evaluate(open.session(), open.rows(), split, open.config.batch);
    const core::EvaluatedTerm* kl = e.term("kl");
    if (kl && kl->latents.size() == e.code_variance.size()) return {kl->latents, "nats"};
    return {e.code_variance, "variance"};
}

/// What was asked for, and found.
struct Plan {
    Split split;
    std::optional<std::int64_t> row; ///< none: around the mean code
    std::int64_t steps;
    Spread spread;
    Information information;
    std::vector<std::size_t> latents; ///< those that are shown, in order
};

double move_of(const Plan& plan, std::int64_t step) {
    return -kReach + 2 * kReach * double(step) / double(plan.steps - 1);
}

Plan plan_of(const Arguments& arguments, const OpenRun& open) {
    Plan p{split_of(arguments, open.rows()), {}, 0, {}, {}, {}};
    p.row = row_of(arguments, "row", open, p.split);
    p.steps = arguments.number("steps", 2).value_or(11);
    const std::int64_t latent = open.session().settings().latent,
                       shown = arguments.number("latents", 1).value_or(std::min<std::int64_t>(10, latent));
    if (shown > latent) throw Error(Exit::usage, fmt::format("--latents: the model has {}", latent));
    p.latents.resize(std::size_t(shown));
    return p;
}

void look(const OpenRun& open, Plan& p) {
    if (space_of(open) != "real")
        core::tell(
            fmt::format("note: the codes of this model lie in the space '{}'; a latent that moves alone leaves it",
                        space_of(open)));
    if (reads_labels(open))
        core::tell(fmt::format("note: the decoder takes classes; all pictures have that of {} row {}", name_of(p.split),
                               p.row.value_or(0)));
    p.spread = spread_of(open);
    p.information = information_of(open, p.split);
    std::vector<std::size_t> order(p.information.of.size());
    std::iota(order.begin(), order.end(), std::size_t(0));
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return p.information.of[a] > p.information.of[b]; });
    std::copy_n(order.begin(), p.latents.size(), p.latents.begin());
}

/// [latents, steps, values]
std::vector<float> traversed(const OpenRun& open, const Plan& plan) {
    std::vector<float> base(plan.spread.mean.begin(), plan.spread.mean.end());
    if (plan.row) base = codes_of(open, plan.split, *plan.row, 1);
    std::vector<float> codes;
    for (std::size_t latent : plan.latents)
        for (std::int64_t k = 0; k < plan.steps; ++k) {
            codes.insert(codes.end(), base.begin(), base.end());
            codes[codes.size() - base.size() + latent] += float(move_of(plan, k) * plan.spread.deviation[latent]);
        }
    return decoded(open, codes, plan.split,
                   std::vector<std::int64_t>(plan.latents.size() * std::size_t(plan.steps), plan.row.value_or(0)));
}

void write_table(const std::filesystem::path& out, const OpenRun& open, const Plan& plan, std::span<const float> all) {
    const std::int64_t values = open.rows().values();
    std::vector<std::string> columns{"latent", "deviations"};
    for (std::int64_t j = 0; j < values; ++j) columns.push_back(fmt::format("x{}", j));
    std::vector<double> table;
    for (std::size_t at = 0; at < all.size(); ++at) {
        const std::int64_t line = std::int64_t(at) / values;
        if (std::int64_t(at) % values == 0)
            table.insert(table.end(),
                         {double(plan.latents[std::size_t(line / plan.steps)]), move_of(plan, line % plan.steps)});
        table.push_back(double(all[at]));
    }
    core::write_csv(out, columns, table);
}

void write(const std::filesystem::path& out, const OpenRun& open, const Plan& plan, std::span<const float> all) {
    const core::Rows& rows = open.rows();
    const std::int64_t lines = std::int64_t(plan.latents.size());
    if (out.extension() == ".csv") write_table(out, open, plan, all);
    else if (out.extension() == ".npy") core::write_npy(out, all, {lines, plan.steps, rows.values()});
    else core::write_png(out, sheet_of(rows, all, lines * plan.steps, plan.steps));
}

std::string text_of(const std::filesystem::path& out, const Plan& plan) {
    const std::string& unit = plan.information.unit;
    std::string text =
        fmt::format("{}\naround {}, from -{:g} to {:g} deviations in {} steps; one line per latent\n", out.string(),
                    plan.row ? fmt::format("{} row {}", name_of(plan.split), *plan.row) : std::string("the mean code"),
                    kReach, kReach, plan.steps);
    text += fmt::format("{:>5} {:>7} {:>9} {:>10}\n", "line", "latent", unit, "deviation");
    for (std::size_t i = 0; i < plan.latents.size(); ++i)
        text += fmt::format("{:>5} {:>7} {:>9.4f} {:>10.4f}\n", i, plan.latents[i],
                            plan.information.of[plan.latents[i]], plan.spread.deviation[plan.latents[i]]);
    return text;
}

std::string json_of(const std::filesystem::path& out, const Arguments& arguments, const Plan& plan) {
    Json latents = Json::array();
    for (std::size_t latent : plan.latents)
        latents.push_back({{"latent", latent},
                           {plan.information.unit, plan.information.of[latent]},
                           {"mean", plan.spread.mean[latent]},
                           {"deviation", plan.spread.deviation[latent]}});
    return Json{{"run", arguments.operand},
                {"file", out.string()},
                {"split", name_of(plan.split)},
                {"row", plan.row ? Json(*plan.row) : Json(nullptr)},
                {"deviations", {-kReach, kReach}},
                {"steps", plan.steps},
                {"latents", latents}}
        .dump();
}

int traverse(const Arguments& arguments, core::Registry& registry) {
    const OpenRun open = open_run(arguments, registry);
    must_decode(open, "traverse");
    Plan plan = plan_of(arguments, open);
    const auto fallback = is_image(open.rows().dims()) ? "pictures/traversals.png" : "traversals.csv";
    const auto out = out_file(arguments, open, fallback, {".png", ".npy", ".csv"});
    is_picture(out, open.rows().dims(), std::int64_t(plan.latents.size()) * plan.steps, "--latents times --steps");
    look(open, plan);
    write(out, open, plan, traversed(open, plan));
    print_result(
        arguments, [&] { return json_of(out, arguments, plan); }, [&] { return text_of(out, plan); });
    return 0;
}

const VerbEntry entry({.order = 74,
                       .name = "traverse",
                       .operand = "RUN",
                       .summary = "what each latent does, one at a time, ordered by information",
                       .flags = {{"row", "N", "around the code of this row (default: around the mean code)"},
                                 {"latents", "N", "how many, the most informative first (default: 10)"},
                                 {"steps", "N", "from -3 to 3 deviations of the training codes (default: 11)"},
                                 {"split", "train|test", "which rows N counts, and are evaluated (default: test)"},
                                 out_flag("PNG, npy or csv (default: RUN/pictures/traversals.png, of tables "
                                          "RUN/traversals.csv)"),
                                 kThreads,
                                 kJson},
                       .run = traverse});

} // namespace
} // namespace elbo::tools
