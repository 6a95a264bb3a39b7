// The score of beta-VAE (Higgins et al. 2017): pairs of rows that share one factor differ least in the latent that
// holds it, so a linear classifier tells from the mean absolute difference of 64 such pairs which factor they share.
// Learned from 1,000 such means over training rows, and judged on 500 over judged rows. The classifier is logistic
// regression on standardised differences, as disentanglement_lib's is on plain ones. Higgins et al. draw new rows with
// one factor held fixed; there is no generator here, so a pair is two rows of the same of 10 bins of that factor.
#include <cmath>

#include "core/base/philox.hpp"
#include "tools/metrics/factors.hpp"
#include "tools/metrics/learning.hpp"

namespace elbo::tools {

namespace {

constexpr int kPairs = 64;

/// Mean differences, and the factor that each row's pairs share.
struct Differences {
    Matrix means;
    std::vector<std::int64_t> factors;
};

void add_mean(const Matrix& codes, const Groups& groups, core::PhiloxSequence& random, Matrix& to) {
    std::vector<double> sum(std::size_t(codes.columns), 0.0);
    for (int pair = 0; pair < kPairs; ++pair) {
        const std::vector<std::int64_t> rows = groups.draw(2, random);
        const auto a = codes.row(rows[0]), b = codes.row(rows[1]);
        for (std::size_t j = 0; j < sum.size(); ++j) sum[j] += std::abs(double(a[j]) - double(b[j]));
    }
    for (double s : sum) to.values.push_back(float(s / kPairs));
    ++to.rows;
}

Differences differences(Judged& judged, Judged::Of of, const std::vector<Factor>& factors, int count) {
    const Matrix& codes = finite_codes(judged, of, "beta_vae");
    const std::vector<Groups> groups = groups_of(factors, of, 2, "beta_vae");
    core::PhiloxSequence random(0, core::stream_of("beta_vae"), of == Judged::Of::judged);
    Differences out{{0, codes.columns, {}}, {}};
    for (int i = 0; i < count; ++i) {
        const std::size_t factor = std::size_t(i) % factors.size(); // each as often as any other
        add_mean(codes, groups[factor], random, out.means);
        out.factors.push_back(std::int64_t(factor));
    }
    return out;
}

std::vector<Measured> measure(Judged& judged, const std::string&) {
    const std::vector<Factor> factors = factors_of(judged, "beta_vae");
    const Differences learned = differences(judged, Judged::Of::learned_from, factors, 1000);
    const Differences asked = differences(judged, Judged::Of::judged, factors, 500);
    const SoftmaxClassifier classifier(learned.means, learned.factors, SoftmaxClassifier::Weights::rows);
    return {{"beta_vae", accuracy(classifier.classes_of(asked.means), asked.factors)}};
}

const MetricEntry entry({.name = "beta_vae",
                         .summary = "which of several known factors pairs share, by how their codes differ",
                         .measure = measure});

} // namespace

} // namespace elbo::tools
