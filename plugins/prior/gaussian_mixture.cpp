#include <elbo/plugin.hpp>
using namespace elbo;

/// A learned mixture of K diagonal Gaussians: log p(z) = logsumexp_k log w_k + log N(z; m_k, exp(v_k)).
struct GaussianMixture : Prior {
    std::int64_t components = 10;
    double spread = 1;
    void parameters(auto& p) {
        p("components", components, "Gaussians K", within(1, 1 << 16));
        p("spread", spread, "deviation of the means at the start", positive);
    }

    Var log_prob(Var z) const override {
        Shape wide = shape(z); // [..., L] -> [..., 1, L]
        wide.insert(wide.end() - 1, 1);
        Var apart = reshape(z, wide) - means(z), v = log_vars(z);
        Var each = -0.5 * sum(square(apart) * exp(-v) + v + std::log(2 * M_PI), {-1});
        return log_sum_exp(each + log_softmax(logits(z)), {-1});
    }
    Var sample(Var like) const override {
        Var ids = categorical(broadcast_to(logits(like), {shape(like)[0], components}));
        Var noise = temperature(like) * normal_like(like);
        return gather(means(like), ids) + exp(0.5 * gather(log_vars(like), ids)) * noise;
    }

private:
    Shape size(Var like) const { return {components, latent(like)}; }
    Var means(Var like) const { return parameter(like, "means", size(like), Init::normal(0, spread)); }
    Var log_vars(Var like) const { return soft_clamp(parameter(like, "log_vars", size(like)), 10); }
    Var logits(Var like) const { return parameter(like, "logits", {components}); }
};
ELBO_PLUGIN("prior_gaussian_mixture", "1.0.0", "prior/gaussian_mixture") {
    plugin.add<GaussianMixture>("gaussian_mixture", "a learned mixture of Gaussians");
}
