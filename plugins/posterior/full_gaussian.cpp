#include <elbo/plugin.hpp>
using namespace elbo;

/// N(mu, S S^T) with a lower triangular S whose diagonal is exp(log_scale), softly bounded: latents that hang together.
struct FullGaussian : Posterior {
    double bound = 5;
    void parameters(auto& p) {
        p("log_scale_bound", bound, "log of S's diagonal stays within +- this, softly", positive);
    }

    std::string family() const override { return "full_gaussian"; }
    /// mu [B, L], S [B, L, L].
    Vars parameters_of(Var features) const override {
        const std::int64_t l = latent(features), n = shape(features)[0];
        Var below = reshape(linear(features, l * l, "below", Init::normal(0, 1e-3)), {n, l, l});
        Var scale = exp(soft_clamp(linear(features, l, "log_scale"), bound));
        Var s = below * lower_triangle(below, l, false) + reshape(scale, {n, l, 1}) * identity_matrix(below, l);
        return {linear(features, l, "mean"), s};
    }
    Var sample(const Vars& p) const override {
        Shape column = shape(p[0]);
        column.push_back(1);
        return p[0] + reshape(matmul(p[1], reshape(normal_like(p[0]), column)), shape(p[0]));
    }
    Var mean(const Vars& p) const override { return p[0]; }
    Var log_prob(const Vars& p, Var z) const override {
        Var d = z - p[0];
        Shape column = shape(d), square_ = column;
        const std::int64_t l = last_size(d);
        column.push_back(1), square_.push_back(l);
        Var e = triangular_solve(broadcast_to(p[1], square_), reshape(d, column));
        return -0.5 * sum(square(reshape(e, shape(d))) + std::log(2 * M_PI), {-1}) - sum(log(diagonal(p[1])), {-1});
    }
};
ELBO_PLUGIN("posterior_full_gaussian", "1.0.0", "posterior/full_gaussian") {
    plugin.add<FullGaussian>("full_gaussian", "a Gaussian with all covariances");
}
