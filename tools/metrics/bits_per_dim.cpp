// Bits per dimension (Theis et al. 2016): the negative elbo in the data's own units, per value and in base 2. Of a
// density it says something only where whole numbers were dequantised.
#include <numbers>

#include "tools/metrics/metric.hpp"

namespace elbo::tools {

namespace {

std::vector<Measured> measure(Judged& judged, const std::string&) {
    const Judged::Bits b = judged.bits();
    return {{"bits_per_dim", (b.negative_elbo - b.log_scale) / (double(b.values) * std::numbers::ln2)}};
}

const MetricEntry entry({.name = "bits_per_dim",
                         .unit = "bits",
                         .summary = "negative elbo per value, in the units of the file",
                         .higher_is_better = false,
                         .measure = measure});

} // namespace

} // namespace elbo::tools
