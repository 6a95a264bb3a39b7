#include <elbo/autoencoder.hpp>
#include <elbo/divergences.hpp>
#include <elbo/plugin.hpp>
using namespace elbo;

/// Adversarial autoencoder (Makhzani et al. 2015): a critic learns to tell codes from draws of the prior, the encoder
/// to be taken for the prior. Minimises R + weight (-log D(z)) over the autoencoder and -log D(draw) - log(1 - D(z))
/// over the critic, at once instead of in turn. The posterior may be a point or draw noise of its own.
struct Aae : Matched {
    Scheduled weight = 1;
    void parameters(auto& p) { p("weight", weight, "of what the critic says of the codes", not_negative); }
    std::string uses() const override {
        return "encoder=mlp posterior=delta prior=standard_normal decoder=mlp likelihood=bernoulli critic:encoder=mlp";
    }

    Var objective(Var x) const override {
        Var z = the<Posterior>(x).sample(code(x)), drawn = drawn_like(z), loss = reconstruction(x, z);
        Var unlike = softplus(-log_odds(z));
        term("reconstruction", loss);
        term("unlike_prior", unlike);
        also_minimise("critic_loss", told_apart(stop_gradient(drawn), stop_gradient(z)), "critic model");
        return loss + weight(x) * unlike;
    }
};
ELBO_PLUGIN("model_aae", "1.0.0", "model/aae") {
    plugin.add<Aae>("aae", "adversarial autoencoder: a critic compares codes with the prior");
}
