#include <elbo/plugin.hpp>
using namespace elbo;

/// Laplace prior p(z) = prod exp(-|z|/b) / 2b: sparser codes than a Gaussian.
struct Laplace : Prior {
    double scale = 1;
    void parameters(auto& p) { p("scale", scale, "spread b of each latent", positive); }

    Var log_prob(Var z) const override { return sum(-abs(z) / scale - std::log(2 * scale), {-1}); }
    Var sample(Var like) const override { return temperature(like) * laplace_like(like) * scale; }
};
ELBO_PLUGIN("laplace", "1.0.0", "prior/laplace") {
    plugin.add<Laplace>("laplace", "independent double-exponential latents");
}
