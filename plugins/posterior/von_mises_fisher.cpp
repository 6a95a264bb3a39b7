#include <elbo/plugin.hpp>
#include <elbo/sphere.hpp>
using namespace elbo;

/// Directions around a mean one (Davidson et al. 2018): log q(z|x) = k mu z + log c(k) on the unit sphere. Draws are
/// Wood's (1994), of whose tries the first accepted counts; the gradient through the choice of the try is left out, as
/// there.
struct VonMisesFisher : Posterior {
    double most = 500;
    std::int64_t tries = 16;
    void parameters(auto& p) {
        p("most", most, "concentration k, which lies between 1 and this", within(2, 1000));
        p("tries", tries, "of the rejection sampler", within(1, 256));
    }

    std::string family() const override { return "von_mises_fisher"; }
    std::string space() const override { return "sphere"; }
    /// mu [B, L], k [B, 1].
    Vars parameters_of(Var features) const override {
        if (latent(features) < 2)
            throw std::invalid_argument("posterior 'von_mises_fisher' needs codes of 2 numbers or more: --latent");
        Var k = 1 + (most - 1) * tanh(softplus(linear(features, 1, "concentration")) / (most - 1));
        return {unit(linear(features, latent(features), "direction")), k};
    }
    Var sample(const Vars& p) const override {
        const std::int64_t n = shape(p[0])[0], m = shape(p[0])[1];
        Var w = component(p[1], n, double(m));
        Var across = unit(normal_like(slice(p[0], 1, 1, m)));
        Var z = concat({w, sqrt(max((1 - w) * (1 + w), 1e-12)) * across}, 1);
        // The reflection that takes the first axis to mu.
        Var first = less(iota(z, {m}), 0.5), u = unit(first - p[0]);
        return z - 2 * u * sum_keep(u * z, {1});
    }
    /// The mean direction; the mean itself lies within the sphere.
    Var mean(const Vars& p) const override { return p[0]; }
    Var log_prob(const Vars& p, Var z) const override {
        const Concentrated c(p[1], double(last_size(z)));
        return sum(p[0] * z, {-1}) * sum(p[1], {-1}) - c.log_normaliser;
    }

private:
    /// mu z of a draw, [B, 1]: Wood's algorithm VM*, steps 1 to 3.
    Var component(Var k, std::int64_t n, double m) const {
        Var b = (m - 1) / (2 * k + sqrt(4 * square(k) + (m - 1) * (m - 1)));
        Var x0 = (1 - b) / (1 + b);
        Var c = k * x0 + (m - 1) * log1p(-square(x0));
        Var half = constant(k, (m - 1) / 2, {n, tries}), g = gamma(half);
        Var e = g / (g + gamma(half));
        Var w = (1 - (1 + b) * e) / (1 - (1 - b) * e); // [B, tries]
        Var accepted = logical_not(less(k * w + (m - 1) * log1p(-x0 * w) - c, log(uniform_like(w))));
        return take_along(w, reshape(argmax(accepted, 1), {n, 1}), 1);
    }
};
ELBO_PLUGIN("posterior_von_mises_fisher", "1.0.0", "posterior/von_mises_fisher") {
    plugin.add<VonMisesFisher>("von_mises_fisher", "directions on the unit sphere");
}
