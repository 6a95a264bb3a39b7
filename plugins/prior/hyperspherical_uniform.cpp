#include <elbo/plugin.hpp>
#include <elbo/sphere.hpp>
using namespace elbo;

/// Every direction as likely as the others: log p(z) = -log of the area of the unit sphere. Its KL to posterior
/// von_mises_fisher is closed: k E[mu z] - log of the posterior's normaliser + log of the area.
struct HypersphericalUniform : Prior {
    std::string space() const override { return "sphere"; }

    Var log_prob(Var z) const override {
        Shape rows = shape(z);
        const double m = double(rows.back());
        rows.pop_back();
        return constant(z, -log_sphere_area(m), rows);
    }
    Var sample(Var like) const override { return unit(normal_like(like)); }
    std::optional<Var> kl(std::string_view family, const Vars& p) const override {
        if (family != "von_mises_fisher") return {};
        const double m = double(last_size(p[0]));
        const Concentrated c(p[1], m);
        return sum(p[1], {-1}) * c.mean_cosine - c.log_normaliser + log_sphere_area(m);
    }
};
ELBO_PLUGIN("prior_hyperspherical_uniform", "1.0.0", "prior/hyperspherical_uniform") {
    plugin.add<HypersphericalUniform>("hyperspherical_uniform", "all directions alike, on the unit sphere");
}
