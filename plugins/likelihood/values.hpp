// What likelihoods share: channels of the decoder's output, spreads, and densities of one value, each -log p(x).
#pragma once

#include <limits>

#include <elbo/plugin.hpp>

namespace elbo {

/// raw [B, n D] -> its channel i, [B, D].
inline Var channel(Var raw, std::int64_t i, std::int64_t n) {
    const std::int64_t d = shape(raw)[1] / n;
    return n == 1 ? raw : slice(raw, 1, i * d, (i + 1) * d);
}
/// raw [B, n D] -> [B, n, D].
inline Var channels_of(Var raw, std::int64_t n) {
    const Shape s = shape(raw);
    return reshape(raw, {s[0], n, s[1] / n});
}
/// log(1 + exp(y)) = x; x > 0.
inline double inverse_softplus(double x) { return x > 30 ? x : std::log(std::expm1(x)); }
/// x, smoothly kept above `lowest`.
inline Var floored(In x, double lowest) { return lowest + softplus(x - lowest); }

/// Where x has no probability -log p is infinite: a run that meets such a value stops before it updates anything.
inline Var supported(In inside, In nll) { return where(inside, nll, std::numeric_limits<double>::infinity()); }
/// 1 where x is one of 0, 1, 2, ...
inline Var is_count(Var x) { return equal(max(floor(x), 0), x); }

/// A scale s, given or learned: one for all values, or one per value by the decoder, in its last channel as log s^2.
struct Spread {
    std::string how = "shared";
    double scale = 1, floor = 1e-3;
    static constexpr const char* kHow = "fixed: `scale`; shared: one learned for all; per_value: by the decoder";

    void parameters(auto& p, const char* name = "spread", const char* help = kHow,
                    const char* choices = "fixed|shared|per_value") {
        p(name, how, help, one_of(choices));
        p("scale", scale, "the scale when fixed; where it starts when shared", positive);
        p("floor", floor, "smallest scale that can be learned", positive);
    }
    void ready() const {
        if (how == "shared" && scale <= floor)
            throw std::invalid_argument("likelihood.scale must be above likelihood.floor when it is learned");
    }
    std::int64_t channels() const { return how == "per_value" ? 2 : 1; }
    Var location(Var raw) const { return channel(raw, 0, channels()); }
    double log_lowest() const { return 2 * std::log(floor); }

    /// log s^2, never below that of the floor, smoothly.
    Var log_square(Var raw, const char* tensor = "log_square") const {
        const double lowest = log_lowest(), start = 2 * std::log(scale);
        if (how == "fixed") return constant(raw, start);
        if (how == "per_value") return floored(channel(raw, 1, 2), lowest);
        return floored(parameter(raw, tensor, {1}, Init::constant(lowest + inverse_softplus(start - lowest))), lowest);
    }
};

inline Var gaussian_nll(In mu, In log_var, In x) {
    return 0.5 * (square(x - mu) * exp(-log_var) + log_var + std::log(2 * M_PI));
}

/// logits [B, K, D], x [B, D] of class numbers.
inline Var categorical_nll(Var logits, Var x) {
    const Shape s = shape(logits);
    Var chosen = equal(reshape(x, {s[0], 1, s[2]}), reshape(iota(x, {s[1]}), {s[1], 1}));
    return supported(sum(chosen, {1}), -sum(chosen * log_softmax(logits, {1}), {1}));
}
inline Var categorical_mode(Var logits) { return argmax(logits, 1); }
inline Var categorical_sample(Var logits) { return argmax(logits + gumbel_like(logits), 1); }

/// One class for each row of logits [N, K], [N, 1]: of the `pick_most` most likely ones, and of the fewest whose
/// probability is `pick_share` (nucleus sampling, Holtzman et al. 2020), one is drawn by its logit over the
/// temperature; at 0 it is the most likely.
inline Var picked_class(Var logits) {
    const Shape s = shape(logits);
    Var heat = pick_temperature(logits), scaled = logits / max(heat, 1e-6);
    Var sorted = sort(scaled, 1, true), share = softmax(sorted, {1});
    Var among =
        logical_and(less(iota(logits, {s[1]}), pick_most(logits)), less(cumsum(share, 1) - share, pick_share(logits)));
    constexpr double kNever = 1e30;
    Var least = min_over(where(among, sorted, kNever), {1}, true);
    Var noise = gumbel_like(logits) * min(heat * kNever, 1.0); // none at 0
    return reshape(argmax(where(less(scaled, least), -kNever, scaled + noise), 1), {s[0], 1});
}

/// The logarithm of a rate or mean: raw near 0, never beyond exp(15) = 3.3e6.
inline Var log_rate(In raw) { return soft_clamp(raw, 15); }
inline Var poisson_nll(In log_rate, Var x) {
    return supported(is_count(x), exp(log_rate) - x * log_rate + lgamma(x + 1));
}

} // namespace elbo
