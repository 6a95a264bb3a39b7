#include <elbo/plugin.hpp>
using namespace elbo;

/// Bernoulli on logits: -log p(x) = max(l, 0) - l x + log(1 + exp(-|l|)), exact where the model is certain. Grey
/// targets in (0, 1) leave a floor of their entropy.
struct Bernoulli : Likelihood {
    bool discrete() const override { return true; }
    std::vector<double> support() const override { return {0, 1}; }
    Var nll(Var logits, Var x) const override { return sum_rows(nll_values(logits, x)); }
    Var nll_values(Var logits, Var x) const override { return bernoulli_nll(logits, x); }
    Var mean(Var logits) const override { return sigmoid(logits); }
    /// The likelier side where the temperature is 0, one value alone may be picked, or it has the share.
    Var pick(Var logits) const override {
        Var heat = pick_temperature(logits), likelier = sigmoid(abs(logits) / max(heat, 1e-6));
        Var open = logical_and(greater(pick_most(logits), 1.5), less(likelier, pick_share(logits)));
        Var u = uniform_like(logits);
        return greater(logits + heat * open * (log(u) - log1p(-u)), 0);
    }
    Var sample(Var logits) const override { return greater(sigmoid(logits), uniform_like(logits)); }
};
ELBO_PLUGIN("likelihood_bernoulli", "1.0.0", "likelihood/bernoulli") {
    plugin.add<Bernoulli>("bernoulli", "each value a coin; data in [0, 1]");
}
