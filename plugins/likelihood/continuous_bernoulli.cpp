#include <elbo/plugin.hpp>
using namespace elbo;

/// Continuous Bernoulli (Loaiza-Ganem and Cunningham 2019), the Bernoulli's form normalised over [0, 1]. In logits l
/// its constant is C = l / tanh(l / 2), so that -log p(x) = -l (x - 1/2) + log(2 sinh(l / 2) / l). Near l = 0 the last
/// term, and the mean, are their Taylor series.
struct ContinuousBernoulli : Likelihood {
    std::vector<double> support() const override { return {0, 1}; }
    Var nll(Var l, Var x) const override { return sum_rows(nll_values(l, x)); }
    Var nll_values(Var l, Var x) const override {
        Var a = far(l), h = square(0.5 * l);
        Var series = h * (1 / 6.0 + h * (-1 / 180.0 + h * (1 / 2835.0 - h / 37800.0))) - l * (x - 0.5);
        return where(is_near(l), series, max(l, 0) - l * x + log(-expm1(-a) / a));
    }
    Var mean(Var l) const override {
        Var a = far(l), q = square(l);
        Var series = l * (1 / 12.0 + q * (-1 / 720.0 + q * (1 / 30240.0 - q / 1209600.0)));
        return 0.5 + where(is_near(l), series, sign(l) * (0.5 / tanh(0.5 * a) - 1 / a));
    }
    /// By the inverse of its distribution function, log(1 + u (e^l - 1)) / l, for the tail that does not overflow.
    Var sample(Var l) const override {
        Var a = max(abs(l), 1e-6);
        Var y = clamp(-log1p(uniform_like(l) * expm1(-a)) / a, 0, 1);
        return where(greater(l, 0), 1 - y, y);
    }

private:
    static constexpr double kNear = 0.5;
    static Var is_near(Var l) { return less(abs(l), kNear); }
    /// |l|, or what can be divided by where the series serves.
    static Var far(Var l) { return where(is_near(l), 1, abs(l)); }
};
ELBO_PLUGIN("likelihood_continuous_bernoulli", "1.0.0", "likelihood/continuous_bernoulli") {
    plugin.add<ContinuousBernoulli>("continuous_bernoulli", "the Bernoulli's form as a density of greys in [0, 1]");
}
