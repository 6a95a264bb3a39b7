// The negative evidence bound, term by term, as every variational model has it.
#pragma once

#include <stdexcept>

#include "kinds.hpp"

namespace elbo {

/// R + KL(q(z|x) || p(z)) at a code z: R = -log p(x|z), and the KL in closed form where prior and posterior have one,
/// else log q(z|x) - log p(z).
struct Bound {
    Var reconstruction, kl;
    bool closed; ///< the KL is exact, not an estimate from one sample

    /// Names both terms as shares of the bound.
    void report() const {
        term("reconstruction", reconstruction, bound_term);
        term("kl", kl, closed ? bound_term : bound_term | estimated_term);
    }
};

/// q: the posterior's parameters. raw: what the decoder gives for z. Throws for a posterior without a density.
inline Bound bound(Var x, const Vars& q, Var z, Var raw) {
    auto posterior = the<Posterior>(x);
    auto prior = the<Prior>(x);
    if (!posterior.density())
        throw std::invalid_argument("the KL from posterior '" + posterior.family() +
                                    "' is infinite: it is a point mass. Use model 'ae', or another posterior");
    const Var reconstruction = the<Likelihood>(x).nll(raw, flatten(x));
    const auto closed = prior.kl(posterior.family(), q);
    if (closed) return {reconstruction, *closed, true};
    return {reconstruction, posterior.log_prob(q, z) - prior.log_prob(z), false};
}

} // namespace elbo
