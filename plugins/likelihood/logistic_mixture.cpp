#include "values.hpp"
using namespace elbo;

/// Mixture of discretised logistics (Salimans et al. 2017): a level's probability is the mass of its bin, and that of
/// the lowest and highest reaches to infinity. Data are taken to [-1, 1] by the run's range and to the nearest of the
/// levels. With p and m a bin's edges in units of the scale, log(s(p) - s(m)) is written as
/// log s(p) + log s(-m) + log(1 - e^(m-p)): exact where the difference is tiny, too, where others approximate it.
struct LogisticMixture : Likelihood {
    std::int64_t components = 5, levels = 256;
    void parameters(auto& p) {
        p("components", components, "logistics per value", within(1, 100));
        p("levels", levels, "values the data can have, evenly over its range: 256 of bytes", within(2, 65536));
    }

    bool discrete() const override { return true; }
    std::int64_t channels() const override { return 3 * components; }
    Var nll(Var raw, Var x) const override { return sum_rows(nll_values(raw, x)); }
    Var nll_values(Var raw, Var x) const override {
        const double half = 1 / double(levels - 1);
        const Shape s = shape(x);
        Var level = reshape(level_of((x - low(x)) / width(x)), {s[0], 1, s[1]}), y = level * (2 * half) - 1;
        Var inverse = exp(-log_scale(raw)), from = y - center(raw);
        Var above = inverse * (from + half), below = inverse * (from - half);
        Var up = -softplus(-above), down = -softplus(below);
        Var inner = up + down + log(-expm1(-2 * half * inverse));
        Var log_mass = where(less(level, 0.5), up, where(greater(level, double(levels) - 1.5), down, inner));
        return -log_sum_exp(log_softmax(logits(raw), {1}) + log_mass, 1);
    }
    /// Within half a level: of a logistic cut at -1 and 1, -1 + scale (softplus((c + 1) / scale) - softplus((c - 1) /
    /// scale)).
    Var mean(Var raw) const override {
        Var c = center(raw), scale = exp(log_scale(raw));
        Var each = scale * (softplus((c + 1) / scale) - softplus((c - 1) / scale));
        return in_range(raw, clamp(0.5 * sum(softmax(logits(raw), {1}) * each, {1}), 0, 1));
    }
    Var sample(Var raw) const override { return drawn(raw, 1); }
    /// At temperature 0 the centre of the most likely component.
    Var pick(Var raw) const override { return drawn(raw, pick_temperature(raw)); }

private:
    Var drawn(Var raw, In heat) const {
        Var all = logits(raw);
        const Shape s = shape(all);
        Var which = reshape(argmax(all + heat * gumbel_like(all), 1), {s[0], 1, s[2]});
        Var chosen = equal(which, reshape(iota(raw, {s[1]}), {s[1], 1}));
        auto of_chosen = [&](Var v) { return sum(chosen * v, {1}); };
        Var c = of_chosen(center(raw)), u = uniform_like(c);
        Var y = c + heat * exp(of_chosen(log_scale(raw))) * (log(u) - log1p(-u));
        return in_range(raw, level_of(0.5 * (y + 1)) / double(levels - 1));
    }
    static double low(Var x) { return data_range(x).first; }
    static double width(Var x) {
        const auto [least, most] = data_range(x);
        return most > least ? most - least : 1;
    }
    static Var in_range(Var like, Var share) { return low(like) + width(like) * share; }
    /// Of a share of the range, the nearest level.
    Var level_of(Var share) const {
        const double last = double(levels - 1);
        return clamp(floor(share * last + 0.5), 0, last);
    }
    Var part(Var raw, std::int64_t i) const {
        return slice(channels_of(raw, channels()), 1, i * components, (i + 1) * components);
    }
    Var logits(Var raw) const { return part(raw, 0); }
    /// Evenly over the range at raw = 0, so that components differ from the start.
    Var center(Var raw) const {
        const double k = double(components);
        return part(raw, 1) + reshape((2 * iota(raw, {components}) + 1 - k) / k, {components, 1});
    }
    /// Between -7 and 2.
    Var log_scale(Var raw) const { return soft_clamp(part(raw, 2), 4.5) - 2.5; }
};
ELBO_PLUGIN("likelihood_logistic_mixture", "1.0.0", "likelihood/logistic_mixture") {
    plugin.add<LogisticMixture>("logistic_mixture", "levels of a byte by a mixture of discretised logistics");
}
