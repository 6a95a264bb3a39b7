// How good a trained model is on a split.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/data/rows.hpp"
#include "core/run/session.hpp"

namespace elbo::core {

/// What a split gives, per row in nats. z is a sample in the loss and its terms, the mean in squared_error and active.
struct Evaluation {
    std::int64_t rows = 0;
    double loss = 0;
    std::optional<double> reconstruction, kl;
    bool kl_estimated = false;         ///< one sample of log q - log p instead of a closed form
    double squared_error = 0;          ///< summed over values
    std::vector<double> code_variance; ///< of the mean code over the rows
    int active = 0;                    ///< latents whose variance is above 0.01 (Burda et al. 2016)

    std::optional<double> negative_elbo() const;
};

/// The whole split, in order, with the noise of batch i at step i: the same at every call.
Evaluation evaluate(Session& session, const Rows& rows, Split split, std::int64_t batch);

/// Whether a term of a model is its KL, in closed form or estimated.
bool is_kl(const std::string& term);

} // namespace elbo::core
