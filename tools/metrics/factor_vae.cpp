// The score of FactorVAE (Kim and Mnih 2018): in rows that share one factor, the latent that holds this factor varies
// least. Which latent that is, of 800 groups of training rows, votes for the factor; the score is how often the factor
// that got most votes for a latent is right, over 800 groups of judged rows. Variances are divided by those over all
// rows, and latents with less than 0.01 of the largest variance take no part. Kim and Mnih draw 100 new rows with one
// factor held fixed; there is no generator here, so a group is up to 64 rows of the same of 10 bins of that factor.
#include <algorithm>

#include "core/base/philox.hpp"
#include "tools/metrics/factors.hpp"
#include "tools/metrics/learning.hpp"

namespace elbo::tools {

namespace {

constexpr std::int64_t kVotes = 800, kGroup = 64, kLeast = 8;

/// A latent, and the factor that was shared where it varied least.
struct Vote {
    std::size_t latent, factor;
};

// In what the training rows gave both, so that a latent is the same latent among the judged rows.
std::vector<std::size_t> used(const Scaling& scaling) {
    const double largest = *std::max_element(scaling.spread.begin(), scaling.spread.end());
    std::vector<std::size_t> out;
    for (std::size_t j = 0; j < scaling.spread.size(); ++j)
        if (scaling.spread[j] > 0 && scaling.spread[j] * scaling.spread[j] >= 0.01 * largest * largest)
            out.push_back(j);
    return out;
}

std::size_t steadiest(const Matrix& codes, const Scaling& scaling, const std::vector<std::size_t>& latents,
                      const std::vector<std::int64_t>& rows) {
    const Scaling among(rows_of(codes, rows));
    return *std::min_element(latents.begin(), latents.end(), [&](std::size_t a, std::size_t b) {
        return among.spread[a] / scaling.spread[a] < among.spread[b] / scaling.spread[b];
    });
}

std::vector<Vote> votes(Judged& judged, Judged::Of of, const std::vector<Factor>& factors, const Scaling& scaling,
                        const std::vector<std::size_t>& latents) {
    const Matrix& codes = finite_codes(judged, of, "factor_vae");
    const std::vector<Groups> groups = groups_of(factors, of, kLeast, "factor_vae");
    core::PhiloxSequence random(0, core::stream_of("factor_vae"), of == Judged::Of::judged);
    std::vector<Vote> out;
    for (std::int64_t i = 0; i < kVotes; ++i) {
        const std::size_t factor = std::size_t(i) % factors.size(); // each as often as any other
        out.push_back({steadiest(codes, scaling, latents, groups[factor].draw(kGroup, random)), factor});
    }
    return out;
}

std::vector<Measured> measure(Judged& judged, const std::string&) {
    const std::vector<Factor> factors = factors_of(judged, "factor_vae");
    const Scaling scaling(finite_codes(judged, Judged::Of::learned_from, "factor_vae"));
    const std::vector<std::size_t> latents = used(scaling);
    if (latents.empty()) return {{"factor_vae", 0}}; // as disentanglement_lib does: nothing is coded
    std::vector<std::vector<std::int64_t>> counts(scaling.spread.size(), std::vector<std::int64_t>(factors.size()));
    for (const Vote& v : votes(judged, Judged::Of::learned_from, factors, scaling, latents))
        ++counts[v.latent][v.factor];
    double right = 0;
    for (const Vote& v : votes(judged, Judged::Of::judged, factors, scaling, latents)) {
        const auto& of_latent = counts[v.latent];
        right += std::max_element(of_latent.begin(), of_latent.end()) - of_latent.begin() == std::ptrdiff_t(v.factor);
    }
    return {{"factor_vae", right / double(kVotes)}};
}

const MetricEntry entry({.name = "factor_vae",
                         .summary = "which of several known factors rows share, by the latent that varies least",
                         .measure = measure});

} // namespace

} // namespace elbo::tools
