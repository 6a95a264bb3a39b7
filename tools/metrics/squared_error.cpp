// The squared error of reconstructions from the mean code, summed over values.
#include "tools/metrics/metric.hpp"

namespace elbo::tools {

namespace {

std::vector<Measured> measure(Judged& judged, const std::string&) {
    return {{"squared_error", judged.evaluation().squared_error}};
}

const MetricEntry entry({.name = "squared_error",
                         .summary = "of reconstructions from the mean code, summed over values",
                         .higher_is_better = false,
                         .measure = measure});

} // namespace

} // namespace elbo::tools
