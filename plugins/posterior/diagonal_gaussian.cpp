#include <elbo/plugin.hpp>
using namespace elbo;

/// N(mu, diag exp(log_var)), both linear in the features; sampled as mu + exp(log_var / 2) * eps (Kingma and Welling
/// 2014). log_var is bounded softly, and the same bounded value feeds the sample, the density and the KL.
struct DiagonalGaussian : Posterior {
    double bound = 10;
    void parameters(auto& p) { p("log_var_bound", bound, "log_var stays within +- this, softly", positive); }

    std::string family() const override { return "diagonal_gaussian"; }
    Vars parameters_of(Var features) const override {
        const std::int64_t l = latent(features);
        return {linear(features, l, "mean"), soft_clamp(linear(features, l, "log_var"), bound)};
    }
    Var sample(const Vars& p) const override { return p[0] + exp(0.5 * p[1]) * normal_like(p[0]); }
    Var mean(const Vars& p) const override { return p[0]; }
    Var log_prob(const Vars& p, Var z) const override {
        return -0.5 * sum(std::log(2 * M_PI) + p[1] + square(z - p[0]) * exp(-p[1]), {-1});
    }
};
ELBO_PLUGIN("posterior_diagonal_gaussian", "1.0.0", "posterior/diagonal_gaussian") {
    plugin.add<DiagonalGaussian>("diagonal_gaussian", "independent Gaussians, reparameterised");
}
