// The negative evidence bound, term by term, as every variational model has it.
#pragma once

#include <stdexcept>

#include "kinds.hpp"

namespace elbo {

/// R + KL(q(z|x) || p(z)) at a code z: R = -log p(x|z), and the KL in closed form where prior and posterior have one,
/// else log q(z|x) - log p(z).
struct Bound {
    Var reconstruction, kl;
    std::optional<Var> latents; ///< the KL of each latent, [B, L], where it is closed and a sum over them
    bool closed;                ///< the KL is exact, not an estimate from one sample

    /// Names both terms as shares of the bound.
    void report() const {
        term("reconstruction", reconstruction, bound_term);
        if (latents) term("kl", *latents, bound_term | latent_term);
        else term("kl", kl, closed ? bound_term : bound_term | estimated_term);
    }
};

/// Refuses a prior over another space than the posterior's.
inline void must_share_space(const Posterior& posterior, const Prior& prior) {
    if (posterior.space() != prior.space())
        throw std::invalid_argument("posterior '" + posterior.family() + "' gives codes of the space '" +
                                    posterior.space() + "', and the prior lies in the space '" + prior.space() +
                                    "': choose a pair of one space");
}
/// Refuses a posterior without a density too.
inline void must_match(const Posterior& posterior, const Prior& prior) {
    if (!posterior.density())
        throw std::invalid_argument("the KL from posterior '" + posterior.family() +
                                    "' is infinite: it is a point mass. Use model 'ae', or another posterior");
    must_share_space(posterior, prior);
}

/// Raw values of x given z: of a decoder that draws value by value, each given those before it.
inline Var raw_of(In x, Var z) {
    auto decoder = the<Decoder>(x);
    return decoder.autoregressive() ? decoder.raw_given(z, flatten(x)) : decoder.raw(z);
}
/// For what asks the decoder of x for more than p(x|z): refuses one that draws x value by value.
inline void must_write_at_once(Var like) {
    if (the<Decoder>(like).autoregressive())
        throw std::invalid_argument(
            "this model needs all values that a code becomes at once, and the decoder draws one after the other: use "
            "decoder mlp or conv");
}
/// What codes become: the likelihood's mean, or what a decoder draws that goes value by value.
inline Var decoded(In z) {
    auto decoder = the<Decoder>(z);
    return decoder.autoregressive() ? decoder.drawn(z.var) : the<Likelihood>(z).mean(decoder.raw(z.var));
}

/// KL(q(z|x) || p(z)) as in Bound.
struct Divergence {
    Var kl;
    std::optional<Var> latents;
    bool closed;
};
/// At a code z, of a posterior and a prior that match. q: the posterior's parameters.
inline Divergence divergence(const Posterior& posterior, const Prior& prior, const Vars& q, Var z) {
    if (const auto each = prior.kl_latents(posterior.family(), q)) return {sum_rows(*each), each, true};
    if (const auto closed = prior.kl(posterior.family(), q)) return {*closed, {}, true};
    return {posterior.log_prob(q, z) - prior.log_prob(z), {}, false};
}

/// q: the posterior's parameters. raw: what the decoder gives for z.
inline Bound bound(Var x, const Vars& q, Var z, Var raw) {
    auto posterior = the<Posterior>(x);
    auto prior = the<Prior>(x);
    must_match(posterior, prior);
    const Var reconstruction = the<Likelihood>(x).nll(raw, flatten(x));
    const Divergence d = divergence(posterior, prior, q, z);
    return {reconstruction, d.kl, d.latents, d.closed};
}

} // namespace elbo
