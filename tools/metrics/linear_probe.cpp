// Accuracy of a linear classifier on the mean codes (Alain and Bengio 2016): multinomial logistic regression, learned
// from at most 60,000 training rows, evenly chosen, and judged on the judged rows. Standardising, penalty and optimum
// are those of scikit-learn's StandardScaler and LogisticRegression(C=1).
#include <fmt/format.h>

#include "core/base/notice.hpp"
#include "tools/metrics/learning.hpp"

namespace elbo::tools {

namespace {

constexpr std::int64_t kMost = 60000;

std::vector<Measured> measure(Judged& judged, const std::string&) {
    const auto right = classes_of(judged, Judged::Of::judged, "linear_probe");
    const auto learned = classes_of(judged, Judged::Of::learned_from, "linear_probe");
    const Matrix& codes = finite_codes(judged, Judged::Of::judged, "linear_probe");
    const Matrix& all = finite_codes(judged, Judged::Of::learned_from, "linear_probe");
    const auto rows = evenly_chosen(all.rows, kMost);
    if (all.rows > kMost)
        core::tell(fmt::format("linear_probe: learns from {} of the {} training rows", kMost, all.rows));
    const SoftmaxClassifier probe(rows_of(all, rows), values_of(learned, rows), SoftmaxClassifier::Weights::rows);
    return {{"linear_probe", accuracy(probe.classes_of(codes), right)}};
}

const MetricEntry entry({.name = "linear_probe",
                         .summary = "accuracy of logistic regression on the codes of the training rows",
                         .measure = measure});

} // namespace

} // namespace elbo::tools
