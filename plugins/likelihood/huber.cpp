#include <elbo/plugin.hpp>
using namespace elbo;

/// Huber's loss: t^2 / 2 up to |t| = delta, then delta (|t| - delta / 2); t = x - mu. Not a log density: bounds made
/// with it are not comparable.
struct Huber : Likelihood {
    double delta = 1;
    void parameters(auto& p) { p("delta", delta, "where squares end and absolute values begin", positive); }

    bool density() const override { return false; }
    Var nll(Var raw, Var x) const override { return sum_rows(nll_values(raw, x)); }
    Var nll_values(Var raw, Var x) const override {
        Var t = abs(x - raw), near = min(t, delta);
        return near * (t - 0.5 * near);
    }
    Var mean(Var raw) const override { return raw; }
    Var sample(Var raw) const override { return raw; }
};
ELBO_PLUGIN("likelihood_huber", "1.0.0", "likelihood/huber") {
    plugin.add<Huber>("huber", "squared error near, absolute error far; not a density");
}
