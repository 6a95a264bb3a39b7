// The negative evidence lower bound: the sum of the terms that are part of it.
#include "tools/metrics/metric.hpp"

namespace elbo::tools {

namespace {

std::vector<Measured> measure(Judged& judged, const std::string&) {
    return {{"negative_elbo", judged.bits().negative_elbo}};
}

const MetricEntry entry({.name = "negative_elbo",
                         .unit = "nats",
                         .summary = "an upper bound of -log p(x), z sampled",
                         .higher_is_better = false,
                         .measure = measure});

} // namespace

} // namespace elbo::tools
