#include <elbo/plugin.hpp>
using namespace elbo;

/// A point mass at a linear function of the features: the code of a plain autoencoder.
struct Delta : Posterior {
    std::string family() const override { return "delta"; }
    bool density() const override { return false; }
    Vars parameters_of(Var features) const override { return {linear(features, latent(features), "code")}; }
    Var sample(const Vars& p) const override { return p[0]; }
    Var mean(const Vars& p) const override { return p[0]; }
    Var log_prob(const Vars&, Var) const override {
        throw std::invalid_argument("posterior 'delta' is a point mass and has no log density; use diagonal_gaussian");
    }
};
ELBO_PLUGIN("posterior_delta", "1.0.0", "posterior/delta") { plugin.add<Delta>("delta", "a point: no noise, no KL"); }
