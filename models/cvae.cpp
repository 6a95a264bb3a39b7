#include <elbo/plugin.hpp>
using namespace elbo;

/// Conditional VAE (Sohn et al. 2015): encoder and decoder see the class beside x and z, so that samples have the class
/// they are asked for. Minimises R + beta KL(q(z|x, c) || p(z)).
struct Cvae : Model {
    Scheduled beta = 1;
    void parameters(auto& p) { p("beta", beta, "weight of the KL", not_negative); }
    std::string uses() const override {
        return "encoder=mlp posterior=diagonal_gaussian prior=standard_normal decoder=mlp likelihood=bernoulli";
    }

    Var objective(Var x) const override {
        const Vars q = code(x);
        Var z = the<Posterior>(x).sample(q);
        const Bound b = bound(x, q, z, decoded(z));
        b.report();
        return b.reconstruction + beta(x) * b.kl;
    }
    Var encode(Var x) const override { return the<Posterior>(x).mean(code(x)); }
    Var reconstruct(Var x) const override { return the<Likelihood>(x).mean(decoded(encode(x))); }
    Var sample(Var like) const override { return the<Likelihood>(like).mean(decoded(the<Prior>(like).sample(like))); }
    /// At the mean code.
    Var score(Var x) const override {
        const Vars q = code(x);
        Var z = the<Posterior>(x).mean(q);
        const Bound b = bound(x, q, z, decoded(z));
        return b.reconstruction + b.kl;
    }

private:
    /// What is seen, with the class behind it: [B, n] -> [B, n + classes].
    static Var with_class(Var x) {
        const std::int64_t n = shape(x)[1], k = classes(x);
        return pad(x, 1, 0, k) + pad(one_hot(labels(x), k), 1, n, 0);
    }
    static Vars code(Var x) {
        return the<Posterior>(x).parameters_of(with_class(flatten(the<Encoder>(x).features(x))));
    }
    static Var decoded(Var z) { return the<Decoder>(z).raw(with_class(z)); }
};
ELBO_PLUGIN("model_cvae", "1.0.0", "model/cvae") { plugin.add<Cvae>("cvae", "conditional VAE: takes classes"); }
