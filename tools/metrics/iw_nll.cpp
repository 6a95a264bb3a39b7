// -log p(x) by K importance samples (Burda et al. 2016): an upper bound that falls towards it with K.
#include "tools/metrics/metric.hpp"

namespace elbo::tools {

namespace {

std::vector<Measured> measure(Judged& judged, const std::string& argument) {
    return {{"iw_nll", judged.importance_nll(whole_number("iw_nll", argument, 1))}};
}

const MetricEntry entry({.name = "iw_nll",
                         .argument = "K",
                         .fallback = "1000",
                         .unit = "nats",
                         .summary = "-log p(x) by K importance samples of every row",
                         .higher_is_better = false,
                         .measure = measure});

} // namespace

} // namespace elbo::tools
