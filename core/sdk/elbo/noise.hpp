// Noise: new at every step, the same for the same seed and step. `like` says in which recording, and the shape.
#pragma once

#include "ops.hpp"

namespace elbo {

/// Standard normal noise of the shape of `like`: new at every step, the same for the same seed and step.
inline Var normal_like(In like) { return detail::source("normal", like, {{"shape", shape(like)}}); }
/// Uniform noise in (0, 1) of the shape of `like`.
inline Var uniform_like(In like) { return detail::source("uniform", like, {{"shape", shape(like)}}); }
/// Standard Laplace noise: -sign(u) log(1 - 2|u|), u uniform in (-1/2, 1/2).
inline Var laplace_like(In like) {
    detail::Inside caller(like.site);
    Var u = uniform_like(like) - 0.5;
    return -sign(u) * log1p(-2 * min(abs(u), 0.4999999));
}
/// Standard Gumbel noise: -log(-log u).
inline Var gumbel_like(In like) {
    detail::Inside caller(like.site);
    return -log(-log(uniform_like(like)));
}
/// 1 with probability p, value by value, else 0. No gradient.
inline Var bernoulli(In p) {
    detail::Inside caller(p.site);
    return greater(p, uniform_like(p));
}
/// The number of a class drawn with these logits along the last axis, which disappears (Gumbel-max). No gradient.
inline Var categorical(In logits) {
    detail::Inside caller(logits.site);
    return argmax(logits + gumbel_like(logits), -1);
}
/// Draws of Gamma(a, 1), value by value, a > 0 (Marsaglia and Tsang 2000). Not reparameterised: no gradient.
inline Var gamma(In a) { return detail::emit("gamma", a); }
/// Draws of Poisson(rate), value by value, rate >= 0. No gradient.
inline Var poisson(In rate) { return detail::emit("poisson", rate); }

} // namespace elbo
