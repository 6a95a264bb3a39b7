#include "values.hpp"
using namespace elbo;

/// Student's t per value, t = (x - mu) / s: log G(v/2) - log G((v+1)/2) + 1/2 log(v pi) + log s
/// + (v+1)/2 log(1 + t^2 / v). `mean` is mu, the median where v <= 1 leaves no mean.
struct StudentT : Likelihood {
    Spread spread;
    double freedom = 5;
    bool learn_freedom = false;
    void parameters(auto& p) {
        p("freedom", freedom, "degrees of freedom v; where they start when learned", positive);
        p("learn_freedom", learn_freedom, "one number of degrees for all values, above 1");
        spread.parameters(p);
    }
    void ready() override {
        spread.ready();
        if (learn_freedom && freedom <= 1)
            throw std::invalid_argument("likelihood.freedom must be above 1 when it is learned");
    }

    std::int64_t channels() const override { return spread.channels(); }
    Var nll(Var raw, Var x) const override { return sum_rows(nll_values(raw, x)); }
    Var nll_values(Var raw, Var x) const override {
        Var v = degrees(raw), log_square = spread.log_square(raw);
        return lgamma(0.5 * v) - lgamma(0.5 * (v + 1)) + 0.5 * log(M_PI * v) + 0.5 * log_square +
               0.5 * (v + 1) * log1p(square(x - mean(raw)) * exp(-log_square) / v);
    }
    Var mean(Var raw) const override { return spread.location(raw); }
    Var sample(Var raw) const override {
        Var mu = mean(raw), half = broadcast_to(0.5 * degrees(raw), shape(mu));
        return mu + exp(0.5 * spread.log_square(raw)) * normal_like(mu) * sqrt(half / gamma(half));
    }

private:
    Var degrees(Var raw) const {
        if (!learn_freedom) return constant(raw, freedom);
        return floored(parameter(raw, "freedom", {1}, Init::constant(1 + inverse_softplus(freedom - 1))), 1);
    }
};
ELBO_PLUGIN("likelihood_student_t", "1.0.0", "likelihood/student_t") {
    plugin.add<StudentT>("student_t", "heavy tails: outliers weigh little");
}
