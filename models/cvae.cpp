#include <elbo/plugin.hpp>
using namespace elbo;

/// Conditional VAE (Sohn et al. 2015): encoder and decoder see the class c beside x and z, so that samples have the
/// class they are asked for. Minimises R + beta KL(q(z|x, c) || p(z|c)); p(z|c) is the prior, moved to a learned place
/// for each class if asked for.
struct Cvae : Model {
    Scheduled beta = 1;
    bool prior_sees_class = false;
    void parameters(auto& p) {
        p("beta", beta, "weight of the KL", not_negative);
        p("prior_sees_class", prior_sees_class, "the prior lies around a learned point of each class");
    }
    std::string uses() const override {
        return "encoder=mlp posterior=diagonal_gaussian prior=standard_normal decoder=mlp likelihood=bernoulli";
    }

    Var objective(Var x) const override {
        const Vars q = code(x);
        const Bound b = at(x, q, the<Posterior>(x).sample(q));
        b.report();
        return b.reconstruction + beta(x) * b.kl;
    }
    Var encode(Var x) const override { return the<Posterior>(x).mean(code(x)); }
    Var decode(Var z) const override { return decoded(with_class(z)); }
    Var reconstruct(Var x) const override { return decode(encode(x)); }
    Var sample(Var like) const override {
        Var z = the<Prior>(like).sample(like);
        return decode(prior_sees_class ? z + place(like) : z);
    }
    /// At the mean code.
    Var score(Var x) const override {
        const Vars q = code(x);
        const Bound b = at(x, q, the<Posterior>(x).mean(q));
        return b.reconstruction + b.kl;
    }
    Var log_weight(Var x) const override {
        const Vars q = code(x);
        Var z = the<Posterior>(x).sample(q);
        return -log_ratio(x, q, z) - the<Likelihood>(x).nll(raw(x, z), flatten(x));
    }

private:
    /// What is seen, with the class behind it: [B, n] -> [B, n + classes].
    static Var with_class(Var x) { return concat({x, one_hot(labels(x), classes(x))}, 1); }
    static Vars code(Var x) {
        if (the<Prior>(x).encodes())
            throw std::invalid_argument(
                "this prior asks for the codes of inputs that have no class; with cvae choose "
                "another one, gaussian_mixture say");
        return the<Posterior>(x).parameters_of(with_class(flatten(the<Encoder>(x).features(x))));
    }
    static Var raw(Var x, Var z) { return raw_of(x, with_class(z)); }
    /// Where the codes of each row's class lie, [B, L].
    static Var place(Var x) {
        return matmul(one_hot(labels(x), classes(x)), parameter(x, "places", {classes(x), latent(x)}));
    }
    /// log q(z|x, c) - log p(z|c).
    Var log_ratio(Var x, const Vars& q, Var z) const {
        must_match(the<Posterior>(x), the<Prior>(x));
        if (prior_sees_class && the<Prior>(x).space() != "real")
            throw std::invalid_argument("model.prior_sees_class moves codes, which have to be real numbers");
        return the<Posterior>(x).log_prob(q, z) - the<Prior>(x).log_prob(prior_sees_class ? z - place(x) : z);
    }
    Bound at(Var x, const Vars& q, Var z) const {
        if (!prior_sees_class) return bound(x, q, z, raw(x, z));
        return {the<Likelihood>(x).nll(raw(x, z), flatten(x)), log_ratio(x, q, z), {}, false};
    }
};
ELBO_PLUGIN("model_cvae", "1.1.0", "model/cvae") { plugin.add<Cvae>("cvae", "conditional VAE: takes classes"); }
