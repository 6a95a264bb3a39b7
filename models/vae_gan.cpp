#include <elbo/autoencoder.hpp>
#include <elbo/divergences.hpp>
#include <elbo/plugin.hpp>
using namespace elbo;

/// VAE-GAN (Larsen, Soenderby, Larochelle and Winther 2016): data are compared by what a discriminator's layers make of
/// them. With S = |D_l(x) - D_l(g(z))|^2 / 2, and g(z), g(z_p) made of a code and of a draw of the prior, the encoder
/// minimises KL + S; the decoder gamma S - log D(g(z)) - log D(g(z_p)); the discriminator -log D(x) - log(1 - D(g(z)))
/// - log(1 - D(g(z_p))), at once. The likelihood gives x its link, and reports; one whose mean is a choice (a class)
/// has no slope to learn by.
struct VaeGan : Variational {
    Scheduled gamma = 1e-2, beta = 1;
    void parameters(auto& p) {
        p("gamma", gamma, "weight of the features' distance beside the discriminator's opinion", not_negative);
        p("beta", beta, "weight of the KL beside the features' distance", not_negative);
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
        also_minimise("decoder_loss", gamma(x) * distance + softplus(-made.log_odds) + softplus(-dreamt.log_odds),
                      "decoder");
        also_minimise("discriminator_loss",
                      softplus(-data.log_odds) + softplus(made.log_odds) + softplus(dreamt.log_odds),
                      "discriminator model");
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
