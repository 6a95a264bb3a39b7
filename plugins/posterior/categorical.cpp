#include <elbo/plugin.hpp>
using namespace elbo;

/// Groups of K classes: the code holds a probability for each class of each group. Draws are relaxed by Gumbel noise at
/// a temperature that falls from epoch to epoch, max(least, start exp(-rate epoch)) (Jang et al. 2017; Maddison et al.
/// 2017).
struct Categorical : Posterior {
    std::int64_t classes = 10;
    double temperature = 1, rate = 0.1, least = 0.5;
    bool hard = false;
    void parameters(auto& p) {
        p("classes", classes, "of each group; they divide the size of the code", within(2, 1 << 16));
        p("temperature", temperature, "of the first epoch", positive);
        p("rate", rate, "at which it falls per epoch", not_negative);
        p("least", least, "temperature; of everything but training, too", positive);
        p("hard", hard, "draws are one class, with the gradient of the relaxed draw");
    }
    void ready() override {
        if (least > temperature) throw std::invalid_argument("posterior.least is above posterior.temperature");
    }

    std::string family() const override { return "categorical"; }
    std::string space() const override { return "groups of " + std::to_string(classes) + " classes"; }
    /// Logits, [B, groups, K].
    Vars parameters_of(Var features) const override {
        const std::int64_t l = latent(features);
        if (l % classes != 0)
            throw std::invalid_argument("posterior.classes " + std::to_string(classes) +
                                        " does not divide the code of " + std::to_string(l) +
                                        " numbers; choose --latent accordingly");
        return {reshape(linear(features, l, "logits"), {shape(features)[0], l / classes, classes})};
    }
    Var sample(const Vars& p) const override {
        Var t = max(temperature * exp(-rate * epoch(p[0])), least);
        Var relaxed = softmax((p[0] + gumbel_like(p[0])) / t);
        if (!hard) return flatten(relaxed);
        Var one = one_hot(reshape(argmax(relaxed), with_last(p[0], 1)), classes);
        return flatten(straight_through(one, relaxed));
    }
    /// The probabilities.
    Var mean(const Vars& p) const override { return flatten(softmax(p[0])); }
    Var log_prob(const Vars&, Var) const override {
        throw std::invalid_argument(
            "posterior 'categorical' draws relaxed classes, whose density says nothing of the "
            "classes themselves; use a prior with a closed KL: uniform_categorical");
    }

private:
    static Shape with_last(Var x, std::int64_t n) {
        Shape s = shape(x);
        s.back() = n;
        return s;
    }
};
ELBO_PLUGIN("posterior_categorical", "1.0.0", "posterior/categorical") {
    plugin.add<Categorical>("categorical", "groups of classes, relaxed by Gumbel noise");
}
