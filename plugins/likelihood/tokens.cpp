#include <elbo/sequences.hpp>

#include "values.hpp"
using namespace elbo;

/// A softmax over tokens at each place of a sequence, up to and with its end (token 0): -sum_t log p(x_t | ...). Raw
/// values come place by place, [B, T, tokens]. While training, label smoothing mixes in the mean over all tokens
/// (Szegedy et al. 2016).
struct Tokens : Likelihood {
    std::int64_t classes = 2;
    double smoothing = 0;
    void parameters(auto& p) {
        p("classes", classes, "tokens there are; the data say how many", within(2, 1 << 22));
        p("smoothing", smoothing, "share of the probability that is spread over all tokens while training", fraction);
    }

    bool discrete() const override { return true; }
    bool by_value() const override { return true; }
    std::vector<double> support() const override { return {0, double(classes - 1)}; }
    std::int64_t channels() const override { return classes; }

    Var nll(Var raw, Var x) const override {
        Var logits = placed(raw), there = within_sequence(x, 1);
        Var is = equal(reshape(x, {shape(x)[0], shape(x)[1], 1}), iota(x, {classes}));
        Var each = log_sum_exp(logits, {2}) - sum(is * logits, {2});
        if (smoothing > 0 && training(x))
            each = (1 - smoothing) * each + smoothing * (log_sum_exp(logits, {2}) - elbo::mean(logits, {2}));
        return sum_rows(there * each);
    }
    Var mean(Var raw) const override { return ended(argmax(placed(raw), 2)); }
    Var sample(Var raw) const override {
        const Shape s = shape(raw);
        Var flat = reshape(raw, {s[0] * s[1] / classes, classes});
        return ended(reshape(pick(flat), {s[0], s[1] / classes}));
    }

    Var pick(Var raw) const override { return picked_class(raw); }

private:
    Var placed(Var raw) const { return reshape(raw, {shape(raw)[0], shape(raw)[1] / classes, classes}); }
    static Var ended(Var ids) { return ids * within_sequence(ids, 1); }
};
ELBO_PLUGIN("likelihood_tokens", "1.0.0", "likelihood/tokens") {
    plugin.add<Tokens>("tokens", "a softmax over tokens at each place of a sequence");
}
