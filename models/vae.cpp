#include <elbo/autoencoder.hpp>
#include <elbo/plugin.hpp>
using namespace elbo;

/// Variational autoencoder (Kingma and Welling 2014): minimises R + beta KL(q(z|x) || p(z)), with z a sample. The KL is
/// analytic where prior and posterior have a closed form, else the one-sample estimate log q(z|x) - log p(z).
/// By parameters the KL is held at a capacity (Burgess et al. 2018) or above free bits (Kingma et al. 2016), and the
/// bound is the importance-weighted one (Burda et al. 2016), its gradient doubly reparameterised (Tucker et al. 2019).
struct Vae : Variational {
    Scheduled beta = 1, capacity = 0;
    double warmup = 0, free_bits = 0;
    std::int64_t samples = 1;
    std::string kind_of_bound = "elbo", slope = "standard", anomaly = "elbo";
    void parameters(auto& p) {
        p("beta", beta, "weight of the KL (Higgins et al. 2017)", not_negative);
        p("warmup", warmup, "epochs over which the weight grows linearly from 0 to beta", not_negative);
        p("capacity", capacity, "nats C the KL is held at: beta |KL - C|, of the batch's mean KL", not_negative);
        p("free_bits", free_bits, "nats per latent below which the batch's mean KL is not reduced", not_negative);
        p("samples", samples, "codes drawn per example", within(1, 1 << 12));
        p("bound", kind_of_bound,
          "elbo: the mean over the codes drawn; importance: -log of their mean weight p(x,z)/q(z|x)",
          one_of("elbo|importance"));
        p("gradient", slope, "of the importance-weighted bound to the encoder",
          one_of("standard|doubly_reparameterised"));
        p("score", anomaly, "what `score` gives at the mean code: the negative elbo, or the reconstruction alone",
          one_of("elbo|reconstruction"));
    }
    void ready() override {
        const bool weighted = kind_of_bound == "importance";
        if (free_bits > 0 && capacity.value > 0)
            throw std::invalid_argument("model.free_bits and model.capacity exclude each other");
        if (slope != "standard" && !weighted)
            throw std::invalid_argument("model.gradient doubly_reparameterised needs model.bound importance");
        if (weighted && (free_bits > 0 || capacity.value > 0 || warmup > 0 || beta.value != 1))
            throw std::invalid_argument(
                "model.bound importance has no KL of its own: beta, warmup, capacity and free_bits stay as they are");
    }

    Var objective(Var x) const override {
        Var h = the<Encoder>(x).features(x);
        if (kind_of_bound == "importance") return importance_weighted(x, h);
        const Vars q = the<Posterior>(x).parameters_of(h);
        Bound b = bound_at(x, q, the<Posterior>(x).sample(q));
        if (samples > 1) {
            const Draws d = draws(x, h);
            b.reconstruction = mean(d.nll, {1});
            if (!b.closed) b.kl = mean(d.kl, {1});
        }
        b.report();
        return b.reconstruction + penalty(x, b);
    }
    /// At the mean code: nothing is drawn, so that equal rows have equal scores.
    Var score(Var x) const override {
        const Vars q = code(x);
        const Bound b = bound_at(x, q, the<Posterior>(x).mean(q));
        return anomaly == "elbo" ? b.reconstruction + b.kl : b.reconstruction;
    }

private:
    Var penalty(Var x, const Bound& b) const {
        const Var weight = warmup == 0 ? beta(x) : beta(x) * min(epoch(x) / warmup, 1.0);
        if (free_bits > 0) {
            if (!b.latents)
                throw std::invalid_argument(
                    "model.free_bits needs a KL latent by latent, which this prior does not have "
                    "for posterior '" +
                    the<Posterior>(x).family() + "'");
            return weight * sum_all(max(mean(*b.latents, {0}), free_bits));
        }
        return capacity.value > 0 ? weight * abs(mean_all(b.kl) - capacity(x)) : weight * b.kl;
    }

    /// Several codes of every row: each [B, K].
    struct Draws {
        Var nll, kl; ///< kl: log q(z|x) - log p(z)
    };
    Draws draws(Var x, Var h) const {
        const Vars q = the<Posterior>(x).parameters_of(repeat_rows(h, samples));
        return weighed(x, q, the<Posterior>(x).sample(q));
    }
    Draws weighed(Var x, const Vars& q, Var z) const {
        const Shape each{shape(x)[0], samples};
        Var again = repeat_rows(flatten(x), samples), nll = the<Likelihood>(x).nll(raw_of(again, z), again);
        return {reshape(nll, each), reshape(log_ratio(q, z), each)};
    }

    /// -log 1/K sum_k w_k with w = p(x, z) / q(z|x), [B]. What it is better than the mean of -log w_k is a term of its
    /// own.
    Var importance_weighted(Var x, Var h) const {
        const bool twice = slope != "standard" && training(x);
        Vars q = the<Posterior>(x).parameters_of(repeat_rows(h, samples));
        const Var drawn = the<Posterior>(x).sample(q);
        Var z = drawn;
        if (twice) {
            z = stop_gradient(z);
            for (Var& p : q) p = stop_gradient(p);
        }
        const Draws d = weighed(x, q, z);
        Var log_w = -d.nll - d.kl;
        Var loss = std::log(double(samples)) - log_sum_exp(log_w, {1});
        Var nll = mean(d.nll, {1}), kl = mean(d.kl, {1});
        term("reconstruction", nll, bound_term);
        term("kl", kl, bound_term | estimated_term);
        term("importance", loss - nll - kl, bound_term | estimated_term);
        return twice ? doubly_reparameterised(loss, log_w, z, drawn) : loss;
    }

    /// The same value. Its gradient to the decoder is that of the bound, with weights v = w / sum w; to the encoder it
    /// is that of sum v^2 log w through z alone (Tucker et al. 2019, equation 8).
    Var doubly_reparameterised(Var loss, Var log_w, Var z, Var drawn) const {
        Var v = stop_gradient(softmax(log_w, {1}));
        Var of_codes = gradient(sum_all(-square(v) * log_w), {z})[0];
        Var through = sum_rows(stop_gradient(of_codes) * drawn);
        Var surrogate = sum(-v * log_w, {1}) + sum(reshape(through, shape(log_w)), {1});
        return stop_gradient(loss - surrogate) + surrogate;
    }
};
ELBO_PLUGIN("model_vae", "1.1.0", "model/vae") {
    plugin.add<Vae>("vae", "variational autoencoder: beta, warm-up, capacity, free bits, importance weights");
}
