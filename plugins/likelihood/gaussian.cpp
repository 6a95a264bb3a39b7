#include <elbo/plugin.hpp>
using namespace elbo;

/// N(mu, s^2) per value, normalised: 1/2 (x - mu)^2 / s^2 + log s + 1/2 log 2 pi. The deviation is given, or learned:
/// one for all values (Rybkin et al. 2021), or one per value by the decoder.
struct Gaussian : Likelihood {
    std::string variance = "shared";
    double scale = 1, floor = 1e-3;
    void parameters(auto& p) {
        p("variance", variance, "fixed: `scale`; shared: one learned for all; per_value: by the decoder",
          one_of("fixed|shared|per_value"));
        p("scale", scale, "the deviation s when fixed; where it starts when shared", positive);
        p("floor", floor, "smallest deviation that can be learned", positive);
    }

    void ready() override {
        if (variance == "shared" && scale <= floor)
            throw std::invalid_argument("likelihood.scale must be above likelihood.floor when the variance is learned");
    }

    std::int64_t channels() const override { return variance == "per_value" ? 2 : 1; }
    Var nll(Var raw, Var x) const override {
        Var log_var = this->log_var(raw);
        return 0.5 * sum_rows(square(x - mean(raw)) * exp(-log_var) + log_var + std::log(2 * M_PI));
    }
    Var mean(Var raw) const override { return slice(raw, 1, 0, shape(raw)[1] / channels()); }
    Var sample(Var raw) const override {
        Var mu = mean(raw);
        return mu + exp(0.5 * log_var(raw)) * normal_like(mu);
    }

private:
    // log s^2 >= log floor^2, smoothly.
    Var log_var(Var raw) const {
        const double lowest = 2 * std::log(floor), start = 2 * std::log(scale);
        if (variance == "fixed") return constant(raw, start);
        if (variance == "per_value") {
            const std::int64_t n = shape(raw)[1] / 2;
            return lowest + softplus(slice(raw, 1, n, 2 * n) - lowest);
        }
        const double above = start - lowest, inverse = above > 30 ? above : std::log(std::expm1(above));
        return lowest + softplus(parameter(raw, "log_var", {1}, Init::constant(lowest + inverse)) - lowest);
    }
};
ELBO_PLUGIN("likelihood_gaussian", "1.0.0", "likelihood/gaussian") {
    plugin.add<Gaussian>("gaussian", "Gaussian noise, its variance fixed or learned");
}
