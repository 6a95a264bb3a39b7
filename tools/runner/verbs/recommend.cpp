// recommend: the likeliest values that a row lacks: what a user has not rated yet, words a text does not have.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/base/error.hpp"
#include "tools/metrics/ranking.hpp"
#include "tools/runner/codes.hpp"
#include "tools/runner/results.hpp"
#include "tools/runner/value_names.hpp"

namespace elbo::tools {

using core::Error;
using core::Exit;
using core::Split;
using Json = nlohmann::ordered_json;

namespace {

/// A row's values that are there, and what the model makes of it.
struct Seen {
    std::vector<char> there;
    std::vector<std::int64_t> numbers;
    std::vector<float> scores;
};

Seen seen_in(const OpenRun& open, Split split, std::int64_t row) {
    const std::vector<float> x = values_of(open, split, std::vector<std::int64_t>{row});
    Seen s{std::vector<char>(x.size()), {}, {}};
    for (std::size_t i = 0; i < x.size(); ++i) {
        if (x[i] == 0) continue;
        s.there[i] = 1;
        s.numbers.push_back(std::int64_t(i));
    }
    outputs_of(open, "reconstruct", split, row, 1, [&](auto batch) { s.scores.assign(batch.begin(), batch.end()); });
    if (!std::all_of(s.scores.begin(), s.scores.end(), [](float v) { return std::isfinite(v); }))
        throw Error(Exit::diverged,
                    fmt::format("what the model makes of {} row {} is not finite", name_of(split), row));
    return s;
}

std::vector<std::int64_t> held_out(const OpenRun& open, Split split, std::int64_t row) {
    const core::Field *held = open.rows().find("held"), *lengths = open.rows().find("held_lengths");
    if (!held || !lengths) return {};
    std::vector<float> numbers(std::size_t(held->dims.numel()));
    float n = 0;
    open.rows().read(*held, split, {&row, 1}, numbers.data());
    open.rows().read(*lengths, split, {&row, 1}, &n);
    return {numbers.begin(), numbers.begin() + std::ptrdiff_t(n)};
}

bool has(const std::vector<std::int64_t>& all, std::int64_t one) {
    return std::find(all.begin(), all.end(), one) != all.end();
}

/// What is told of a row.
struct Recommended {
    Split split;
    std::int64_t row;
    Seen seen;
    std::vector<std::int64_t> best, held;
    std::vector<std::string> names;
};

Recommended recommended(const Arguments& arguments, const OpenRun& open) {
    const Split split = split_of(arguments, open.rows());
    const auto row = row_of(arguments, "row", open, split);
    if (!row)
        throw Error(Exit::usage, "recommend: for which row? --row N is missing")
            .note(fmt::format("the {} rows are 0..{}", name_of(split), open.rows().count(split) - 1));
    Recommended r{split, *row, seen_in(open, split, *row), {}, held_out(open, split, *row), value_names(open)};
    const auto lacks = std::int64_t(r.seen.there.size() - r.seen.numbers.size());
    const std::int64_t count = arguments.number("count", 1).value_or(std::min<std::int64_t>(10, lacks));
    if (count > lacks) throw Error(Exit::usage, fmt::format("--count: the row lacks {} values", lacks));
    r.best = best_of(r.seen.scores, r.seen.there, count);
    return r;
}

std::string text_of(const Recommended& r) {
    constexpr std::size_t kShown = 10;
    std::string out = fmt::format("{} row {} has {} values", name_of(r.split), r.row, r.seen.numbers.size());
    for (std::size_t i = 0; i < std::min(kShown, r.seen.numbers.size()); ++i)
        out += fmt::format("\n            {}", name_of_value(r.names, r.seen.numbers[i]));
    if (r.seen.numbers.size() > kShown) out += fmt::format("\n            and {} more", r.seen.numbers.size() - kShown);
    out += fmt::format("\n{:>10}  it lacks{}\n", "score", r.held.empty() ? "" : "; * was held out of it");
    for (std::int64_t i : r.best)
        out += fmt::format("{:>10.4g}  {}{}\n", r.seen.scores[std::size_t(i)], name_of_value(r.names, i),
                           has(r.held, i) ? " *" : "");
    return out;
}

Json json_of(const Arguments& arguments, const Recommended& r) {
    const auto value = [&](std::int64_t i) {
        Json one{{"value", i}};
        if (!r.names.empty()) one["name"] = name_of_value(r.names, i);
        return one;
    };
    Json seen = Json::array(), best = Json::array();
    for (std::int64_t i : r.seen.numbers) seen.push_back(value(i));
    for (std::int64_t i : r.best) {
        best.push_back(value(i));
        best.back()["score"] = r.seen.scores[std::size_t(i)];
        if (!r.held.empty()) best.back()["held_out"] = has(r.held, i);
    }
    return {
        {"run", arguments.operand}, {"split", name_of(r.split)}, {"row", r.row}, {"has", seen}, {"recommended", best}};
}

int recommend(const Arguments& arguments, core::Registry& registry) {
    const OpenRun open = open_run(arguments, registry);
    const Recommended r = recommended(arguments, open);
    print_result(
        arguments, [&] { return json_of(arguments, r).dump(-1, ' ', false, Json::error_handler_t::replace); },
        [&] { return text_of(r); });
    return 0;
}

const VerbEntry entry({.order = 79,
                       .name = "recommend",
                       .operand = "RUN",
                       .summary = "the likeliest values that a row lacks, by name where the data has names",
                       .flags = {{"row", "N", "which row"},
                                 {"split", "train|test", "which rows N counts (default: test)"},
                                 {"count", "K", "how many (default: 10)"},
                                 kThreads,
                                 kJson},
                       .run = recommend});

} // namespace
} // namespace elbo::tools
