#include <elbo/autoencoder.hpp>
#include <elbo/plugin.hpp>
using namespace elbo;

/// Groups of latents one above the other: p(z) = p(z_1) prod_l p(z_l | z_<l) from the top down, p(z_1) = N(0, I), and q
/// in the same order, all Gaussian (Soenderby et al. 2016; Kingma et al. 2016). Minimises R + beta sum_l
/// KL(q(z_l | x, z_<l) || p(z_l | z_<l)), each in closed form at the draws above it. A lower group's q is made of what
/// the encoder sees and of what was drawn above; with `ladder`, of the encoder's Gaussian and of p's own, weighed by
/// their precisions. The code is all groups, the top one first.
struct Hierarchical : Autoencoder {
    std::vector<std::int64_t> groups;
    bool ladder = false;
    std::string seen = "all";
    DenseLayers layers{{200}};
    Scheduled beta = 1;
    double free_bits = 0;
    void parameters(auto& p) {
        p("groups", groups, "latents of each from the top down, all of the code; none: halves", within(1, 1 << 16));
        p("ladder", ladder, "q of a lower group is weighed with p by their precisions (Soenderby et al. 2016)");
        p("seen", seen, "which groups the decoder sees", one_of("all|lowest"));
        p("beta", beta, "weight of the KL", not_negative);
        p("free_bits", free_bits, "nats per group below which the batch's mean KL is not reduced", not_negative);
        p("hidden", layers.hidden, "widths of the layers between two groups, upward and downward", within(1, 1 << 20));
        p("activation", layers.activation, "after every one of them", one_of(kActivations));
    }
    std::string uses() const override { return "encoder=mlp decoder=mlp likelihood=bernoulli"; }

    Var objective(Var x) const override {
        const Drawn d = inferred(x, true);
        Var nll = reconstruction(x, visible(d.z)), kl = concat(d.kl, 1), weight = beta(x);
        term("reconstruction", nll, bound_term);
        term("kl", kl, bound_term | latent_term);
        if (free_bits <= 0) return nll + weight * sum_rows(kl);
        for (Var each : d.kl) nll = nll + weight * max(mean_all(sum_rows(each)), free_bits);
        return nll;
    }
    Var encode(Var x) const override { return concat(inferred(x, false).z, 1); }
    Var decode(Var z) const override { return decoded(visible(split(z, sizes(z), 1))); }
    Var sample(Var like) const override {
        Vars z;
        for (std::size_t l = 0; l < sizes(like).size(); ++l) {
            const Normal p = prior(like, z, l);
            z.push_back(p.mean + temperature(like) * exp(0.5 * p.log_var) * normal_like(p.mean));
        }
        return decoded(visible(z));
    }
    Var score(Var x) const override {
        const Drawn d = inferred(x, false);
        return reconstruction(x, visible(d.z)) + sum_rows(concat(d.kl, 1));
    }
    Var log_weight(Var x) const override {
        const Drawn d = inferred(x, true);
        return -reconstruction(x, visible(d.z)) - d.log_ratio;
    }

private:
    struct Normal {
        Var mean, log_var;
        /// Up to the constant that q and p share.
        Var log_prob(Var z) const { return -0.5 * sum_rows(log_var + square(z - mean) * exp(-log_var)); }
    };
    struct Drawn {
        Vars z, kl;    ///< of each group, [B, its latents]
        Var log_ratio; ///< log q(z|x) - log p(z), [B]
    };
    Shape sizes(Var like) const {
        const std::int64_t l = latent(like);
        Shape all = groups;
        if (all.empty()) all = {l / 2, l - l / 2};
        std::int64_t sum = 0;
        for (std::int64_t n : all) sum += n;
        if (sum != l || all[0] < 1)
            throw std::invalid_argument("the groups have " + std::to_string(sum) + " latents, the code " +
                                        std::to_string(l) + ": choose model.groups and --latent (2 or more) alike");
        return all;
    }
    static Normal normal(Var h, std::int64_t n, const std::string& name) {
        return {linear(h, n, name + ".mean"), soft_clamp(linear(h, n, name + ".log_var"), 10)};
    }
    Normal prior(Var like, const Vars& above, std::size_t l) const {
        const std::int64_t n = sizes(like)[l];
        if (Var zero = constant(like, 0, {shape(like)[0], n}); l == 0) return {zero, zero};
        Scope here(like, "down" + std::to_string(l));
        return normal(layers(concat(above, 1)), n, "prior");
    }
    /// What the encoder says of each group, from its features upward.
    Vars evidence(Var x) const {
        Vars d(sizes(x).size());
        Var h = flatten(the<Encoder>(x).features(x));
        for (std::size_t l = d.size(); l-- > 0;) {
            Scope here(x, "up" + std::to_string(l));
            d[l] = h = l + 1 == d.size() ? h : layers(h);
        }
        return d;
    }
    Normal posterior(Var evidence, const Vars& above, const Normal& p, std::size_t l) const {
        Scope here(evidence, "posterior" + std::to_string(l));
        if (l > 0 && !ladder) evidence = layers(concat({evidence, concat(above, 1)}, 1));
        const Normal own = normal(evidence, last_size(p.mean), "q");
        if (l == 0 || !ladder) return own;
        Var a = exp(-own.log_var), b = exp(-p.log_var);
        return {(own.mean * a + p.mean * b) / (a + b), -log(a + b)};
    }
    Drawn inferred(Var x, bool draws) const {
        const Vars d = evidence(x);
        Drawn out{{}, {}, constant(x, 0, {shape(x)[0]})};
        for (std::size_t l = 0; l < d.size(); ++l) {
            const Normal p = prior(x, out.z, l), q = posterior(d[l], out.z, p, l);
            Var z = draws ? q.mean + exp(0.5 * q.log_var) * normal_like(q.mean) : q.mean, apart = q.log_var - p.log_var;
            out.kl.push_back(0.5 * (square(q.mean - p.mean) * exp(-p.log_var) + expm1(apart) - apart));
            out.log_ratio = out.log_ratio + q.log_prob(z) - p.log_prob(z);
            out.z.push_back(z);
        }
        return out;
    }
    Var visible(const Vars& z) const { return seen == "all" ? concat(z, 1) : z.back(); }
};
ELBO_PLUGIN("model_hierarchical", "1.0.0", "model/hierarchical") {
    plugin.add<Hierarchical>("hierarchical", "groups of latents from the top down, as a ladder or not");
}
