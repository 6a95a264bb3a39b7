#include "tools/metrics/ranking.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.hpp"
#include "tools/metrics/checks.hpp"

namespace elbo::tools {

using core::Error;
using core::Exit;

namespace {

std::vector<char> marked(std::int64_t n, std::span<const float> numbers, float length) {
    std::vector<char> out(static_cast<std::size_t>(n));
    for (float i : numbers.first(std::size_t(length))) out.at(std::size_t(i)) = 1;
    return out;
}

} // namespace

std::vector<std::int64_t> best_of(std::span<const float> scores, const std::vector<char>& left_out, std::int64_t k) {
    std::vector<std::int64_t> order;
    for (std::size_t i = 0; i < scores.size(); ++i)
        if (!left_out[i]) order.push_back(std::int64_t(i));
    const auto better = [&](std::int64_t a, std::int64_t b) {
        const float x = scores[std::size_t(a)], y = scores[std::size_t(b)];
        return x != y ? x > y : a < b;
    };
    const auto kept = std::min(std::size_t(k), order.size());
    std::partial_sort(order.begin(), order.begin() + std::ptrdiff_t(kept), order.end(), better);
    order.resize(kept);
    return order;
}

std::vector<Ranking> rankings(Judged& judged, std::string_view metric, std::int64_t k) {
    const auto of = Judged::Of::judged;
    const Matrix &ids = judged.field("ids", of), &lengths = judged.field("lengths", of);
    const Matrix &held = judged.field("held", of), &held_lengths = judged.field("held_lengths", of);
    const Matrix& scores = judged.reconstructions();
    must_be_finite(scores, metric, "reconstruction");
    if (k > scores.columns)
        throw Error(Exit::usage,
                    fmt::format("--metrics: {}:{} is asked of rows of {} values", metric, k, scores.columns));
    std::vector<Ranking> out;
    for (std::int64_t i = 0; i < scores.rows; ++i) {
        Ranking r{{}, std::int64_t(held_lengths.row(i)[0])};
        if (r.held == 0) continue;
        const auto sought = marked(scores.columns, held.row(i), held_lengths.row(i)[0]);
        for (std::int64_t value : best_of(scores.row(i), marked(scores.columns, ids.row(i), lengths.row(i)[0]), k))
            r.found.push_back(sought[std::size_t(value)]);
        out.push_back(std::move(r));
    }
    if (out.empty())
        throw Error(Exit::data, fmt::format("--metrics: {}: nothing was held out of these rows", metric))
            .note("of ratings, it is held out of the test rows");
    return out;
}

} // namespace elbo::tools
