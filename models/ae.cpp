#include <elbo/autoencoder.hpp>
#include <elbo/plugin.hpp>
using namespace elbo;

/// Autoencoder: minimises the reconstruction R(x, g(f(x))). By parameters it is a denoising one, which sees x corrupted
/// (Vincent et al. 2008), a sparse one (Ng 2011) or a contractive one (Rifai et al. 2011).
struct Ae : Autoencoder {
    std::string noise = "none", sparsity = "none";
    double noise_level = 0.2, sparsity_weight = 1e-3, sparsity_target = 0.05;
    Scheduled contractive = 0;
    std::int64_t contractive_draws = 1;
    void parameters(auto& p) {
        p("noise", noise,
          "what the encoder sees while training: x with Gaussian noise, with values left out, or with values at the "
          "ends "
          "of the data's range",
          one_of("none|gaussian|masking|salt_and_pepper"));
        p("noise_level", noise_level, "its deviation, or the share of the values it replaces", not_negative);
        p("sparsity", sparsity, "penalty of the code: its sizes, or how far each unit's mean activity is from a target",
          one_of("none|l1|kl"));
        p("sparsity_weight", sparsity_weight, "of that penalty", not_negative);
        p("sparsity_target", sparsity_target, "mean activity sigmoid(z) of a unit, for kl", within(1e-6, 1 - 1e-6));
        p("contractive", contractive, "weight of |df/dx|^2, the squared slope of the code", not_negative);
        p("contractive_draws", contractive_draws,
          "random directions the slope is estimated along; 0: exactly, by a gradient for each latent", within(0, 256));
    }
    void ready() override {
        if (noise_level > 1 && (noise == "masking" || noise == "salt_and_pepper"))
            throw std::invalid_argument("model.noise_level is a share of the values, at most 1, with noise " + noise);
    }

    Var objective(Var x) const override {
        Var seen = training(x) ? corrupted(x) : x;
        const Vars q = code(seen);
        Var z = the<Posterior>(x).sample(q);
        Var loss = reconstruction(x, z);
        term("reconstruction", loss);
        if (sparsity != "none") {
            Var penalty = sparse(z);
            term("sparsity", penalty);
            loss = loss + sparsity_weight * penalty;
        }
        if (contractive.value > 0) {
            Var penalty = slope(seen, the<Posterior>(x).mean(q));
            term("slope", penalty, contractive_draws > 0 ? estimated_term : plain_term);
            loss = loss + contractive(x) * penalty;
        }
        return loss;
    }

private:
    Var corrupted(Var x) const {
        if (noise == "gaussian") return x + noise_level * normal_like(x);
        if (noise == "none") return x;
        Var kept = greater(uniform_like(x), noise_level);
        if (noise == "masking") return x * kept;
        const auto [low, high] = data_range(x);
        return where(kept, x, low + (high - low) * greater(uniform_like(x), 0.5));
    }

    /// [B]: sum |z_j|, or sum KL(target || mean activity of unit j over the batch).
    Var sparse(Var z) const {
        if (sparsity == "l1") return sum_rows(abs(z));
        // log of the activity and of what is left of 1, from the logits: exact near 0 and 1.
        const double t = sparsity_target, n = double(shape(z)[0]);
        Var active = log_sum_exp(log_sigmoid(z), {0}) - std::log(n),
            idle = log_sum_exp(log_sigmoid(-z), {0}) - std::log(n);
        Var each = t * (std::log(t) - active) + (1 - t) * (std::log(1 - t) - idle);
        return broadcast_to(sum_all(each), {shape(z)[0]});
    }

    /// |dz/dx|^2 of every row, [B]. For a random v of unit variance, E |d(v z)/dx|^2 is that sum.
    Var slope(Var x, Var z) const {
        const std::int64_t l = shape(z)[1];
        Var total = constant(x, 0, {shape(x)[0]});
        auto along = [&](Var scalar) { total = total + sum_rows(square(gradient(scalar, {x})[0])); };
        if (contractive_draws == 0)
            for (std::int64_t j = 0; j < l; ++j) along(sum_all(slice(z, 1, j, j + 1)));
        for (std::int64_t i = 0; i < contractive_draws; ++i) along(sum_all(z * normal_like(z)));
        return contractive_draws > 1 ? total / double(contractive_draws) : total;
    }
};
ELBO_PLUGIN("model_ae", "1.1.0", "model/ae") {
    plugin.add<Ae>("ae", "autoencoder; denoising, sparse or contractive by parameters");
}
