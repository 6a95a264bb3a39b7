// Posteriors that pass a draw of independent Gaussians through a flow. The draw, its density and the flow of the base's
// mean are made once, with the parameters: a flow knows the density of its own codes without being inverted, and of no
// others.
#pragma once

#include <elbo/plugin.hpp>

namespace elbo {

struct FlowPosterior : Posterior {
    double bound = 10;
    void parameters(auto& p) {
        p("log_var_bound", bound, "log_var of the base stays within +- this, softly", positive);
    }

    /// Parameters: a code [B, L], its log density [B, 1], and the same of what the base's mean becomes.
    Vars parameters_of(Var features) const override {
        const std::int64_t l = latent(features);
        Var mean = linear(features, l, "mean"), log_var = soft_clamp(linear(features, l, "log_var"), bound);
        Vars out;
        const Var noises[] = {normal_like(mean), constant(mean, 0, shape(mean))};
        for (Var noise : noises) {
            Var z = mean + exp(0.5 * log_var) * noise;
            Var log_q = -0.5 * sum_rows(std::log(2 * M_PI) + log_var + square(noise));
            for (std::int64_t i = 0; i < steps(); ++i) {
                const auto [next, log_det] = flow(z, features, i);
                z = next, log_q = log_q - log_det;
            }
            out.push_back(z), out.push_back(reshape(log_q, {shape(z)[0], 1}));
        }
        return out;
    }
    Var sample(const Vars& p) const override { return p[0]; }
    /// The flow of the base's mean.
    Var mean(const Vars& p) const override { return p[2]; }
    Var log_prob(const Vars& p, Var z) const override {
        for (std::size_t i : {0u, 2u})
            if (z.node == p[i].node) return reshape(p[i + 1], {shape(z)[0]});
        throw std::invalid_argument(
            "posterior '" + family() +
            "' knows the density of its own codes alone, and is asked for that of others; use a "
            "prior that does not mix posteriors, and the standard gradient");
    }

protected:
    virtual std::int64_t steps() const = 0;
    /// z [B, L] -> the next, and log |det dz'/dz|, [B].
    virtual std::pair<Var, Var> flow(Var z, Var features, std::int64_t i) const = 0;
};

} // namespace elbo
