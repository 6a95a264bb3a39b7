#include "values.hpp"
using namespace elbo;

/// Counts of rate r = exp(raw): r - x log r + log x!.
struct Poisson : Likelihood {
    bool discrete() const override { return true; }
    std::vector<double> support() const override { return {0, std::numeric_limits<double>::infinity()}; }
    Var nll(Var raw, Var x) const override { return sum_rows(nll_values(raw, x)); }
    Var nll_values(Var raw, Var x) const override { return poisson_nll(log_rate(raw), x); }
    Var mean(Var raw) const override { return exp(log_rate(raw)); }
    Var sample(Var raw) const override { return poisson(mean(raw)); }
};
ELBO_PLUGIN("likelihood_poisson", "1.0.0", "likelihood/poisson") {
    plugin.add<Poisson>("poisson", "counts; their variance is their mean");
}
