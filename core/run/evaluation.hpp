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

/// A row that the model gives no finite loss for.
struct OddRow {
    std::int64_t row = 0;   ///< of the split
    double loss = 0;        ///< NaN or infinite
    std::int64_t value = 0; ///< which of its values is the largest in size
    double largest = 0;     ///< that value, as the model sees it; NaN where x itself was not read
};

/// What a split gives, per row in nats. z is a sample in the loss and its terms, the mean in squared_error and active.
struct Evaluation {
    std::int64_t rows = 0;
    double loss = 0;
    std::vector<EvaluatedTerm> terms;  ///< in the order of Session::terms()
    double squared_error = 0;          ///< summed over values; NaN where these are tokens
    std::optional<double> perplexity;  ///< of tokens: exp of the negative elbo of each, ends of sequences among them
    std::vector<double> code_variance; ///< of the mean code over the rows
    int active = 0;                    ///< latents whose variance is above 0.01 (Burda et al. 2016)
    std::vector<OddRow> odd;           ///< rows whose loss is not finite; they are left out of all means

    /// The sum of the terms that are part of the bound; nothing when the model has none.
    std::optional<double> negative_elbo() const;
    /// Lines about the odd rows of that split, for people; few however many there are.
    std::vector<std::string> warnings(const std::string& split) const;
    /// nullptr when the model reports none of that name.
    const EvaluatedTerm* term(const std::string& name) const;
};

/// The whole split, in order, with the noise of batch i at step i: the same at every call. A row whose loss is not
/// finite among rows whose loss is, is a matter of that row. Throws Error (diverged), naming the op, when no row of a
/// batch has a finite loss.
Evaluation evaluate(Session& session, const Rows& rows, Split split, std::int64_t batch);

/// -log p(x) by importance sampling (Burda et al. 2016), the mean over the rows of a split in nats: -log of the mean of
/// p(x, z) / q(z|x) over `draws` codes of every row. An upper bound that falls towards -log p(x) with more draws.
/// Throws Error (usage) for a model that has no log_weight, (diverged) when it is not finite.
double importance_nll(Session& session, const Rows& rows, Split split, std::int64_t batch, std::int64_t draws);

} // namespace elbo::core
