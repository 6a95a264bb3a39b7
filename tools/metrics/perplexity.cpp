// Perplexity of counts: exp of the negative elbo per event, over all rows; of a word, how many words it could as well
// have been. The events of a row come in an order: what a multinomial's constant gives for all orders is taken out.
#include <fmt/format.h>

#include <cmath>

#include "core/base/error.hpp"
#include "tools/metrics/metric.hpp"

namespace elbo::tools {

namespace {

using core::Error;
using core::Exit;

std::vector<Measured> measure(Judged& judged, const std::string&) {
    const auto bound = judged.evaluation().negative_elbo();
    if (!bound) throw Error(Exit::usage, "--metrics: perplexity: the model has no bound of log p(x)");
    const Matrix& counts = judged.field("values", Judged::Of::judged);
    double events = 0, orders = 0;
    for (std::int64_t i = 0; i < counts.rows; ++i) {
        double n = 0;
        for (float v : counts.row(i)) {
            if (v < 0 || v != std::floor(v))
                throw Error(Exit::data, fmt::format("--metrics: perplexity takes counts, and a value is {}", v));
            n += double(v), orders -= std::lgamma(double(v) + 1);
        }
        events += n, orders += std::lgamma(n + 1);
    }
    if (events == 0) throw Error(Exit::data, "--metrics: perplexity: the rows hold nothing");
    const double nll = *bound * double(counts.rows) + (judged.has_density() ? orders : 0);
    return {{"perplexity", std::exp(nll / events)}};
}

const MetricEntry entry({.name = "perplexity",
                         .summary = "exp of the negative elbo per count: of words, under likelihood multinomial",
                         .higher_is_better = false,
                         .measure = measure});

} // namespace

} // namespace elbo::tools
