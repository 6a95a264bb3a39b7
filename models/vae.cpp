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
        p("score", anomaly, "what `score` gives at the mean code: the negative elbo, or the reconstruction alone",
          one_of("elbo|reconstruction"));
    }
    std::string uses() const override {
        return "encoder=mlp posterior=diagonal_gaussian prior=standard_normal decoder=mlp likelihood=bernoulli";
    }

    Var objective(Var x) const override {
        const Vars q = code(x);
        const Bound b = at(x, q, the<Posterior>(x).sample(q));
        b.report();
        return b.reconstruction + weight(x) * b.kl;
    }
    Var encode(Var x) const override { return the<Posterior>(x).mean(code(x)); }
    Var reconstruct(Var x) const override { return the<Likelihood>(x).mean(the<Decoder>(x).raw(encode(x))); }
    Var sample(Var like) const override {
        return the<Likelihood>(like).mean(the<Decoder>(like).raw(the<Prior>(like).sample(like)));
    }
    /// At the mean code: nothing is drawn, so that equal rows have equal scores.
    Var score(Var x) const override {
        const Vars q = code(x);
        const Bound b = at(x, q, the<Posterior>(x).mean(q));
        return anomaly == "elbo" ? b.reconstruction + b.kl : b.reconstruction;
    }

private:
    static Vars code(Var x) { return the<Posterior>(x).parameters_of(the<Encoder>(x).features(x)); }
    static Bound at(Var x, const Vars& q, Var z) { return bound(x, q, z, the<Decoder>(x).raw(z)); }
    Var weight(Var x) const { return warmup == 0 ? beta(x) : beta(x) * min(epoch(x) / warmup, 1.0); }
};
ELBO_PLUGIN("model_vae", "1.0.0", "model/vae") {
    plugin.add<Vae>("vae", "variational autoencoder, with beta and warm-up");
}
