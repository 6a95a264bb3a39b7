// Codes out of a learned table of vectors (van den Oord et al. 2017), the residual form among them (Lee et al. 2022):
// what a vector leaves is named by a further one of the same table. Include it beside elbo/plugin.hpp.
#pragma once

#include "pixel_cnn.hpp"

namespace elbo {

struct Codebook {
    std::int64_t size = 128, width = 4, depth = 1;
    std::string learning = "average";
    double decay = 0.99, dead = 0.1;
    void parameters(auto& p) {
        p("codebook", size, "vectors K", within(2, 1 << 16));
        p("width", width, "numbers of a vector; divides the size of the code", within(1, 1 << 12));
        p("depth", depth, "vectors that add up to a piece, each the nearest to what those before left",
          within(1, 1 << 8));
        p("codebook_learning", learning,
          "average: the vectors are running means of their codes; gradient: they descend", one_of("average|gradient"));
        p("decay", decay, "of the running means and of the counts of use", fraction);
        p("dead", dead,
          "a vector with fewer codes per batch in the running mean is put on one of the batch's; 0: never",
          not_negative);
    }

    /// How many pieces a code of `latents` numbers is cut into.
    std::int64_t pieces(std::int64_t latents) const {
        if (latents % width != 0)
            throw std::invalid_argument("model.width " + std::to_string(width) + " does not divide the code of " +
                                        std::to_string(latents) + " numbers; choose --latent accordingly");
        return latents / width;
    }

    struct Coded {
        Var code;              ///< [B, L]: sums of vectors, with the gradient of z
        Var ids;               ///< [B, pieces, depth]
        Var chosen;            ///< one-hot, [depth B pieces, K]: all of the first, then of the second
        Var committed, pulled; ///< [B]: |z - sg(e)|^2 after each vector, and |sg(what was left) - e|^2
        Var left;              ///< [depth B pieces, width]: what each vector was chosen for; no gradient
    };
    Coded quantised(Var z) const {
        const std::int64_t n = shape(z)[0], latents = shape(z)[1], all = n * pieces(latents);
        z = reshape(z, {all, width});
        Var e = vectors(z), still = stop_gradient(e), sum = constant(z, 0, {all, width});
        Var committed = constant(z, 0), pulled = constant(z, 0);
        Vars ids, chosen, left;
        for (std::int64_t i = 0; i < depth; ++i) {
            left.push_back(stop_gradient(z) - sum);
            // |r - e|^2 less |r|^2, which is the same for all vectors.
            Var closeness = 2 * matmul(left.back(), still, false, true) - elbo::sum(square(still), {1});
            Var id = argmax(closeness, 1), nearest = gather(e, id);
            ids.push_back(reshape(id, {all, 1}));
            chosen.push_back(one_hot(ids.back(), size));
            sum = sum + stop_gradient(nearest);
            committed = committed + square(z - sum);
            pulled = pulled + square(left.back() - nearest);
        }
        auto per_row = [&](Var each) { return sum_rows(reshape(each, {n, latents})); };
        return {reshape(straight_through(sum, z), {n, latents}),
                reshape(concat(ids, 1), {n, all / n, depth}),
                concat(chosen, 0),
                per_row(committed),
                per_row(pulled),
                concat(left, 0)};
    }

    /// What code numbers [n, pieces, depth] stand for, [n, pieces width].
    Var named(Var ids) const {
        const Shape s = shape(ids);
        return reshape(sum(gather(vectors(ids), ids), {2}), {s[0], s[1] * width});
    }
    /// Numbers [n, pieces, depth], each by how often it was used at its place.
    Var drawn(Var like, std::int64_t n, std::int64_t count) const {
        Var logits = log(used(like, count * depth) + 1e-6);
        return reshape(categorical(broadcast_to(logits, {n, count * depth, size})), {n, count, depth});
    }
    /// How many vectors are in use, as exp of the entropy of the batch's shares: a scalar.
    static Var perplexity(const Coded& c) {
        Var share = mean(c.chosen, {0});
        return exp(-sum_all(share * log(max(share, 1e-12))));
    }

