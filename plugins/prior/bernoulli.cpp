#include <elbo/plugin.hpp>
using namespace elbo;

/// Bits, each 1 with the same probability. Its KL to posterior bernoulli is closed, latent by latent.
struct Bernoulli : Prior {
    double probability = 0.5;
    void parameters(auto& p) { p("probability", probability, "of a bit to be 1", within(1e-6, 1 - 1e-6)); }
    std::string space() const override { return "bits"; }

    Var log_prob(Var z) const override { return sum(z * logit() + std::log1p(-probability), {-1}); }
    Var sample(Var like) const override { return less(uniform_like(like), probability); }
    /// q (log q - log p) + (1 - q) (log(1 - q) - log(1 - p)), by the logit of q.
    std::optional<Var> kl_latents(std::string_view family, const Vars& p) const override {
        if (family != "bernoulli") return {};
        Var q = sigmoid(p[0]);
        return q * (p[0] - logit()) - softplus(p[0]) - std::log1p(-probability);
    }

private:
    double logit() const { return std::log(probability) - std::log1p(-probability); }
};
ELBO_PLUGIN("prior_bernoulli", "1.0.0", "prior/bernoulli") { plugin.add<Bernoulli>("bernoulli", "independent bits"); }
