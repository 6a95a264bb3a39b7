// Mutual information gap (Chen et al. 2018): for each factor, how much more the best latent tells of it than the second
// best, as a share of the factor's entropy. The variant of disentanglement_lib (Locatello et al. 2019): counted over
// mean codes in 20 bins of equal width, where Chen et al. integrate over the posterior. A factor of at most 20 values
// is not binned. Few rows make all of it look a little informed: the bias is about (bins - 1)^2 / (2 rows) nats.
#include "tools/metrics/factors.hpp"
#include "tools/metrics/learning.hpp"

namespace elbo::tools {

namespace {

std::vector<Measured> measure(Judged& judged, const std::string&) {
    const std::vector<Factor> factors = factors_of(judged, "mig");
    const Matrix& codes = finite_codes(judged, Judged::Of::judged, "mig");
    std::vector<std::vector<std::int64_t>> latents;
    for (std::int64_t j = 0; j < codes.columns; ++j) {
        const Matrix latent = column_of(codes, j);
        latents.push_back(binned({latent.values.begin(), latent.values.end()}, 20));
    }
    std::vector<double> gaps;
    for (const Factor& f : factors) {
        const std::vector<std::int64_t> bins = binned(f.judged, 20);
        std::vector<double> shared;
        for (const auto& latent : latents) shared.push_back(mutual_information(latent, bins));
        gaps.push_back(gap(shared) / entropy(bins));
    }
    return over_factors("mig", factors, gaps);
}

const MetricEntry entry({.name = "mig",
                         .summary = "mutual information gap of several known factors, in 20 bins",
                         .measure = measure});

} // namespace

} // namespace elbo::tools