    /// Moves the table after its codes, and counts. While training, once a step.
    void learn(const Coded& c) const {
        const Shape s = shape(c.ids);
        Var use = used(c.ids, s[1] * s[2]);
        Var now = mean(one_hot(reshape(c.ids, {s[0], s[1] * s[2], 1}), size), {0});
        assign(use, decay * use + (1 - decay) * now);
        if (learning == "gradient") return;
        Var e = vectors(c.ids), counts = state(e, "counts", {size}), sums = state(e, "sums", {size, width});
        Var count = decay * counts + (1 - decay) * sum(c.chosen, {0});
        Var total = decay * sums + (1 - decay) * matmul(c.chosen, c.left, true, false);
        // Means of what has been counted so far; a vector without codes stays where it is (Laplace smoothing would draw
        // it to 0).
        Var seen = greater(count, 1e-6);
        Var next = where(reshape(seen, {size, 1}), total / reshape(max(count, 1e-6), {size, 1}), e);
        if (dead > 0) {
            // counts begin at 0: they say nothing before they had time to grow.
            const double settled = 1 / (1 - decay), rows = double(shape(c.left)[0]);
            Var lost = reshape(less(count, dead) * greater(step(e), settled), {size, 1});
            Var ids = elbo::floor(uniform_like(constant(e, 0, {size})) * rows);
            Var fresh = gather(c.left, min(ids, rows - 1));
            next = where(lost, fresh, next);
            count = where(reshape(lost, {size}), 1.0, count);
            total = where(lost, fresh, total);
        }
        assign(e, next);
        assign(counts, count);
        assign(sums, total);
    }

private:
    Var vectors(Var like) const {
        const Init start = Init::uniform(-1, 1);
        return learning == "gradient" ? parameter(like, "codebook", {size, width}, start)
                                      : state(like, "codebook", {size, width}, start);
    }
    /// How often each vector was used at each place, [places, K]: a running mean per row.
    Var used(Var like, std::int64_t places) const {
        return state(like, "used", {places, size}, Init::constant(1 / double(size)));
    }
};

/// p(numbers of a code), for samples: how often each was used at its place, or a PixelCNN over all of them. That one
/// learns beside the rest: numbers have no gradient, so that its -log p moves nothing else.
struct NumbersPrior {
    std::string how = "used";
    std::int64_t rows = 1;
    PixelCnn net{64, 4, 3, 7};
    void parameters(auto& p) {
        p("prior", how, "of the numbers of codes, for samples: how often each was used, or a PixelCNN over all",
          one_of("used|pixel_cnn"));
        p("prior_rows", rows, "of the image that the PixelCNN sees the pieces as; divides them", within(1, 1 << 12));
        p("prior_width", net.width, "features of a piece in the PixelCNN", within(2, 1 << 12));
        p("prior_blocks", net.blocks, "its residual blocks", within(0, 64));
    }
    bool learns() const { return how == "pixel_cnn"; }

    /// -log p(ids | given), [B]; given [B, n] or nothing.
    Var nll(const Codebook& book, Var ids, std::optional<Var> given = {}) const {
        Scope here(ids, "prior");
        const Shape all = shape(ids), s = image(all[1], all[2]);
        Var is = classes_seen(reshape(ids, {all[0], s[0], s[1], s[2]}), book.size);
        Var logits = net.raw(is, s[2], book.size * s[2], context(given));
        const Shape apart{all[0], s[0], s[1], book.size, s[2]};
        logits = reshape(logits, apart);
        return sum_rows(log_sum_exp(logits, {3}) - sum(reshape(is, apart) * logits, {3}));
    }
    /// Numbers [n, pieces, depth]; `like` has n rows.
    Var drawn(const Codebook& book, Var like, std::int64_t pieces, std::optional<Var> given = {}) const {
        const std::int64_t n = shape(like)[0];
        if (!learns()) return book.drawn(like, n, pieces);
        Scope here(like, "prior");
        auto seen = [&](Var v) { return classes_seen(v, book.size); };
        auto pick = [&](Var raw) { return reshape(argmax(raw + temperature(raw) * gumbel_like(raw), 1), {n, 1}); };
        const Shape s = image(pieces, book.depth);
        return reshape(net.drawn(like, s, book.size * s[2], context(given), seen, pick), {n, pieces, book.depth});
    }

private:
    /// Height, width and channels of the numbers as the PixelCNN sees them.
    Shape image(std::int64_t pieces, std::int64_t depth) const {
        if (pieces % rows != 0)
            throw std::invalid_argument("model.prior_rows " + std::to_string(rows) + " does not divide the " +
                                        std::to_string(pieces) + " pieces of a code");
        return {rows, pieces / rows, depth};
    }
    static PixelCnn::Context context(std::optional<Var> given) {
        if (!given) return {};
        const Shape s = shape(*given);
        return reshape(stop_gradient(*given), {s[0], 1, 1, s[1]});
    }
};

} // namespace elbo
