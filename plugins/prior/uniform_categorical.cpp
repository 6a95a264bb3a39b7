#include <elbo/plugin.hpp>
using namespace elbo;

/// Groups of K classes, each as likely as the others: log p(z) = -groups log K. Its KL to posterior categorical is
/// closed: sum q (log q + log K).
struct UniformCategorical : Prior {
    std::int64_t classes = 10;
    void parameters(auto& p) {
        p("classes", classes, "of each group; as many as the posterior has", within(2, 1 << 16));
    }
    std::string space() const override { return "groups of " + std::to_string(classes) + " classes"; }

    Var log_prob(Var z) const override {
        Shape rows = shape(z);
        const double groups = double(rows.back()) / double(classes);
        rows.pop_back();
        return constant(z, -groups * std::log(double(classes)), rows);
    }
    Var sample(Var like) const override {
        const Shape s = shape(like);
        if (s[1] % classes != 0)
            throw std::invalid_argument("prior.classes " + std::to_string(classes) + " does not divide the code of " +
                                        std::to_string(s[1]) + " numbers; choose --latent accordingly");
        Var ids = categorical(constant(like, 0, {s[0], s[1] / classes, classes}));
        return flatten(one_hot(reshape(ids, {s[0], s[1] / classes, 1}), classes));
    }
    std::optional<Var> kl(std::string_view family, const Vars& p) const override {
        if (family != "categorical") return {};
        Var log_q = log_softmax(p[0]);
        return sum_rows(exp(log_q) * (log_q + std::log(double(classes))));
    }
};
ELBO_PLUGIN("prior_uniform_categorical", "1.0.0", "prior/uniform_categorical") {
    plugin.add<UniformCategorical>("uniform_categorical", "groups of equally likely classes");
}
