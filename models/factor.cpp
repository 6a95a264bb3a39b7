#include <elbo/autoencoder.hpp>
#include <elbo/divergences.hpp>
#include <elbo/plugin.hpp>
using namespace elbo;

/// FactorVAE (Kim and Mnih 2018): a VAE whose codes are pushed towards independence. A critic learns to tell codes from
/// codes whose latents come from different rows; its log odds estimate the total correlation, weighed by gamma.
/// Minimises R + KL + gamma TC over the autoencoder, and the critic's cross-entropy over the critic, in one step.
struct Factor : Variational {
    Scheduled gamma = 10;
    void parameters(auto& p) { p("gamma", gamma, "weight of the total correlation", not_negative); }
    std::string uses() const override { return Variational::uses() + " critic:encoder=mlp"; }

    Var objective(Var x) const override {
        const Vars q = code(x);
        Var z = the<Posterior>(x).sample(q);
        const Bound b = bound_at(x, q, z);
        b.report();
        Var correlation = log_odds(z);
        term("total_correlation", correlation, estimated_term);
        // Cross-entropy of "from one row" against "from different rows"; no gradient to the autoencoder.
        Var still = stop_gradient(z);
        also_minimise("critic_loss", 0.5 * told_apart(still, mixed(still)), "critic model");
        return b.reconstruction + b.kl + gamma(x) * correlation;
    }

private:
    /// Latent j of row i from row i + j + 1 of the batch: rows are drawn in random order, so these are independent.
    static Var mixed(Var z) {
        const Shape s = shape(z);
        Var all = constant(z, 0, s);
        for (std::int64_t j = 0; j < s[1]; ++j) {
            const std::int64_t by = (j + 1) % s[0];
            Var column = slice(z, 1, j, j + 1);
            Var rolled = pad(slice(column, 0, by, s[0]), 0, 0, by) + pad(slice(column, 0, 0, by), 0, s[0] - by, 0);
            all = all + pad(rolled, 1, j, s[1] - j - 1);
        }
        return all;
    }
};
ELBO_PLUGIN("model_factor", "1.0.0", "model/factor") {
    plugin.add<Factor>("factor", "FactorVAE: a critic pushes latents towards independence");
}
