// The share of what was held out that stands among the first K values a row lacks; of K, where more were held out
// (Liang et al. 2018).
#include "tools/metrics/ranking.hpp"

#include <algorithm>

namespace elbo::tools {

namespace {

std::vector<Measured> measure(Judged& judged, const std::string& argument) {
    const std::int64_t k = whole_number("recall", argument, 1);
    const auto all = rankings(judged, "recall", k);
    double sum = 0;
    for (const Ranking& r : all)
        sum += double(std::count(r.found.begin(), r.found.end(), 1)) / double(std::min(k, r.held));
    return {{"recall", sum / double(all.size())}};
}

const MetricEntry entry({.name = "recall",
                         .argument = "K",
                         .fallback = "20",
                         .summary = "share of what was held out of each row among the K likeliest values it lacks",
                         .higher_is_better = true,
                         .measure = measure});

} // namespace

} // namespace elbo::tools
