// Average precision of the anomaly scores: precision at each threshold, weighted by how much recall it adds; no
// interpolation. Where anomalies are rare it tells more than the area under the ROC curve: by chance it is their share.
#include <algorithm>
#include <numeric>

#include "tools/metrics/checks.hpp"

namespace elbo::tools {

namespace {

// Rows of one score pass a threshold together.
double average_precision(const Anomalies& anomalies) {
    const std::vector<double>& scores = anomalies.scores;
    std::vector<std::size_t> order(scores.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
    double sum = 0, found = 0;
    for (std::size_t i = 0; i < order.size();) {
        const double score = scores[order[i]];
        double more = 0;
        for (; i < order.size() && scores[order[i]] == score; ++i) more += anomalies.is[order[i]];
        found += more;
        sum += more * found / double(i);
    }
    return sum / found;
}

std::vector<Measured> measure(Judged& judged, const std::string& argument) {
    return {{"average_precision", average_precision(anomalies_of(judged, "average_precision", argument))}};
}

const MetricEntry entry({.name = "average_precision",
                         .argument = "LABELS",
                         .fallback = "1",
                         .summary = "of anomaly scores; LABELS count as anomalies: 1, or 4+9",
                         .higher_is_better = true,
                         .measure = measure});

} // namespace

} // namespace elbo::tools
