#include <elbo/plugin.hpp>
using namespace elbo;

/// N(0, I). Its KL to Gaussians is closed (Kingma and Welling 2014, appendix B).
struct StandardNormal : Prior {
    Var log_prob(Var z) const override { return -0.5 * sum(square(z) + std::log(2 * M_PI), {-1}); }
    Var sample(Var like) const override { return temperature(like) * normal_like(like); }
    std::optional<Var> kl_latents(std::string_view family, const Vars& p) const override {
        if (family != "diagonal_gaussian") return {};
        return 0.5 * (square(p[0]) + expm1(p[1]) - p[1]);
    }
    std::optional<Var> kl(std::string_view family, const Vars& p) const override {
        if (family != "full_gaussian") return Prior::kl(family, p);
        const double n = double(last_size(p[0]));
        return 0.5 * (sum_rows(square(p[1])) + sum_rows(square(p[0])) - n) - sum_rows(log(diagonal(p[1])));
    }
};
ELBO_PLUGIN("prior_standard_normal", "1.0.0", "prior/standard_normal") {
    plugin.add<StandardNormal>("standard_normal", "independent unit Gaussians");
}
