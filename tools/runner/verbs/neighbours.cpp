// neighbours: the rows whose codes lie nearest to that of a row.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/base/error.hpp"
#include "tools/runner/codes.hpp"
#include "tools/runner/drawing.hpp"
#include "tools/runner/results.hpp"

namespace elbo::tools {

using core::Error;
using core::Exit;
using core::Split;
using Json = nlohmann::ordered_json;

namespace {

struct Neighbour {
    std::int64_t row;
    double distance;
};

/// What was asked for.
struct Search {
    Split of, in; ///< the row's split, and the one that is searched
    std::int64_t row, count;
    bool by_angle;
};

double euclidean(std::span<const float> a, std::span<const float> b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += std::pow(double(a[i]) - double(b[i]), 2);
    return std::sqrt(sum);
}

// 1 - cos of the angle between them; the code 0 has no direction and is as far from all as a right angle.
double cosine(std::span<const float> a, std::span<const float> b) {
    double ab = 0, aa = 0, bb = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        ab += double(a[i]) * double(b[i]);
        aa += double(a[i]) * double(a[i]);
        bb += double(b[i]) * double(b[i]);
    }
    return aa > 0 && bb > 0 ? std::max(0.0, 1 - ab / std::sqrt(aa * bb)) : 1;
}

Split searched(const Arguments& arguments, const core::Rows& rows) {
    const std::string name = arguments.value("in").value_or("train");
    if (name != "train" && name != "test")
        throw Error(Exit::usage, fmt::format("--in: '{}'; there are train, test", name));
    const Split split = name == "train" ? Split::train : Split::test;
    if (rows.count(split) == 0) throw Error(Exit::data, fmt::format("the data has no {} rows", name));
    return split;
}

Search search_of(const Arguments& arguments, const OpenRun& open) {
    Search s{split_of(arguments, open.rows()), searched(arguments, open.rows()), 0, 0, false};
    const auto row = row_of(arguments, "row", open, s.of);
    if (!row)
        throw Error(Exit::usage, "neighbours: of which row? --row N is missing")
            .note(fmt::format("the {} rows are 0..{}", name_of(s.of), open.rows().count(s.of) - 1));
    s.row = *row;
    const std::int64_t others = open.rows().count(s.in) - (s.of == s.in);
    s.count = arguments.number("count", 1).value_or(std::min<std::int64_t>(10, others));
    if (s.count > others || s.count < 1)
        throw Error(Exit::usage, fmt::format("--count: there are only {} other {} rows", others, name_of(s.in)));
    const std::string by = arguments.value("by").value_or("euclidean");
    if (by != "euclidean" && by != "cosine")
        throw Error(Exit::usage, fmt::format("--by: '{}'; there are euclidean, cosine{}", by,
                                             core::did_you_mean(by, {"euclidean", "cosine"})));
    s.by_angle = by == "cosine";
    return s;
}

std::vector<Neighbour> nearest(const OpenRun& open, const Search& s) {
    const std::size_t latent = std::size_t(open.session().settings().latent);
    const std::vector<float> codes = codes_of(open, s.in, 0, open.rows().count(s.in));
    const auto code_at = [&](std::int64_t i) { return std::span(codes).subspan(std::size_t(i) * latent, latent); };
    std::vector<float> query = codes_of(open, s.of, s.row, 1);
    if (s.of == s.in) std::copy_n(code_at(s.row).begin(), latent, query.begin()); // of the same batch as the others
    if (!std::all_of(query.begin(), query.end(), [](float v) { return std::isfinite(v); }))
        throw Error(Exit::diverged, fmt::format("the code of {} row {} is not finite", name_of(s.of), s.row));
    std::vector<Neighbour> all;
    for (std::int64_t i = 0; i < open.rows().count(s.in); ++i) {
        if (s.of == s.in && i == s.row) continue;
        const double d = s.by_angle ? cosine(query, code_at(i)) : euclidean(query, code_at(i));
        if (std::isfinite(d)) all.push_back({i, d});
    }
    const auto nearer = [](const Neighbour& a, const Neighbour& b) {
        return a.distance != b.distance ? a.distance < b.distance : a.row < b.row;
    };
    const std::size_t kept = std::min(std::size_t(s.count), all.size());
    if (all.empty()) throw Error(Exit::diverged, fmt::format("no code of the {} rows is finite", name_of(s.in)));
    std::partial_sort(all.begin(), all.begin() + std::ptrdiff_t(kept), all.end(), nearer);
    all.resize(kept);
    return all;
}

/// Labels of rows, as numbers and for people.
class Labels {
public:
    explicit Labels(const core::Rows& rows) : rows_(rows), field_(rows.find("labels")) {}
    bool any() const { return field_; }
    std::vector<float> of(Split split, std::int64_t row) const {
        std::vector<float> out(std::size_t(field_->dims.numel()));
        rows_.read(*field_, split, {&row, 1}, out.data());
        return out;
    }
    std::string text(Split split, std::int64_t row) const {
        const std::vector<float> all = of(split, row);
        const std::int64_t classes = field_->classes();
        if (classes > 0 && std::int64_t(field_->names.size()) == classes) return field_->names.at(std::size_t(all[0]));
        return fmt::format("{:g}", fmt::join(all, " "));
    }
    Json json(Split split, std::int64_t row) const {
        const std::vector<float> all = of(split, row);
        if (field_->classes() > 0) return std::int64_t(all[0]);
        return all.size() == 1 ? Json(all[0]) : Json(all);
    }

private:
    const core::Rows& rows_;
    const core::Field* field_;
};

void draw(const std::filesystem::path& out, const OpenRun& open, const Search& s, const std::vector<Neighbour>& found) {
    constexpr std::int64_t kAcross = 10;
    const core::Rows& rows = open.rows();
    std::vector<std::int64_t> which;
    for (const Neighbour& n : found) which.push_back(n.row);
    const auto sheet = [&](Split split, const std::vector<std::int64_t>& of) {
        return sheet_of(rows, values_of(open, split, of), std::int64_t(of.size()), kAcross);
    };
    // The query stands by itself, as high as its neighbours are together.
    const core::Picture others = sheet(s.in, which);
    core::Picture query = sheet(s.of, {s.row});
    query.pixels.resize(std::size_t(query.width) * std::size_t(others.height * query.channels), query.pixels[0]);
    query.height = others.height;
    core::write_png(out, beside({query, others}));
}

std::optional<std::filesystem::path> picture_file(const Arguments& arguments, const OpenRun& open) {
    if (is_image(open.rows().dims())) return out_file(arguments, open, "pictures/neighbours.png", {".png"});
    if (!arguments.has("out")) return {};
    throw Error(Exit::usage,
                fmt::format("--out: rows of {} are no images, there is nothing to draw", open.rows().dims().text()))
        .note("the rows stand on standard output; with --json for a program");
}

std::string text_of(const OpenRun& open, const Search& s, const std::vector<Neighbour>& found) {
    const Labels labels(open.rows());
    const std::string other = fmt::format("{} row", name_of(s.in));
    std::string out =
        fmt::format("{} row {}{}\n", name_of(s.of), s.row, labels.any() ? ", label " + labels.text(s.of, s.row) : "");
    out += fmt::format("{:>9}  {:>10}{}\n", other, "distance", labels.any() ? "  label" : "");
    for (const Neighbour& n : found)
        out +=
            fmt::format("{:>9}  {:>10.4g}{}\n", n.row, n.distance, labels.any() ? "  " + labels.text(s.in, n.row) : "");
    return out;
}

Json json_of(const Arguments& arguments, const OpenRun& open, const Search& s, const std::vector<Neighbour>& found) {
    const Labels labels(open.rows());
    Json all = Json::array();
    for (const Neighbour& n : found) {
        all.push_back({{"row", n.row}, {"distance", n.distance}});
        if (labels.any()) all.back()["label"] = labels.json(s.in, n.row);
    }
    Json out{{"run", arguments.operand},
             {"row", s.row},
             {"split", name_of(s.of)},
             {"in", name_of(s.in)},
             {"by", s.by_angle ? "cosine" : "euclidean"}};
    if (labels.any()) out["label"] = labels.json(s.of, s.row);
    out["neighbours"] = all;
    return out;
}

int neighbours(const Arguments& arguments, core::Registry& registry) {
    const OpenRun open = open_run(arguments, registry);
    const Search search = search_of(arguments, open);
    const auto picture = picture_file(arguments, open);
    if (picture) is_picture(*picture, open.rows().dims(), search.count, "--count");
    const std::vector<Neighbour> found = nearest(open, search);
    if (picture) draw(*picture, open, search, found);
    print_result(
        arguments,
        [&] {
            Json json = json_of(arguments, open, search, found);
            if (picture) json["picture"] = picture->string();
            return json.dump();
        },
        [&] { return text_of(open, search, found) + (picture ? fmt::format("picture {}\n", picture->string()) : ""); });
    return 0;
}

const VerbEntry entry({.order = 78,
                       .name = "neighbours",
                       .operand = "RUN",
                       .summary = "the rows nearest to a row, by their codes",
                       .flags = {{"row", "N", "of which row"},
                                 {"split", "train|test", "which rows N counts (default: test)"},
                                 {"in", "train|test", "which rows are searched (default: train)"},
                                 {"count", "K", "how many (default: 10)"},
                                 {"by", "euclidean|cosine", "distance, or 1 - cos of the angle (default: euclidean)"},
                                 out_flag("PNG, of images (default: RUN/pictures/neighbours.png)"),
                                 kThreads,
                                 kJson},
                       .run = neighbours});

} // namespace
} // namespace elbo::tools
