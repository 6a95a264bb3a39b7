#include <elbo/autoencoder.hpp>
#include <elbo/divergences.hpp>
#include <elbo/plugin.hpp>
using namespace elbo;

/// VAE-GAN (Larsen, Soenderby, Larochelle and Winther 2016): data are compared by what a discriminator's layers make of
/// them. With S = |D_l(x) - D_l(g(z))|^2 / 2, and g(z), g(z_p) made of a code and of a draw of the prior, the encoder
/// minimises KL + S; the decoder gamma S - log D(g(z)) - log D(g(z_p)); the discriminator -log D(x) - log(1 - D(g(z)))
/// - log(1 - D(g(z_p))), at once. An opponent that is too far ahead rests, which is not the paper's but its followers'.
/// The likelihood gives x its link, and reports; one whose mean is a choice (a class) has no slope to learn by.
struct VaeGan : Variational {
    Scheduled gamma = 0.1, beta = 1;
    double margin = 0.4;
    void parameters(auto& p) {
        p("gamma", gamma, "weight of the features' distance beside the discriminator's opinion", not_negative);
        p("beta", beta, "weight of the KL beside the features' distance", not_negative);
        p("margin", margin,
          "nats that the discriminator's errors may be away from log 2: below it rests, above the decoder does",
          positive);
    }
    std::string uses() const override { return Variational::uses() + " discriminator:encoder=mlp"; }

    Var objective(Var x) const override {
        must_write_at_once(x);
        const Vars q = code(x);
        Var z = the<Posterior>(x).sample(q), raw = the<Decoder>(x).raw(z);
        const Bound b = bound(x, q, z, raw);
        b.report();
        const Seen data = seen(x, the<Encoder>(x, kCritic)), made = seen(image(raw), auxiliary<Encoder>(x, kCritic)),
                   dreamt =
                       seen(image(auxiliary<Decoder>(x).raw(the<Prior>(x).sample(z))), auxiliary<Encoder>(x, kCritic));
        Var distance = 0.5 * sum_rows(square(data.features - made.features));
        term("feature_distance", distance);
        Var told = softplus(-data.log_odds), caught = softplus(made.log_odds) + softplus(dreamt.log_odds);
        const Learning now = who_learns(mean_all(told), 0.5 * mean_all(caught));
        also_minimise(
            "decoder_loss",
            where_so(now.decoder, gamma(x) * distance + softplus(-made.log_odds) + softplus(-dreamt.log_odds)),
            "decoder");
        also_minimise("discriminator_loss", where_so(now.discriminator, told + caught), "discriminator model");
        return beta(x) * b.kl + distance;
    }

private:
    static constexpr const char* kCritic = "discriminator";
    /// What the discriminator makes of rows: features [B, F], and log D / (1 - D), [B].
    struct Seen {
        Var features, log_odds;
    };
    static Seen seen(Var x, const Encoder& by) {
        Var features = flatten(by.features(x));
        return {features, sum_rows(linear(features, 1, "log_odds"))};
    }
    /// 1 where an opponent learns in this step; both do where both should rest.
    struct Learning {
        Var decoder, discriminator;
    };
    Learning who_learns(Var told, Var caught) const {
        Var behind = less(max(told, caught), std::log(2.0) + margin),
            ahead = greater(min(told, caught), std::log(2.0) - margin), neither = (1 - behind) * (1 - ahead);
        return {behind + neither, ahead + neither};
    }
    /// The same value, and its gradient where `when` is 1.
    static Var where_so(Var when, Var loss) { return stop_gradient(loss) + when * (loss - stop_gradient(loss)); }
    /// The decoder's raw output as rows of data.
    static Var image(Var raw) {
        Shape rows = data_shape(raw);
        rows.insert(rows.begin(), shape(raw)[0]);
        return reshape(the<Likelihood>(raw).mean(raw), rows);
    }
};
ELBO_PLUGIN("model_vae_gan", "1.0.0", "model/vae_gan") {
    plugin.add<VaeGan>("vae_gan", "VAE-GAN: a discriminator's features compare data with what is made of them");
}
