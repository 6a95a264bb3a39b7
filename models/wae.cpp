#include <elbo/autoencoder.hpp>
#include <elbo/divergences.hpp>
#include <elbo/plugin.hpp>
using namespace elbo;

/// Wasserstein autoencoder (Tolstikhin, Bousquet, Gelly and Schoelkopf 2018): R + lambda D(q(z), p(z)) with codes that
/// are points. D is the maximum mean discrepancy of the batch's codes and draws of the prior (WAE-MMD), or -log of how
/// much a critic takes a code for a draw (WAE-GAN), which learns in the same step.
struct Wae : Matched {
    Scheduled lambda = 10;
    std::string divergence = "mmd", kernel_name = "imq";
    double scale = 1;
    void parameters(auto& p) {
        p("lambda", lambda, "weight of the divergence of the codes from the prior", not_negative);
        p("divergence", divergence, "mmd: between samples; adversarial: as a critic sees it",
          one_of("mmd|adversarial"));
        p("kernel", kernel_name, "of mmd", one_of(kKernels));
        p("scale", scale, "deviation of the codes that the kernel expects", positive);
    }
    std::string uses() const override {
        return Matched::uses() + (divergence == "adversarial" ? " critic:encoder=mlp" : "");
    }

    Var objective(Var x) const override {
        Var z = the<Posterior>(x).sample(code(x)), drawn = drawn_like(z), loss = reconstruction(x, z);
        term("reconstruction", loss);
        if (divergence == "mmd") {
            Var apart = mmd(z, drawn, kernel_name, scale);
            term("mmd", of_every_row(x, apart), estimated_term);
            return loss + lambda(x) * apart;
        }
        Var unlike = softplus(-log_odds(z));
        term("unlike_prior", unlike);
        also_minimise("critic_loss", told_apart(stop_gradient(drawn), stop_gradient(z)), "critic model");
        return loss + lambda(x) * unlike;
    }
};
ELBO_PLUGIN("model_wae", "1.0.0", "model/wae") {
    plugin.add<Wae>("wae", "Wasserstein autoencoder: its codes match the prior by mmd or a critic");
}
