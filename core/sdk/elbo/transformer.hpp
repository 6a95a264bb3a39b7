// Attention (Vaswani et al. 2017) for encoders and decoders that see a row as a sequence of tokens. Include it beside
// elbo/plugin.hpp.
#pragma once

#include "kinds.hpp"
#include "parameters.hpp"

namespace elbo {

/// x [B, T, width] -> the same: every token sees all others, or with `causal` itself and those before it, through
/// `heads` views of it. Weights are named `name`.query and so on.
inline Var self_attention(Var x, std::int64_t heads, const std::string& name, bool causal = false) {
    const Shape s = shape(x);
    if (s[2] % heads != 0)
        throw std::invalid_argument(name + ": a width of " + std::to_string(s[2]) + " does not divide into " +
                                    std::to_string(heads) + " heads");
    const std::int64_t each = s[2] / heads;
    auto view = [&](const char* of) {
        Var h = linear(x, s[2], name + "." + of, Init::glorot());
        return transpose(reshape(h, {s[0], s[1], heads, each}), {0, 2, 1, 3});
    };
    Var query = view("query"), key = view("key"), value = view("value");
    Var odds = matmul(query, key, false, true) * (1 / std::sqrt(double(each)));
    if (causal) odds = where(lower_triangle(x, s[1]), odds, -1e9);
    Var weights = softmax(odds);
    Var seen = reshape(transpose(matmul(weights, value), {0, 2, 1, 3}), s);
    return linear(seen, s[2], name + ".output", Init::glorot());
}

/// Blocks of attention and of a layer four times as wide for each token, each normalised first and added to its input.
struct Transformer {
    std::int64_t width = 64, depth = 2, heads = 4;
    double dropout = 0;
    void parameters(auto& p) {
        p("width", width, "numbers per token", within(1, 1 << 14));
        p("depth", depth, "blocks", within(0, 64));
        p("heads", heads, "of each attention; they divide the width", within(1, 1 << 10));
        p("dropout", dropout, "share of each block's result that is left out while training", fraction);
    }
    void ready() const {
        if (width % heads != 0) throw std::invalid_argument("heads must divide width");
    }

    /// x [B, T, width] -> the same; with `causal` no token sees those behind it.
    Var operator()(Var x, bool causal = false) const {
        for (std::int64_t i = 0; i < depth; ++i) {
            const std::string name = "block" + std::to_string(i);
            x = x +
                elbo::dropout(self_attention(layer_normalised(x, name + ".norm_a"), heads, name + ".attention", causal),
                              dropout);
            Var h = gelu(linear(layer_normalised(x, name + ".norm_b"), 4 * width, name + ".wide", Init::glorot()));
            x = x + elbo::dropout(linear(h, width, name + ".narrow", Init::glorot()), dropout);
        }
        return layer_normalised(x, "norm");
    }
    /// A number for each place of each token, learned.
    Var placed(Var x) const {
        const Shape s = shape(x);
        return x + parameter(x, "places", {s[1], s[2]}, Init::normal(0, 0.02));
    }
};

/// How a row is cut into tokens: an image into patches, zeros around its right and lower edge where they do not divide
/// it; any other row value by value.
struct Patches {
    Shape image; ///< height, width, channels; empty for other rows
    std::int64_t size = 1, down = 1, across = 1, values = 0;

    Patches(In like, std::int64_t patch) {
        const Shape s = data_shape(like);
        values = 1;
        for (std::int64_t d : s) values *= d;
        if (s.size() < 2) return;
        image = {s[0], s[1], s.size() > 2 ? s[2] : 1};
        size = std::min({patch, s[0], s[1]});
        down = (image[0] + size - 1) / size, across = (image[1] + size - 1) / size;
    }
    std::int64_t tokens() const { return image.empty() ? values : down * across; }

    /// [B, ...] -> [B, T, values of a token].
    Var cut(Var x) const {
        const std::int64_t n = shape(x)[0];
        if (image.empty()) return reshape(x, {n, values, 1});
        Var all = reshape(x, {n, image[0], image[1], image[2]});
        if (down * size > image[0]) all = pad(all, 1, 0, down * size - image[0]);
        if (across * size > image[1]) all = pad(all, 2, 0, across * size - image[1]);
        all = transpose(reshape(all, {n, down, size, across, size, image[2]}), {0, 1, 3, 2, 4, 5});
        return reshape(all, {n, down * across, size * size * image[2]});
    }
    /// [B, T, raw values of a token], `each` per value, -> [B, outputs]: all of the first raw value, then of the next.
    Var joined(Var x, std::int64_t each) const {
        const std::int64_t n = shape(x)[0];
        if (image.empty()) return reshape(transpose(x, {0, 2, 1}), {n, values * each});
        Var all = transpose(reshape(x, {n, down, across, size, size, each * image[2]}), {0, 1, 3, 2, 4, 5});
        all = reshape(all, {n, down * size, across * size, each * image[2]});
        all = slice(slice(all, 1, 0, image[0]), 2, 0, image[1]);
        if (each > 1) all = transpose(reshape(all, {n, image[0] * image[1], each, image[2]}), {0, 2, 1, 3});
        return reshape(all, {n, values * each});
    }
};

} // namespace elbo
