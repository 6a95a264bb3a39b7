#include "values.hpp"
using namespace elbo;

/// Laplace(mu, b) per value: |x - mu| / b + log 2b.
struct Laplace : Likelihood {
    Spread spread;
    void parameters(auto& p) { spread.parameters(p); }
    void ready() override { spread.ready(); }

    std::int64_t channels() const override { return spread.channels(); }
    Var nll(Var raw, Var x) const override { return sum_rows(nll_values(raw, x)); }
    Var nll_values(Var raw, Var x) const override {
        Var log_b = 0.5 * spread.log_square(raw);
        return abs(x - mean(raw)) * exp(-log_b) + log_b + std::log(2.0);
    }
    Var mean(Var raw) const override { return spread.location(raw); }
    Var sample(Var raw) const override {
        Var mu = mean(raw);
        return mu + exp(0.5 * spread.log_square(raw)) * laplace_like(mu);
    }
};
ELBO_PLUGIN("likelihood_laplace", "1.0.0", "likelihood/laplace") {
    plugin.add<Laplace>("laplace", "absolute error, normalised; its scale fixed or learned");
}
