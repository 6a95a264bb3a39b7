// Latents whose mean varies with the data, by more than 0.01 (Burda et al. 2016).
#include "tools/metrics/metric.hpp"

namespace elbo::tools {

namespace {

std::vector<Measured> measure(Judged& judged, const std::string&) {
    return {{"active_units", double(judged.evaluation().active)}};
}

const MetricEntry entry({.name = "active_units",
                         .summary = "latents whose mean varies with the data: variance above 0.01",
                         .higher_is_better = true,
                         .measure = measure});

} // namespace

} // namespace elbo::tools
