// How many of the K training rows with the nearest codes have a row's class: Euclidean distance, which orders bits as
// their Hamming distance does.
#include "tools/metrics/learning.hpp"
#include "tools/metrics/retrieval.hpp"

namespace elbo::tools {

namespace {

std::vector<Measured> measure(Judged& judged, const std::string& argument) {
    const std::int64_t k = whole_number("retrieval_precision", argument, 1);
    const Matrix& asked = finite_codes(judged, Judged::Of::judged, "retrieval_precision");
    const Matrix& stored = finite_codes(judged, Judged::Of::learned_from, "retrieval_precision");
    const double precision =
        retrieval_precision(judged, "retrieval_precision", k, [&](std::int64_t i, std::vector<float>& scores) {
            const auto a = asked.row(i);
            for (std::int64_t j = 0; j < stored.rows; ++j) {
                const auto b = stored.row(j);
                float sum = 0;
                for (std::size_t l = 0; l < a.size(); ++l) sum += (a[l] - b[l]) * (a[l] - b[l]);
                scores[std::size_t(j)] = -sum;
            }
        });
    return {{"retrieval_precision", precision}};
}

const MetricEntry entry({.name = "retrieval_precision",
                         .argument = "K",
                         .fallback = "100",
                         .summary = "share of a row's class among the K training rows of the nearest codes",
                         .higher_is_better = true,
                         .measure = measure});

} // namespace

} // namespace elbo::tools
