#include <elbo/bound.hpp>
#include <elbo/codebook.hpp>
#include <elbo/plugin.hpp>
using namespace elbo;

/// VQ-VAE (van den Oord et al. 2017): the code is cut into pieces of `width` numbers, and each is replaced by the
/// nearest of the codebook's vectors, or by the sum of `depth` of them (Lee et al. 2022); the gradient passes straight
/// through. Minimises R + |sg(z) - e|^2 + commitment |z - sg(e)|^2, summed over the pieces; with a moving average the
/// codebook follows the codes instead of a gradient (Razavi et al. 2019). Samples draw the numbers of the vectors by
/// how often each was used, or from a PixelCNN: with that one R - log p(numbers) bounds -log p(x).
struct VqVae : Model {
    Codebook book;
    NumbersPrior prior;
    Scheduled commitment = 0.25;
    void parameters(auto& p) {
        book.parameters(p);
        p("commitment", commitment, "weight of the code's distance to its vector", not_negative);
        prior.parameters(p);
    }
    std::string uses() const override { return "encoder=mlp posterior=delta decoder=mlp likelihood=mse"; }

    Var objective(Var x) const override {
        const Codebook::Coded c = book.quantised(code(x));
        Var loss = the<Likelihood>(x).nll(raw_of(x, c.code), flatten(x));
        term("reconstruction", loss, prior.learns() ? bound_term : plain_term);
        term("commitment", c.committed);
        term("perplexity", broadcast_to(Codebook::perplexity(c), {shape(x)[0]}));
        if (training(x)) book.learn(c);
        loss = loss + commitment(x) * c.committed;
        if (book.learning == "gradient") loss = loss + c.pulled;
        if (!prior.learns()) return loss;
        Var numbers = prior.nll(book, c.ids);
        term("numbers", numbers, bound_term);
        return loss + numbers;
    }
    Var encode(Var x) const override { return book.quantised(code(x)).code; }
    Var decode(Var z) const override { return decoded(book.quantised(z).code); }
    Var reconstruct(Var x) const override { return decoded(encode(x)); }
    Var sample(Var like) const override {
        return decoded(book.named(prior.drawn(book, like, book.pieces(latent(like)))));
    }
    Var score(Var x) const override {
        const Codebook::Coded c = book.quantised(code(x));
        Var loss = the<Likelihood>(x).nll(raw_of(x, c.code), flatten(x));
        return prior.learns() ? loss + prior.nll(book, c.ids) : loss;
    }

private:
    static Var code(Var x) {
        auto posterior = the<Posterior>(x);
        return posterior.mean(posterior.parameters_of(the<Encoder>(x).features(x)));
    }
};
ELBO_PLUGIN("model_vq_vae", "1.1.0", "model/vq_vae") { plugin.add<VqVae>("vq_vae", "codes out of a learned codebook"); }
