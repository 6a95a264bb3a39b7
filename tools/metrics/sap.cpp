// Separated attribute predictability (Kumar et al. 2018): for each factor, how much better the best latent alone
// predicts it than the second best. Of a quantity the prediction is a line, and its score R^2 over the judged rows; of
// classes it is a linear classifier with each class weighted the same, learned from at most 10,000 training rows, and
// its score the balanced accuracy over the judged rows. Kumar et al. choose thresholds; disentanglement_lib a linear
// support vector machine; this is logistic regression. As in Kumar et al., a latent that does not vary scores 0.
#include <cmath>

#include "tools/metrics/factors.hpp"
#include "tools/metrics/learning.hpp"

namespace elbo::tools {

namespace {

std::vector<std::int64_t> whole(const std::vector<double>& values) { return {values.begin(), values.end()}; }

double squared_correlation(const Matrix& latent, const std::vector<double>& factor) {
    const Scaling of_latent(latent);
    if (of_latent.spread[0] == 0) return 0;
    const std::vector<double> z = of_latent.applied(latent);
    double mean = 0, both = 0, square = 0;
    for (double v : factor) mean += v / double(factor.size());
    for (std::size_t i = 0; i < z.size(); ++i) {
        both += z[i] * (factor[i] - mean);
        square += (factor[i] - mean) * (factor[i] - mean);
    }
    return both * both / (square * double(z.size()));
}

double classified(const Matrix& learned, const Matrix& judged, const Factor& factor) {
    if (Scaling(learned).spread[0] == 0) return 0;
    const std::vector<std::int64_t> rows = evenly_chosen(learned.rows, 10000);
    const SoftmaxClassifier classifier(rows_of(learned, rows), values_of(whole(factor.learned), rows),
                                       SoftmaxClassifier::Weights::classes);
    return balanced_accuracy(classifier.classes_of(judged), whole(factor.judged));
}

std::vector<Measured> measure(Judged& judged, const std::string&) {
    const std::vector<Factor> factors = factors_of(judged, "sap");
    const Matrix& codes = finite_codes(judged, Judged::Of::judged, "sap");
    const Matrix& learned = finite_codes(judged, Judged::Of::learned_from, "sap");
    std::vector<double> gaps;
    for (const Factor& f : factors) {
        std::vector<double> scores;
        for (std::int64_t j = 0; j < codes.columns; ++j) {
            const Matrix latent = column_of(codes, j);
            scores.push_back(f.classes ? classified(column_of(learned, j), latent, f)
                                       : squared_correlation(latent, f.judged));
        }
        gaps.push_back(gap(scores));
    }
    return over_factors("sap", factors, gaps);
}

const MetricEntry entry({.name = "sap",
                         .summary = "gap between the two latents that best predict each of several known factors",
                         .measure = measure});

} // namespace

} // namespace elbo::tools
