// A mixture of Gaussians with full covariances, fitted to codes by expectation and maximisation (Dempster et al. 1977):
// what a model without a prior is sampled from (Ghosh et al. 2020).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/run/session.hpp"

namespace elbo::core {

class Rows;

class Mixture {
public:
    /// rows: n x dims. At most `components`, fewer where there are not several rows for each. The same for the same
    /// rows and seed.
    Mixture(std::span<const float> rows, std::int64_t dims, std::int64_t components, std::uint64_t seed);
    std::int64_t components() const { return std::int64_t(weights_.size()); }
    std::int64_t dims() const { return dims_; }
    /// log density of a row, in nats.
    double log_density(std::span<const float> row) const;
    /// n new rows.
    std::vector<float> draw(std::int64_t n, std::uint64_t seed) const;

private:
    using Doubles = std::vector<double>;
    void begin(std::span<const float> rows, std::uint64_t seed);
    double step(std::span<const float> rows);
    void factor(std::size_t k, Doubles covariance);
    double log_joint(std::size_t k, const float* row, Doubles& scratch) const;

    std::int64_t dims_;
    double least_ = 0; ///< added to every variance
    Doubles weights_;
    std::vector<Doubles> means_, factors_; ///< lower triangular
};

/// The mean codes of a run's training rows, evenly chosen where there are very many: at most about 20000.
std::vector<float> codes_of_training_rows(Session& session, const Rows& rows, std::int64_t batch);
/// Gaussians in a mixture of codes.
inline constexpr std::int64_t kCodeComponents = 10;
/// The mixture of these.
Mixture mixture_of_codes(Session& session, const Rows& rows, std::int64_t batch);

} // namespace elbo::core
