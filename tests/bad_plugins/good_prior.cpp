// A stranger's own prior, with nothing wrong about it.
#include <elbo/plugin.hpp>
using namespace elbo;

/// p(z) = prod sech^2(z / 2s) / 4s: heavier tails than a Gaussian.
struct Logistic : Prior {
    double scale = 1;
    void parameters(auto& p) { p("scale", scale, "spread s of each latent", positive); }

    Var log_prob(Var z) const override {
        Var a = -abs(z) / scale;
        return sum(a - std::log(scale) - 2 * softplus(a), {-1});
    }
    Var sample(Var like) const override {
        Var u = clamp(uniform_like(like), 1e-6, 1 - 1e-6);
        return scale * (log(u) - log(1 - u));
    }
};
ELBO_PLUGIN("stranger", "0.3.1", "prior/logistic") { plugin.add<Logistic>("logistic", "independent logistic latents"); }
