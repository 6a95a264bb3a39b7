#include <elbo/autoencoder.hpp>
#include <elbo/plugin.hpp>
using namespace elbo;

/// Hamiltonian VAE (Caterini, Doucet and Sejdinovic 2018): a draw of q(z|x) and a momentum move by leapfrog steps along
/// the slope of log p(x, z), and after each the momentum is cooled: r <- sqrt(b_(k-1) / b_k) r, from b_0 to b_K = 1 by
/// the paper's quadratic schedule, r_0 = g / sqrt(b_0) with g ~ N(0, I). What moves keeps its volume but for the
/// cooling, so that the bound is R + log q(z_0|x) - log p(z_K) + |r_K|^2 / 2 - |g|^2 / 2. Steps, one for each latent,
/// and b_0 are learned.
struct Hvae : Variational {
    std::int64_t steps = 3;
    double step_size = 0.05, most = 0.5, beta_zero = 0.3;
    void parameters(auto& p) {
        p("steps", steps, "leapfrog steps", within(1, 64));
        p("step_size", step_size, "how long each is at first", positive);
        p("most_step", most, "how long it may become", positive);
        p("beta_zero", beta_zero, "inverse temperature b_0 at first; 1: the momentum is not cooled", within(1e-3, 1));
    }
    void ready() override {
        if (step_size >= most) throw std::invalid_argument("model.step_size must be below model.most_step");
    }

    Var objective(Var x) const override {
        const Moved m = moved(x, true);
        term("reconstruction", m.nll, bound_term);
        term("kl", m.kl, bound_term | estimated_term);
        return m.nll + m.kl;
    }
    /// Where the posterior's mean moves that begins without momentum.
    Var encode(Var x) const override { return moved(x, false).z; }
    Var score(Var x) const override {
        const Moved m = moved(x, false);
        return m.nll + m.kl;
    }
    Var log_weight(Var x) const override {
        const Moved m = moved(x, true);
        return -(m.nll + m.kl);
    }

private:
    struct Moved {
        Var z, nll, kl;
    };
    Moved moved(Var x, bool draws) const {
        const auto posterior = the<Posterior>(x);
        must_match(posterior, the<Prior>(x));
        if (posterior.space() != "real")
            throw std::invalid_argument("codes move along a slope, and have to be real numbers: posterior '" +
                                        posterior.family() + "' gives others");
        const Vars q = code(x);
        Var z = draws ? posterior.sample(q) : posterior.mean(q), log_q = posterior.log_prob(q, z);
        Var noise = draws ? normal_like(z) : constant(z, 0, shape(z)), size = leap(x);
        const Var cold =
            beta_zero < 1 ? sigmoid(parameter(x, "cold", {1}, Init::constant(logit(beta_zero)))) : constant(x, 1, {1});
        Var momentum = noise * rsqrt(cold), before = sqrt(cold), slope = uphill(x, z);
        for (std::int64_t k = 1; k <= steps; ++k) {
            momentum = momentum + 0.5 * size * slope;
            z = z + size * momentum;
            slope = uphill(x, z);
            // 1 / sqrt(b_k) = (1 - 1 / sqrt(b_0)) (k / K)^2 + 1 / sqrt(b_0)
            const double share = double(k * k) / double(steps * steps);
            Var after = reciprocal((1 - rsqrt(cold)) * share + rsqrt(cold));
            momentum = (momentum + 0.5 * size * slope) * (before / after);
            before = after;
        }
        Var kl = log_q - the<Prior>(x).log_prob(z) + 0.5 * sum_rows(square(momentum) - square(noise));
        return {z, reconstruction(x, z), kl};
    }
    /// d log p(x, z) / dz. What the decoder's layers assign on the way is dropped.
    static Var uphill(Var x, Var z) {
        Var raw = auxiliary<Decoder>(x).raw_given(z, flatten(x));
        return gradient(sum_all(the<Prior>(x).log_prob(z) - the<Likelihood>(x).nll(raw, flatten(x))), {z})[0];
    }
    Var leap(Var x) const {
        return most * sigmoid(parameter(x, "step", {latent(x)}, Init::constant(logit(step_size / most))));
    }
    static double logit(double p) { return std::log(p / (1 - p)); }
};
ELBO_PLUGIN("model_hvae", "1.0.0", "model/hvae") {
    plugin.add<Hvae>("hvae", "Hamiltonian VAE: codes move along the slope of their density");
}
