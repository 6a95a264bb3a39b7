#include <elbo/autoencoder.hpp>
#include <elbo/codebook.hpp>
#include <elbo/plugin.hpp>
using namespace elbo;

/// VQ-VAE-2 (Razavi, van den Oord and Vinyals 2019), of codes without places: a top code is made of the encoder's
/// features, a bottom one of these and of the top code's vectors, each out of a codebook of its own, and the decoder
/// sees both. The code is the top one's numbers and the bottom one's behind them. Of numbers, with a PixelCNN as their
/// prior, the bottom ones are drawn given the top code.
struct VqVae2 : Autoencoder {
    Codebook book;
    NumbersPrior prior;
    std::int64_t top = 0;
    Scheduled commitment = 0.25;
    void parameters(auto& p) {
        p("top", top, "numbers of the top code, whole vectors; 0: half of them all", within(0, 1 << 20));
        book.parameters(p);
        p("commitment", commitment, "weight of the codes' distance to their vectors", not_negative);
        prior.parameters(p);
    }
    std::string uses() const override { return "encoder=mlp decoder=mlp likelihood=mse"; }

    Var objective(Var x) const override {
        const Levels c = coded(x);
        Var nll = reconstruction(x, c.code()), committed = c.top.committed + c.bottom.committed;
        term("reconstruction", nll, prior.learns() ? bound_term : plain_term);
        term("commitment", committed);
        Var loss = nll + commitment(x) * committed;
        const std::pair<const char*, const Codebook::Coded*> both[] = {{"top", &c.top}, {"bottom", &c.bottom}};
        for (const auto& [name, level] : both) {
            Scope here(x, name);
            term((std::string(name) + "_perplexity").c_str(), of_every_row(x, Codebook::perplexity(*level)));
            if (training(x)) book.learn(*level);
            if (book.learning == "gradient") loss = loss + level->pulled;
        }
        if (!prior.learns()) return loss;
        Var numbers = numbers_nll(c);
        term("numbers", numbers, bound_term);
        return loss + numbers;
    }
    Var encode(Var x) const override { return coded(x).code(); }
    Var decode(Var z) const override {
        const std::int64_t at = upper(z), all = latent(z);
        return decoded(concat({level(slice(z, 1, 0, at), "top").code, level(slice(z, 1, at, all), "bottom").code}, 1));
    }
    Var sample(Var like) const override {
        const std::int64_t at = upper(like);
        Var above = named(like, at, {}, "top"), below = named(like, latent(like) - at, above, "bottom");
        return decoded(concat({above, below}, 1));
    }
    Var score(Var x) const override {
        const Levels c = coded(x);
        Var nll = reconstruction(x, c.code());
        return prior.learns() ? nll + numbers_nll(c) : nll;
    }

private:
    struct Levels {
        Codebook::Coded top, bottom;
        Var code() const { return concat({top.code, bottom.code}, 1); }
    };
    std::int64_t upper(Var like) const {
        const std::int64_t all = latent(like), at = top > 0 ? top : all / 2 / book.width * book.width;
        if (at < 1 || at >= all)
            throw std::invalid_argument("a top code of " + std::to_string(at) + " of " + std::to_string(all) +
                                        " numbers: choose model.top, model.width and --latent so that each level has "
                                        "a vector");
        return at;
    }
    Codebook::Coded level(Var z, const char* name) const {
        Scope here(z, name);
        return book.quantised(z);
    }
    Levels coded(Var x) const {
        const std::int64_t at = upper(x);
        Var h = flatten(the<Encoder>(x).features(x));
        const Codebook::Coded above = level(linear(h, at, "top_code"), "top");
        return {above, level(linear(concat({h, above.code}, 1), latent(x) - at, "bottom_code"), "bottom")};
    }
    Var numbers_nll(const Levels& c) const {
        auto of = [&](const Codebook::Coded& level, std::optional<Var> given, const char* name) {
            Scope here(level.ids, name);
            return prior.nll(book, level.ids, given);
        };
        return of(c.top, {}, "top") + of(c.bottom, c.top.code, "bottom");
    }
    /// The vectors of numbers that are drawn.
    Var named(Var like, std::int64_t latents, std::optional<Var> given, const char* name) const {
        Scope here(like, name);
        return book.named(prior.drawn(book, like, book.pieces(latents), given));
    }
};
ELBO_PLUGIN("model_vq_vae_2", "1.0.0", "model/vq_vae_2") {
    plugin.add<VqVae2>("vq_vae_2", "two levels of codes, each out of a codebook");
}
