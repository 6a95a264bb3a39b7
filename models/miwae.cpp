#include <elbo/autoencoder.hpp>
#include <elbo/plugin.hpp>
using namespace elbo;

/// Importance-weighted bounds of M groups of K codes, w = p(x, z) / q(z|x) (Rainforth et al. 2018, "Tighter variational
/// bounds are not necessarily better"): the mean over the groups of -log of a group's mean weight (MIWAE); the decoder
/// by all M K codes as one group (PIWAE); or beta times the plain bound and 1 - beta times that of one group (CIWAE).
/// With `missing`, p(x|z) is that of the values that are there (Mattei and Frellsen 2019, the other MIWAE), and
/// `reconstruct` gives the mean of all values under the weights, which fills gaps. The encoder sees what the data set
/// put there.
struct Miwae : Variational {
    std::string bound_kind = "miwae";
    std::int64_t groups = 5, samples = 10;
    double beta = 0.5;
    bool missing = false;
    void parameters(auto& p) {
        p("bound", bound_kind, "miwae: mean of the groups; piwae: the decoder's is of one group; ciwae: with the elbo",
          one_of("miwae|piwae|ciwae"));
        p("groups", groups, "M, whose bounds are averaged", within(1, 1 << 10));
        p("samples", samples, "K, codes of a group, whose weights are averaged", within(1, 1 << 16));
        p("beta", beta, "share of the elbo in ciwae", within(0, 1));
        p("missing", missing, "values are missing where the data's field `observed` is 0: --data.missing mark");
    }

    Var objective(Var x) const override {
        must_write_at_once(x);
        const Drawn d = draw(x);
        const double m = double(groups), k = double(samples);
        Var each = mean(std::log(k) - log_sum_exp(reshape(d.log_w, {rows(x), groups, samples}), {2}), {1});
        Var all = std::log(m * k) - log_sum_exp(d.log_w, {1}), plain = mean(-d.log_w, {1}), loss = each;
        if (bound_kind == "ciwae") loss = beta * plain + (1 - beta) * all;
        if (bound_kind == "piwae") also_minimise("decoder_bound", all, "decoder likelihood prior");
        Var nll = mean(d.nll, {1}), kl = plain - nll;
        term("reconstruction", nll, bound_term);
        term("kl", kl, bound_term | estimated_term);
        term("importance", loss - plain, bound_term | estimated_term);
        return loss;
    }
    /// E[x] under the weights of the codes drawn.
    Var reconstruct(Var x) const override {
        const Drawn d = draw(x);
        Var made = the<Likelihood>(x).mean(d.raw); // [B M K, D]
        Var weight = reshape(softmax(d.log_w), {rows(x), groups * samples, 1});
        return sum(weight * reshape(made, {rows(x), groups * samples, last_size(made)}), {1});
    }
    Var score(Var x) const override {
        const Vars q = code(x);
        Var z = the<Posterior>(x).mean(q), raw = the<Decoder>(x).raw(z);
        return nll_of(x, raw, 1) + bound(x, q, z, raw).kl;
    }
    Var log_weight(Var x) const override {
        const Vars q = code(x);
        Var z = the<Posterior>(x).sample(q);
        return -log_ratio(q, z) - nll_of(x, the<Decoder>(x).raw(z), 1);
    }

private:
    static std::int64_t rows(Var x) { return shape(x)[0]; }

    /// M K codes of every row: log w and -log p(x|z), [B, M K]; what the decoder makes of them, [B M K, ...].
    struct Drawn {
        Var log_w, nll, raw;
    };
    Drawn draw(Var x) const {
        const std::int64_t n = groups * samples;
        const Vars q = the<Posterior>(x).parameters_of(repeat_rows(the<Encoder>(x).features(x), n));
        Var z = the<Posterior>(x).sample(q), raw = the<Decoder>(x).raw(z), nll = nll_of(x, raw, n);
        const Shape each{rows(x), n};
        return {reshape(-nll - log_ratio(q, z), each), reshape(nll, each), raw};
    }
    /// -log p(x|z) of n codes of every row, [B n], of the values that are there.
    Var nll_of(Var x, Var raw, std::int64_t n) const {
        Var wide = repeat_rows(flatten(x), n);
        if (!missing) return the<Likelihood>(x).nll(raw, wide);
        Var there = repeat_rows(flatten(field(x, "observed")), n);
        return sum_rows(where(there, the<Likelihood>(x).nll_values(raw, wide), 0));
    }
};
ELBO_PLUGIN("model_miwae", "1.0.0", "model/miwae") {
    plugin.add<Miwae>("miwae", "groups of importance-weighted codes: MIWAE, PIWAE, CIWAE; missing values");
}
