// The area under the ROC curve of the anomaly scores: the chance that an anomaly scores higher than another row.
#include "core/run/metrics.hpp"
#include "tools/metrics/checks.hpp"

namespace elbo::tools {

namespace {

std::vector<Measured> measure(Judged& judged, const std::string& argument) {
    const Anomalies anomalies = anomalies_of(judged, "roc_auc", argument);
    return {{"roc_auc", core::roc_auc(anomalies.scores, anomalies.is)}};
}

const MetricEntry entry({.name = "roc_auc",
                         .argument = "LABELS",
                         .fallback = "1",
                         .summary = "of anomaly scores; LABELS count as anomalies: 1, or 4+9",
                         .higher_is_better = true,
                         .measure = measure});

} // namespace

} // namespace elbo::tools
