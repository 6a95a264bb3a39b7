#include <elbo/autoencoder.hpp>
#include <elbo/divergences.hpp>
#include <elbo/plugin.hpp>
using namespace elbo;

/// InfoVAE (Zhao, Song and Ermon 2019): R + (1 - alpha) KL(q(z|x) || p(z)) + (alpha + lambda - 1) MMD(q(z), p(z)), the
/// codes of the batch against as many draws of the prior. alpha 1 is the MMD-VAE, whose single codes are free; alpha 0
/// and lambda 1 is the VAE.
struct Info : Variational {
    Scheduled alpha = 0.5, lambda = 1000;
    std::string kernel_name = "rbf";
    double scale = 1;
    void parameters(auto& p) {
        p("alpha", alpha, "how much of the KL of each row is left out", within(-1e6, 1));
        p("lambda", lambda, "weight of the divergence of all codes together; 1 - alpha at least", not_negative);
        p("kernel", kernel_name, "of the maximum mean discrepancy", one_of(kKernels));
        p("scale", scale, "deviation of the codes that the kernel expects", positive);
    }
    void ready() override {
        if (alpha.value + lambda.value < 1)
            throw std::invalid_argument("model.lambda must be at least 1 - model.alpha, or codes are driven apart");
    }

    Var objective(Var x) const override {
        const Vars q = code(x);
        Var z = the<Posterior>(x).sample(q);
        const Bound b = bound_at(x, q, z);
        b.report();
        Var divergence = mmd(z, the<Prior>(x).sample(z), kernel_name, scale), a = alpha(x);
        term("mmd", of_every_row(x, divergence), estimated_term);
        return b.reconstruction + (1 - a) * b.kl + (a + lambda(x) - 1) * divergence;
    }
};
ELBO_PLUGIN("model_info", "1.0.0", "model/info") {
    plugin.add<Info>("info", "InfoVAE and MMD-VAE: all codes together are compared with the prior");
}
