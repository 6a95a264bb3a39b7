#include <elbo/plugin.hpp>
using namespace elbo;

/// VampPrior (Tomczak and Welling 2018): the mixture of the posteriors of K learned pseudo-inputs,
/// log p(z) = logsumexp_k log q(z|u_k) - log K.
struct Vamp : Prior {
    std::int64_t components = 500;
    std::string init = "data";
    double mean = -0.05, deviation = 0.01;
    void parameters(auto& p) {
        p("components", components, "pseudo-inputs K", within(1, 1 << 20));
        p("init", init, "pseudo-inputs start as training rows, or as noise", one_of("data|normal"));
        p("mean", mean, "of the noise, with init normal");
        p("deviation", deviation, "of the noise, with init normal", positive);
    }

    bool encodes() const override { return true; }
    Var log_prob(Var z) const override {
        Shape rows = shape(z);
        const std::int64_t l = rows.back();
        rows.pop_back();
        std::int64_t n = 1;
        for (std::int64_t d : rows) n *= d;
        Vars q = mixture(z);
        for (Var& p : q) p = reshape(p, with_leading({1, components}, p));
        Var each = the<Posterior>(z).log_prob(q, reshape(z, {n, 1, l}));
        return reshape(log_sum_exp(each, 1) - std::log(double(components)), rows);
    }

    // One component per row, chosen by a uniform number; its parameters picked out by a product with one-hot rows.
    Var sample(Var like) const override {
        const std::int64_t n = shape(like)[0];
        Var chosen = floor(uniform_like(constant(like, 0, {n, 1})) * double(components));
        Var k = iota(like, {1, components});
        Var one_hot = (1 - greater(chosen, k)) * (1 - greater(k, chosen));
        Vars q = mixture(like);
        for (Var& p : q) p = reshape(matmul(one_hot, flatten(p)), with_leading({n}, p));
        Var drawn = the<Posterior>(like).sample(q);
        if (the<Posterior>(like).space() != "real") return drawn;
        Var middle = the<Posterior>(like).mean(q);
        return middle + temperature(like) * (drawn - middle);
    }

private:
    /// The shape of a parameter [K, ...] with K exchanged for other dimensions.
    static Shape with_leading(Shape leading, Var p) {
        const Shape s = shape(p);
        leading.insert(leading.end(), s.begin() + 1, s.end());
        return leading;
    }

    /// Parameters of q(z|u_k), each [K, ...]; pseudo-inputs are kept within the range of the data. The encoder is asked
    /// on the side: its running statistics follow the data alone.
    Vars mixture(Var like) const {
        Shape u{components};
        for (std::int64_t d : data_shape(like)) u.push_back(d);
        const auto [low, high] = data_range(like);
        Var inputs =
            parameter(like, "pseudo_inputs", u, init == "data" ? Init::data_rows() : Init::normal(mean, deviation));
        return the<Posterior>(like).parameters_of(auxiliary<Encoder>(like).features(clamp(inputs, low, high)));
    }
};
ELBO_PLUGIN("prior_vamp", "1.0.0", "prior/vamp") {
    plugin.add<Vamp>("vamp", "mixture of posteriors of learned pseudo-inputs");
}
