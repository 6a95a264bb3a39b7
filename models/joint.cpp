#include <elbo/autoencoder.hpp>
#include <elbo/plugin.hpp>
using namespace elbo;

/// JointVAE (Dupont 2018): the code is Gaussian latents and, behind them, groups of classes relaxed by Gumbel noise.
/// The KL of each to its prior, N(0, I) and uniform, is held at a capacity of its own: minimises R + gamma_z |KL_z -
/// C_z| + gamma_c |KL_c - C_c| of the batch's mean KLs. Capacities grow by a schedule.
struct Joint : Autoencoder {
    std::vector<std::int64_t> classes{10};
    Scheduled gamma_z = 30, gamma_c = 30, capacity_z = 5, capacity_c = 5, temperature = 0.67;
    void parameters(auto& p) {
        p("classes", classes, "of each group; their sum is a part of the size of the code", within(2, 1 << 16));
        p("gamma_z", gamma_z, "weight of how far the Gaussian latents' KL is from its capacity", not_negative);
        p("gamma_c", gamma_c, "the same of the classes' KL", not_negative);
        p("capacity_z", capacity_z, "nats the Gaussian latents' KL is held at", not_negative);
        p("capacity_c", capacity_c, "the same of the classes' KL, at most sum log K", not_negative);
        p("temperature", temperature, "of the relaxed classes: the closer to 0, the nearer to one class", positive);
    }
    void ready() override {
        if (classes.empty()) throw std::invalid_argument("model.classes names no group of classes; use model vae");
    }
    std::string uses() const override { return "encoder=mlp decoder=mlp likelihood=bernoulli"; }

    Var objective(Var x) const override {
        const Heads q = heads(x);
        Vars parts{q.mean + exp(0.5 * q.log_var) * normal_like(q.mean)};
        for (Var logits : q.logits) parts.push_back(softmax((logits + gumbel_like(logits)) / temperature(x)));
        Var loss = reconstruction(x, concat(parts, 1)), kl_z = gaussian_kl(q), kl_c = classes_kl(x, q);
        term("reconstruction", loss, bound_term);
        term("kl_gaussian", kl_z, bound_term);
        term("kl_classes", kl_c, bound_term);
        double most = 0;
        for (std::int64_t k : classes) most += std::log(double(k));
        return loss + gamma_z(x) * abs(mean_all(kl_z) - capacity_z(x)) +
               gamma_c(x) * abs(mean_all(kl_c) - min(capacity_c(x), most));
    }
    /// The mean of the Gaussian latents, and behind it the probability of every class.
    Var encode(Var x) const override { return mean_code(heads(x)); }
    Var sample(Var like) const override {
        const std::int64_t n = shape(like)[0];
        Vars parts{elbo::temperature(like) * normal_like(slice(like, 1, 0, gaussians(like)))};
        for (std::int64_t k : classes)
            parts.push_back(one_hot(reshape(categorical(constant(like, 0, {n, k})), {n, 1}), k));
        return decode(concat(parts, 1));
    }
    /// The bound at the mean code.
    Var score(Var x) const override {
        const Heads q = heads(x);
        return reconstruction(x, mean_code(q)) + gaussian_kl(q) + classes_kl(x, q);
    }

private:
    struct Heads {
        Var mean, log_var;
        Vars logits; ///< of each group
    };
    Heads heads(Var x) const {
        Var h = flatten(the<Encoder>(x).features(x));
        const std::int64_t n = gaussians(x);
        Heads q{linear(h, n, "mean"), soft_clamp(linear(h, n, "log_var"), 10), {}};
        for (std::size_t i = 0; i < classes.size(); ++i)
            q.logits.push_back(linear(h, classes[i], "classes" + std::to_string(i)));
        return q;
    }
    static Var mean_code(const Heads& q) {
        Vars parts{q.mean};
        for (Var logits : q.logits) parts.push_back(softmax(logits));
        return concat(parts, 1);
    }
    /// How many latents are Gaussian.
    std::int64_t gaussians(Var like) const {
        std::int64_t n = latent(like);
        for (std::int64_t k : classes) n -= k;
        if (n < 1)
            throw std::invalid_argument("model.classes leaves no Gaussian latent of a code of " +
                                        std::to_string(latent(like)) + " numbers; choose a larger --latent");
        return n;
    }
    static Var gaussian_kl(const Heads& q) { return 0.5 * sum_rows(square(q.mean) + expm1(q.log_var) - q.log_var); }
    /// From the logits, not from the relaxed draw.
    Var classes_kl(Var x, const Heads& q) const {
        Var total = constant(x, 0, {shape(x)[0]});
        for (std::size_t i = 0; i < classes.size(); ++i) {
            Var log_q = log_softmax(q.logits[i]);
            total = total + sum_rows(exp(log_q) * log_q) + std::log(double(classes[i]));
        }
        return total;
    }
};
ELBO_PLUGIN("model_joint", "1.0.0", "model/joint") {
    plugin.add<Joint>("joint", "JointVAE: Gaussian latents and classes, each KL held at a capacity");
}
