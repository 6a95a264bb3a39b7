#include <elbo/plugin.hpp>
using namespace elbo;

/// Real NVP (Dinh et al. 2017): a code is a unit Gaussian passed through couplings, in each of which every second
/// latent is stretched and moved by what the others say: z_b = u_b exp(s(z_a)) + t(z_a). The couplings begin as
/// nothing.
struct Realnvp : Prior {
    std::int64_t couplings = 4, width = 128;
    void parameters(auto& p) {
        p("couplings", couplings, "steps; an even number moves all latents equally often", within(1, 64));
        p("width", width, "of each coupling's hidden layers", within(1, 1 << 14));
    }

    Var log_prob(Var z) const override {
        Var u = z, log_det = constant(z, 0);
        for (std::int64_t i = couplings - 1; i >= 0; --i) {
            const auto [kept, s, t] = coupling(u, i);
            u = kept * u + (1 - kept) * ((u - t) * exp(-s));
            log_det = log_det - sum((1 - kept) * s, {-1});
        }
        return log_det - 0.5 * sum(square(u) + std::log(2 * M_PI), {-1});
    }
    Var sample(Var like) const override {
        Var z = temperature(like) * normal_like(like);
        for (std::int64_t i = 0; i < couplings; ++i) {
            const auto [kept, s, t] = coupling(z, i);
            z = kept * z + (1 - kept) * (z * exp(s) + t);
        }
        return z;
    }

private:
    struct Coupling {
        Var kept, s, t; ///< [L], [..., L], [..., L]
    };
    Coupling coupling(Var z, std::int64_t i) const {
        const std::int64_t l = last_size(z);
        Scope here(z, "coupling" + std::to_string(i));
        Var place = iota(z, {l}) + double(i % 2);
        Var kept = less(place - 2 * elbo::floor(place / 2), 0.5);
        Var h = relu(linear(relu(linear(kept * z, width, "hidden0")), width, "hidden1"));
        return {kept, soft_clamp(linear(h, l, "scale", Init::zeros()), 3), linear(h, l, "shift", Init::zeros())};
    }
};
ELBO_PLUGIN("prior_realnvp", "1.0.0", "prior/realnvp") {
    plugin.add<Realnvp>("realnvp", "a learned flow of unit Gaussians");
}
