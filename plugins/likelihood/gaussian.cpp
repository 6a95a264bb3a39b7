#include "optimal.hpp"
using namespace elbo;

/// N(mu, s^2) per value, normalised: 1/2 (x - mu)^2 / s^2 + log s + 1/2 log 2 pi. The variance is given, learned (one
/// for all values, or one per value by the decoder), or the best there is: the mean squared error of the batch (Rybkin
/// et al. 2021), and in evaluation its running average. s^2 is then a constant to the gradient, which is that of
/// D/2 log s^2 + D/2: at its optimum the derivative by s^2 vanishes.
struct Gaussian : Likelihood {
    Spread spread{.how = "optimal"};
    OptimalVariance optimal;
    void parameters(auto& p) {
        spread.parameters(p, "variance",
                          "optimal: the mean squared error of the batch; shared: one learned for all; fixed: `scale`; "
                          "per_value: by the decoder",
                          "optimal|shared|fixed|per_value");
    }
    void ready() override { spread.ready(); }

    std::int64_t channels() const override { return spread.channels(); }
    Var nll(Var raw, Var x) const override { return sum_rows(nll_values(raw, x)); }
    Var nll_values(Var raw, Var x) const override {
        Var mu = mean(raw);
        if (spread.how != "optimal") return gaussian_nll(mu, log_var(raw), x);
        return gaussian_nll(mu, log(optimal.of(square(x - mu), {0, 1}, spread)), x);
    }
    Var mean(Var raw) const override { return spread.location(raw); }
    Var sample(Var raw) const override { return drawn(raw, 1); }
    Var pick(Var raw) const override { return drawn(raw, pick_temperature(raw)); }

private:
    Var drawn(Var raw, In heat) const {
        Var mu = mean(raw);
        return mu + heat * exp(0.5 * log_var(raw)) * normal_like(mu);
    }
    Var log_var(Var raw) const {
        return spread.how == "optimal" ? log(optimal.remembered(raw, {1, 1}, spread))
                                       : spread.log_square(raw, "log_var");
    }
};
ELBO_PLUGIN("likelihood_gaussian", "1.0.0", "likelihood/gaussian") {
    plugin.add<Gaussian>("gaussian", "Gaussian noise, its variance fitted, fixed or learned");
}
