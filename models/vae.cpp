#include <elbo/plugin.hpp>
using namespace elbo;

/// Variational autoencoder (Kingma and Welling 2014): minimises R + beta KL(q(z|x) || p(z)), with z a sample. The KL is
/// analytic where prior and posterior have a closed form, else the one-sample estimate log q(z|x) - log p(z).
struct Vae : Model {
    Scheduled beta = 1;
    double warmup = 0;
    std::string anomaly = "elbo";
    void parameters(auto& p) {
        p("beta", beta, "weight of the KL (Higgins et al. 2017)", not_negative);
        p("warmup", warmup, "epochs over which the weight grows linearly from 0 to beta", not_negative);
        p("score", anomaly, "what `score` gives: the negative elbo, or the reconstruction alone",
          one_of("elbo|reconstruction"));
    }
    std::string uses() const override {
        return "encoder=mlp posterior=diagonal_gaussian prior=standard_normal decoder=mlp likelihood=bernoulli";
    }

    Var objective(Var x) const override {
        auto [reconstruction, kl, closed] = terms(x);
        term("reconstruction", reconstruction, bound_term);
        term("kl", kl, closed ? bound_term : bound_term | estimated_term);
        return reconstruction + weight(x) * kl;
    }
    Var encode(Var x) const override { return the<Posterior>(x).mean(code(x)); }
    Var reconstruct(Var x) const override { return the<Likelihood>(x).mean(the<Decoder>(x).raw(encode(x))); }
    Var sample(Var like) const override {
        return the<Likelihood>(like).mean(the<Decoder>(like).raw(the<Prior>(like).sample(like)));
    }
    Var score(Var x) const override {
        auto [reconstruction, kl, closed] = terms(x);
        return anomaly == "elbo" ? reconstruction + kl : reconstruction;
    }

private:
    static Vars code(Var x) { return the<Posterior>(x).parameters_of(the<Encoder>(x).features(x)); }

    struct Terms {
        Var reconstruction, kl;
        bool closed; ///< the KL is exact, not an estimate from one sample
    };
    static Terms terms(Var x) {
        auto posterior = the<Posterior>(x);
        auto prior = the<Prior>(x);
        if (!posterior.density())
            throw std::invalid_argument("the KL from posterior '" + posterior.family() +
                                        "' is infinite: it is a point mass. Use model 'ae', or another posterior");
        Vars q = code(x);
        Var z = posterior.sample(q);
        Var reconstruction = the<Likelihood>(x).nll(the<Decoder>(x).raw(z), flatten(x));
        auto closed = prior.kl(posterior.family(), q);
        if (closed) return {reconstruction, *closed, true};
        return {reconstruction, posterior.log_prob(q, z) - prior.log_prob(z), false};
    }

    Var weight(Var x) const { return warmup == 0 ? beta(x) : beta(x) * min(epoch(x) / warmup, 1.0); }
};
ELBO_PLUGIN("model_vae", "1.0.0", "model/vae") {
    plugin.add<Vae>("vae", "variational autoencoder, with beta and warm-up");
}
