#include <elbo/plugin.hpp>
using namespace elbo;

/// Independent latents with heavy tails: log p(z) = lgamma((n+1)/2) - lgamma(n/2) - 1/2 log(n pi) - log s - (n+1)/2
/// log(1 + (z/s)^2 / n).
struct StudentT : Prior {
    double freedom = 5, scale = 1;
    void parameters(auto& p) {
        p("freedom", freedom, "degrees of freedom n", positive);
        p("scale", scale, "s of each latent", positive);
    }

    Var log_prob(Var z) const override {
        const double n = freedom;
        const double log_c = std::lgamma((n + 1) / 2) - std::lgamma(n / 2) - 0.5 * std::log(n * M_PI) - std::log(scale);
        return sum(log_c - (n + 1) / 2 * log1p(square(z / scale) / n), {-1});
    }
    Var sample(Var like) const override {
        Var square_sum = 2 * gamma(constant(like, freedom / 2, shape(like)));
        return scale * temperature(like) * normal_like(like) / sqrt(max(square_sum, 1e-30) / freedom);
    }
};
ELBO_PLUGIN("prior_student_t", "1.0.0", "prior/student_t") {
    plugin.add<StudentT>("student_t", "independent latents with heavy tails");
}
