#include <elbo/autoencoder.hpp>
#include <elbo/plugin.hpp>
using namespace elbo;

/// beta-TC-VAE (Chen et al. 2018, "Isolating sources of disentanglement in VAEs"): the KL in three parts, of which the
/// total correlation is weighed. Minimises R + alpha I(x; z) + beta KL(q(z) || prod q(z_j)) + gamma (KL(prod q(z_j) ||
/// p(z))), with log q(z) and log q(z_j) estimated from the batch by weighted (mws) or stratified (mss) sampling.
struct BetaTc : Variational {
    Scheduled beta = 6, alpha = 1, gamma = 1;
    std::string estimator = "mss";
    void parameters(auto& p) {
        p("beta", beta, "weight of the total correlation", not_negative);
        p("alpha", alpha, "weight of the information between data and code", not_negative);
        p("gamma", gamma, "weight of how far each latent is from its prior", not_negative);
        p("estimator", estimator,
          "of log q(z): mss, weights under which the mean of q(z) is right; mws, a mean over the batch over the number "
          "of training rows, which moves the total correlation by about log N for each latent but one",
          one_of("mss|mws"));
    }

    Var objective(Var x) const override {
        const Vars q = code(x);
        if (the<Posterior>(x).family() != "diagonal_gaussian")
            throw std::invalid_argument(
                "model beta_tc needs densities latent by latent, which posterior diagonal_gaussian has, and not '" +
                the<Posterior>(x).family() + "'");
        Var z = the<Posterior>(x).sample(q);
        const Bound b = bound_at(x, q, z);
        b.report();
        const Aggregate all = aggregate(q, z);
        Var information = the<Posterior>(x).log_prob(q, z) - all.joint, correlation = all.joint - all.product,
            apart = all.product - the<Prior>(x).log_prob(z);
        term("mutual_information", information, estimated_term);
        term("total_correlation", correlation, estimated_term);
        term("latent_kl", apart, estimated_term);
        return b.reconstruction + alpha(x) * information + beta(x) * correlation + gamma(x) * apart;
    }

private:
    /// log q(z) and log prod q(z_j), each [B].
    struct Aggregate {
        Var joint, product;
    };
    Aggregate aggregate(const Vars& q, Var z) const {
        const std::int64_t n = shape(z)[0], l = shape(z)[1];
        Var mean = reshape(q[0], {1, n, l}), log_var = reshape(q[1], {1, n, l});
        Var apart = reshape(z, {n, 1, l}) - mean; // of code i from row j's posterior
        Var each = -0.5 * (square(apart) * exp(-log_var) + log_var + std::log(2 * M_PI));
        Var weight = log_weights(z); // once for a density, of all latents or of one
        return {log_sum_exp(sum(each, {2}) + weight, {1}),
                sum_rows(log_sum_exp(each + reshape(weight, {n, n, 1}), {1}))};
    }

    /// log of the weight that row j's posterior has in the estimate at code i, [B, B].
    Var log_weights(Var z) const {
        const std::int64_t b = shape(z)[0];
        const double rows = double(std::max(training_rows(z), b)), others = double(b - 1);
        if (estimator == "mws") return constant(z, -std::log(double(b) * rows), {b, b});
        if (b == 1) return constant(z, 0, {1, 1}); // its own row is all there is
        // Row i itself stands for one row of N, the next for what the others, drawn without it, do not (appendix C.2).
        Var row = reshape(iota(z, {b}), {b, 1}), column = iota(z, {b});
        Var own = equal(row, column), next = equal(where(equal(row, double(b - 1)), 0, row + 1), column);
        return log(where(own, 1 / rows, where(next, (rows - others) / (rows * others), 1 / others)));
    }
};
ELBO_PLUGIN("model_beta_tc", "1.0.0", "model/beta_tc") {
    plugin.add<BetaTc>("beta_tc", "beta-TC-VAE: the total correlation of the codes is weighed");
}
