#include "values.hpp"
using namespace elbo;

/// Beta(m n, (1 - m) n) per value, its mean m = sigmoid(raw) and concentration n = 2 exp(raw): uniform at raw = 0.
/// Its density may be infinite at 0 and 1, so data there are moved inside by eps.
struct Beta : Likelihood {
    double eps = 1e-3, most = 1000;
    void parameters(auto& p) {
        p("eps", eps, "data are kept within [eps, 1 - eps]", within(1e-5, 0.1));
        p("most", most, "bound of the concentration; 4 / most is the lower one", within(4, 1e4));
    }

    std::vector<double> support() const override { return {0, 1}; }
    std::int64_t channels() const override { return 2; }
    Var nll(Var raw, Var x) const override { return sum_rows(nll_values(raw, x)); }
    Var nll_values(Var raw, Var x) const override {
        Var a = alpha(raw), b = beta(raw), at = clamp(x, eps, 1 - eps);
        return lgamma(a) + lgamma(b) - lgamma(concentration(raw)) - (a - 1) * log(at) - (b - 1) * log1p(-at);
    }
    Var mean(Var raw) const override { return sigmoid(logit(raw)); }
    /// A / (A + B) of gamma variables, by their logarithms: Gamma(a) = Gamma(a + 1) u^(1/a).
    Var sample(Var raw) const override { return sigmoid(log_gamma(alpha(raw)) - log_gamma(beta(raw))); }

private:
    static Var logit(Var raw) { return soft_clamp(channel(raw, 0, 2), 30); }
    Var concentration(Var raw) const { return 2 * exp(soft_clamp(channel(raw, 1, 2), std::log(most / 2))); }
    Var alpha(Var raw) const { return concentration(raw) * sigmoid(logit(raw)); }
    Var beta(Var raw) const { return concentration(raw) * sigmoid(-logit(raw)); }
    static Var log_gamma(Var a) { return log(gamma(a + 1)) + log(uniform_like(a)) / a; }
};
ELBO_PLUGIN("likelihood_beta", "1.0.0", "likelihood/beta") {
    plugin.add<Beta>("beta", "values in (0, 1) by mean and concentration");
}
