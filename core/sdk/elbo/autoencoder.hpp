// What most models are besides their objective: encoder, posterior, decoder and likelihood, one behind the other. A
// model derives from one of these and writes what it minimises. Include it beside elbo/plugin.hpp.
#pragma once

#include "bound.hpp"

namespace elbo {

/// Without a prior: there is no `sample`, and the host draws codes from a mixture that it fits.
struct Autoencoder : Model {
    std::string uses() const override { return "encoder=mlp posterior=delta decoder=mlp likelihood=mse"; }
    Var encode(Var x) const override { return the<Posterior>(x).mean(code(x)); }
    Var decode(Var z) const override { return decoded(z); }
    Var reconstruct(Var x) const override { return decode(encode(x)); }
    /// At the mean code: nothing is drawn, so that equal rows have equal scores.
    Var score(Var x) const override { return reconstruction(x, encode(x)); }

protected:
    /// Parameters of q(z|x).
    static Vars code(Var x) { return the<Posterior>(x).parameters_of(the<Encoder>(x).features(x)); }
    /// -log p(x|z), [B].
    static Var reconstruction(Var x, Var z) { return the<Likelihood>(x).nll(raw_of(x, z), flatten(x)); }
};

/// Codes that are to be distributed as a prior's draws; each alone may be a point.
struct Matched : Autoencoder {
    std::string uses() const override {
        return "encoder=mlp posterior=delta prior=standard_normal decoder=mlp likelihood=mse";
    }
    Var sample(Var like) const override { return decode(the<Prior>(like).sample(like)); }

protected:
    /// As many draws of the prior as there are codes, [B, L].
    static Var drawn_like(Var z) {
        must_share_space(the<Posterior>(z), the<Prior>(z));
        return the<Prior>(z).sample(z);
    }
};

/// With the bound R + KL(q(z|x) || p(z)).
struct Variational : Autoencoder {
    std::string uses() const override {
        return "encoder=mlp posterior=diagonal_gaussian prior=standard_normal decoder=mlp likelihood=bernoulli";
    }
    Var sample(Var like) const override { return decode(the<Prior>(like).sample(like)); }
    Var score(Var x) const override {
        const Vars q = code(x);
        const Bound b = bound_at(x, q, the<Posterior>(x).mean(q));
        return b.reconstruction + b.kl;
    }
    Var log_weight(Var x) const override {
        const Vars q = code(x);
        Var z = the<Posterior>(x).sample(q);
        must_match(the<Posterior>(x), the<Prior>(x));
        return the<Prior>(x).log_prob(z) - the<Posterior>(x).log_prob(q, z) - reconstruction(x, z);
    }

protected:
    static Bound bound_at(Var x, const Vars& q, Var z) { return bound(x, q, z, raw_of(x, z)); }
    /// log q(z|x) - log p(z), [B].
    static Var log_ratio(const Vars& q, Var z) {
        must_match(the<Posterior>(z), the<Prior>(z));
        return the<Posterior>(z).log_prob(q, z) - the<Prior>(z).log_prob(z);
    }
};

/// x, or whatever has a row for each example, with every row `times` times: [B, ...] -> [B times, ...].
inline Var repeat_rows(In x, std::int64_t times) {
    detail::Inside caller(x.site);
    Shape s = shape(x), one = s, all = s;
    one.insert(one.begin() + 1, 1), all.insert(all.begin() + 1, times);
    s[0] *= times;
    return reshape(broadcast_to(reshape(x, one), all), s);
}

/// A scalar as a value of every row: [] -> [B].
inline Var of_every_row(In like, Var scalar) {
    detail::Inside caller(like.site);
    return broadcast_to(scalar, {shape(like)[0]});
}

} // namespace elbo
