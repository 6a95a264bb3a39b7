#include <elbo/plugin.hpp>
using namespace elbo;

/// A symmetric Dirichlet over the softmax of the code, as the Gaussian of Laplace's approximation in the softmax's
/// basis (MacKay 1998; Srivastava and Sutton 2017): mean 0, variance (1 - 1/L) / alpha of each of L latents. Its KL to
/// a diagonal Gaussian is closed.
struct Dirichlet : Prior {
    double alpha = 1;
    void parameters(auto& p) {
        p("alpha", alpha, "concentration: below 1, few latents have most of the mass", positive);
    }

    Var log_prob(Var z) const override {
        const double v = variance(z);
        return -0.5 * sum(square(z) / v + std::log(2 * M_PI * v), {-1});
    }
    Var sample(Var like) const override { return std::sqrt(variance(like)) * (temperature(like) * normal_like(like)); }
    std::optional<Var> kl_latents(std::string_view family, const Vars& p) const override {
        if (family != "diagonal_gaussian") return {};
        const double v = variance(p[0]);
        return 0.5 * ((square(p[0]) + exp(p[1])) / v - 1 - p[1] + std::log(v));
    }

private:
    double variance(Var z) const {
        const auto n = double(last_size(z));
        if (n < 2)
            throw std::invalid_argument("prior 'dirichlet' is over two latents or more; choose a larger --latent");
        return (1 - 1 / n) / alpha;
    }
};
ELBO_PLUGIN("prior_dirichlet", "1.0.0", "prior/dirichlet") {
    plugin.add<Dirichlet>("dirichlet", "shares of latents, by a Gaussian in the softmax's basis");
}
