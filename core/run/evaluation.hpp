// How good a trained model is on a split.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/data/rows.hpp"
#include "core/run/session.hpp"

namespace elbo::core {

/// A term over a split.
struct EvaluatedTerm {
    std::string name;
    double value = 0;            ///< mean over the rows
    bool bound = false;          ///< a share of the negative bound
    bool estimated = false;      ///< by Monte Carlo, not in closed form
    std::vector<double> latents; ///< mean of each latent, of a term that has one value per latent
};

/// What a split gives, per row in nats. z is a sample in the loss and its terms, the mean in squared_error and active.
struct Evaluation {
    std::int64_t rows = 0;
    double loss = 0;
    std::vector<EvaluatedTerm> terms;  ///< in the order of Session::terms()
    double squared_error = 0;          ///< summed over values
    std::vector<double> code_variance; ///< of the mean code over the rows
    int active = 0;                    ///< latents whose variance is above 0.01 (Burda et al. 2016)

    /// The sum of the terms that are part of the bound; nothing when the model has none.
    std::optional<double> negative_elbo() const;
    /// nullptr when the model reports none of that name.
    const EvaluatedTerm* term(const std::string& name) const;
};

/// The whole split, in order, with the noise of batch i at step i: the same at every call.
Evaluation evaluate(Session& session, const Rows& rows, Split split, std::int64_t batch);

} // namespace elbo::core
