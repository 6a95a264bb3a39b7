#include <elbo/plugin.hpp>
using namespace elbo;

/// VQ-VAE (van den Oord et al. 2017): the code is cut into pieces of `width` numbers, and each is replaced by the
/// nearest of the codebook's vectors; the gradient passes straight through. Minimises R + |sg(z) - e|^2 + commitment |z
/// - sg(e)|^2, summed over the pieces; with a moving average the codebook follows the codes instead of a gradient
/// (Razavi et al. 2019). Samples draw each piece by how often its vectors were used.
struct VqVae : Model {
    std::int64_t codebook = 128, width = 4;
    Scheduled commitment = 0.25;
    std::string learning = "average";
    double decay = 0.99, dead = 0.1;
    void parameters(auto& p) {
        p("codebook", codebook, "vectors K", within(2, 1 << 16));
        p("width", width, "numbers of a vector; divides the size of the code", within(1, 1 << 12));
        p("commitment", commitment, "weight of the code's distance to its vector", not_negative);
        p("codebook_learning", learning,
          "average: the vectors are running means of their codes; gradient: they descend", one_of("average|gradient"));
        p("decay", decay, "of the running means and of the counts of use", fraction);
        p("dead", dead,
          "a vector with fewer codes per batch in the running mean is put on one of the batch's; 0: never",
          not_negative);
    }
    std::string uses() const override { return "encoder=mlp posterior=delta decoder=mlp likelihood=mse"; }

    Var objective(Var x) const override {
        const Coded c = quantised(x, code(x));
        Var reconstruction = the<Likelihood>(x).nll(the<Decoder>(x).raw(c.code), flatten(x));
        Var committed = over_pieces(x, square(c.z - stop_gradient(c.nearest)));
        term("reconstruction", reconstruction);
        term("commitment", committed);
        const Shape rows{shape(x)[0]};
        Var share = mean(c.chosen, {0});
        term("perplexity", broadcast_to(exp(-sum_all(share * log(max(share, 1e-12)))), rows));
        if (training(x)) learn(x, c);
        Var loss = reconstruction + commitment(x) * committed;
        return learning == "gradient" ? loss + over_pieces(x, square(stop_gradient(c.z) - c.nearest)) : loss;
    }
    Var encode(Var x) const override { return quantised(x, code(x)).code; }
    Var decode(Var z) const override { return the<Likelihood>(z).mean(the<Decoder>(z).raw(quantised(z, z).code)); }
    Var reconstruct(Var x) const override { return the<Likelihood>(x).mean(the<Decoder>(x).raw(encode(x))); }
    Var sample(Var like) const override {
        const std::int64_t n = shape(like)[0], pieces = pieces_of(like);
        Var logits = log(used(like) + 1e-6); // [pieces, K]
        Var ids = categorical(broadcast_to(logits, {n, pieces, codebook}));
        Var z = reshape(gather(vectors(like), ids), {n, pieces * width});
        return the<Likelihood>(like).mean(the<Decoder>(like).raw(z));
    }
    Var score(Var x) const override { return the<Likelihood>(x).nll(the<Decoder>(x).raw(encode(x)), flatten(x)); }

private:
    static Var code(Var x) {
        auto posterior = the<Posterior>(x);
        return posterior.mean(posterior.parameters_of(the<Encoder>(x).features(x)));
    }
    std::int64_t pieces_of(Var like) const {
        const std::int64_t l = latent(like);
        if (l % width != 0)
            throw std::invalid_argument("model.width " + std::to_string(width) + " does not divide the code of " +
                                        std::to_string(l) + " numbers; choose --latent accordingly");
        return l / width;
    }

    /// [B pieces, width] -> [B].
    Var over_pieces(Var like, Var x) const { return sum_rows(reshape(x, {shape(like)[0], latent(like)})); }

    Var vectors(Var like) const {
        const Init start = Init::uniform(-1, 1);
        return learning == "gradient" ? parameter(like, "codebook", {codebook, width}, start)
                                      : state(like, "codebook", {codebook, width}, start);
    }
    /// How often each vector was used at each place, [pieces, K]: a running mean per row.
    Var used(Var like) const {
        return state(like, "used", {pieces_of(like), codebook}, Init::constant(1 / double(codebook)));
    }

    struct Coded {
        Var z, nearest;   ///< [B pieces, width]
        Var chosen, code; ///< one-hot [B pieces, K]; [B, L], with the gradient of z
    };
    Coded quantised(Var like, Var z) const {
        const std::int64_t pieces = pieces_of(like), n = shape(z)[0];
        z = reshape(z, {n * pieces, width});
        Var e = vectors(like);
        // |z - e|^2 less |z|^2, which is the same for all vectors.
        Var closeness =
            2 * matmul(stop_gradient(z), stop_gradient(e), false, true) - sum(square(stop_gradient(e)), {1});
        Var ids = argmax(closeness, 1);
        Var nearest = gather(e, ids);
        Var through = z + stop_gradient(nearest - z);
        return {z, nearest, one_hot(reshape(ids, {n * pieces, 1}), codebook), reshape(through, {n, pieces * width})};
    }

    void learn(Var x, const Coded& c) const {
        const std::int64_t pieces = pieces_of(x), n = shape(c.z)[0] / pieces;
        Var use = used(x);
        Var now = mean(reshape(c.chosen, {n, pieces, codebook}), {0});
        assign(use, decay * use + (1 - decay) * now);
        if (learning == "gradient") return;
        Var e = vectors(x), counts = state(x, "counts", {codebook}), sums = state(x, "sums", {codebook, width});
        Var z = stop_gradient(c.z);
        Var count = decay * counts + (1 - decay) * sum(c.chosen, {0});
        Var total = decay * sums + (1 - decay) * matmul(c.chosen, z, true, false);
        // Means of what has been counted so far; a vector without codes stays where it is (Laplace smoothing would draw
        // it to 0).
        Var seen = greater(count, 1e-6);
        Var next = where(reshape(seen, {codebook, 1}), total / reshape(max(count, 1e-6), {codebook, 1}), e);
        if (dead > 0) {
            // counts begin at 0: they say nothing before they had time to grow.
            const double settled = 1 / (1 - decay);
            Var lost = reshape(less(count, dead) * greater(step(x), settled), {codebook, 1});
            Var ids = elbo::floor(uniform_like(constant(x, 0, {codebook})) * double(n * pieces));
            Var fresh = gather(z, min(ids, double(n * pieces - 1)));
            next = where(lost, fresh, next);
            count = where(reshape(lost, {codebook}), 1.0, count);
            total = where(lost, fresh, total);
        }
        assign(e, next);
        assign(counts, count);
        assign(sums, total);
    }
};
ELBO_PLUGIN("model_vq_vae", "1.0.0", "model/vq_vae") { plugin.add<VqVae>("vq_vae", "codes out of a learned codebook"); }
