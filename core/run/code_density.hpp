// Densities fitted to the codes of a trained model's training rows, to draw new codes from where the prior is not to be
// used: kernels around the codes, or a model of codes that is trained on them here.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "core/host/registry.hpp"
#include "core/run/session.hpp"

namespace elbo::core {

/// n new codes, [n, latent], the same for the same seed.
using CodeDraws = std::function<std::vector<float>(std::int64_t n, std::uint64_t seed)>;

/// A Gaussian around every code, of the covariance of all of them times n^(-2 / (d + 4)) (Scott 1992).
CodeDraws kernels_around(std::vector<float> codes, std::int64_t dims, std::uint64_t seed);

/// How a model of codes is trained.
struct CodeTraining {
    std::int64_t steps = 2000, batch = 256;
    std::uint64_t seed = 1;
};
/// What came of it.
struct CodeModel {
    CodeDraws draw;
    double first = 0, last = 0; ///< mean loss of the first and of the last tenth of the steps, nats per code
};
/// A model trained on the codes, each number brought to mean 0 and variance 1: `flow`, a real NVP by maximum likelihood
/// (Dinh et al. 2017), or else a second VAE (Dai and Wipf 2019), whose draws have noise of its mean squared error.
/// Throws Error (diverged) when a loss is not finite.
CodeModel trained_on(std::vector<float> codes, std::int64_t dims, bool flow, const CodeTraining& how,
                     Registry& registry, const OpTable& ops, Backend& backend);

} // namespace elbo::core
