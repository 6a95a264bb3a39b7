#include "values.hpp"
using namespace elbo;

/// Counts of mean m and size r, of variance m + m^2 / r. With l = log(m / r): log G(r) + log x! - log G(x + r)
/// + r log(1 + e^l) + x log(1 + e^-l).
struct NegativeBinomial : Likelihood {
    std::string dispersion = "shared";
    void parameters(auto& p) {
        p("dispersion", dispersion, "the size r, 1 at first: shared: one learned for all; per_value: by the decoder",
          one_of("shared|per_value"));
    }

    bool discrete() const override { return true; }
    std::vector<double> support() const override { return {0, std::numeric_limits<double>::infinity()}; }
    std::int64_t channels() const override { return dispersion == "per_value" ? 2 : 1; }
    Var nll(Var raw, Var x) const override { return sum_rows(nll_values(raw, x)); }
    Var nll_values(Var raw, Var x) const override {
        Var log_r = log_size(raw), r = exp(log_r), l = log_mean(raw) - log_r;
        Var value = lgamma(r) + lgamma(x + 1) - lgamma(x + r) + r * softplus(l) + x * softplus(-l);
        return supported(is_count(x), value);
    }
    Var mean(Var raw) const override { return exp(log_mean(raw)); }
    /// Poisson of a gamma rate.
    Var sample(Var raw) const override {
        Var m = mean(raw), r = broadcast_to(exp(log_size(raw)), shape(m));
        return poisson(gamma(r) * m / r);
    }

private:
    Var log_mean(Var raw) const { return log_rate(channel(raw, 0, channels())); }
    /// Within exp(+-7): larger sizes are Poisson's but for what f32 cannot tell.
    Var log_size(Var raw) const {
        return soft_clamp(channels() == 2 ? channel(raw, 1, 2) : parameter(raw, "log_size", {1}), 7);
    }
};
ELBO_PLUGIN("likelihood_negative_binomial", "1.0.0", "likelihood/negative_binomial") {
    plugin.add<NegativeBinomial>("negative_binomial", "counts that vary more than Poisson's");
}
