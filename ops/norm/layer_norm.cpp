// Normalisation by statistics of the example itself: over the last axis (Ba et al. 2016), or over all but the first in
// groups of channels (Wu and He 2018).
#include "ops/support.hpp"

namespace elbo::ops {

namespace {

constexpr AttributeSpec kGroups[] = {{"groups", AttributeType::integer}, {"eps", AttributeType::real}};
constexpr std::span<const AttributeSpec> kEps(kGroups + 1, 1);

void must_be_channels(Var v, std::int64_t channels) {
    if (elbo::shape(v) != Shape{channels})
        throw ShapeError{"scale and shift are one number for each of " + std::to_string(channels) + " channels"};
}

/// x [..., C]; scale and shift [C].
struct LayerNorm {
    static constexpr auto name = "layer_norm";
    static constexpr auto formula = "(x - m) / sqrt(v + eps) scale + shift, m and v over the last axis";
    static constexpr int arity = 3;
    static std::span<const AttributeSpec> attributes() { return kEps; }
    static Var expand(std::span<const Var> in, core::Attributes a) {
        const Shape s = elbo::shape(in[0]);
        if (s.empty() || s.back() < 1) throw ShapeError{"takes [..., channels]"};
        for (Var v : in.subspan(1)) must_be_channels(v, s.back());
        const double n = double(s.back());
        Var apart = in[0] - sum_keep(in[0], {-1}) / n;
        return apart * rsqrt(sum_keep(square(apart), {-1}) / n + a.real("eps")) * in[1] + in[2];
    }
    static std::vector<OpCase> cases() {
        const std::vector<Attribute> eps{Attribute::of("eps", 1e-2)};
        return {{{Dims{3, 7}, Dims{7}, Dims{7}}, eps},
                {{Dims{2, 3, 5}, Dims{5}, Dims{5}}, eps},
                {{Dims{4}, Dims{4}, Dims{4}}, eps}};
    }
};

/// x [B, ..., C]; scale and shift [C].
struct GroupNorm {
    static constexpr auto name = "group_norm";
    static constexpr auto formula = "(x - m) / sqrt(v + eps) scale + shift, m and v over a row's group of channels";
    static constexpr int arity = 3;
    static std::span<const AttributeSpec> attributes() { return kGroups; }
    static Var expand(std::span<const Var> in, core::Attributes a) {
        const Shape s = elbo::shape(in[0]);
        if (s.size() < 2 || s.back() < 1) throw ShapeError{"takes [rows, ..., channels]"};
        const std::int64_t groups = a.integer("groups"), channels = s.back();
        if (groups < 1 || channels % groups != 0)
            throw ShapeError{std::to_string(groups) + " groups do not divide " + std::to_string(channels) +
                             " channels"};
        for (Var v : in.subspan(1)) must_be_channels(v, channels);
        std::int64_t pixels = 1;
        for (std::size_t i = 1; i + 1 < s.size(); ++i) pixels *= s[i];
        const double n = double(pixels) * double(channels / groups);
        Var x = reshape(in[0], {s[0], pixels, groups, channels / groups});
        // Of every pixel first: sums over trailing axes are taken while the values are in the cache.
        auto mean_of = [&](Var v) { return sum_keep(sum_keep(v, {3}), {1}) / n; };
        Var apart = x - mean_of(x);
        Var y = apart * rsqrt(mean_of(square(apart)) + a.real("eps"));
        return reshape(y, s) * in[1] + in[2];
    }
    static std::vector<OpCase> cases() {
        std::vector<OpCase> out;
        auto add = [&](const Dims& x, std::int64_t groups) {
            const Dims c{x[x.rank - 1]};
            out.push_back({{x, c, c}, {Attribute::of("groups", groups), Attribute::of("eps", 1e-2)}});
        };
        add({2, 2, 3, 4}, 2);
        add({1, 3, 3, 3}, 3);
        add({2, 2, 2, 3}, 1);
        add({3, 6}, 2);
        add({2, 5, 4}, 4);
        return out;
    }
};

const Registered registered(add_ops<LayerNorm, GroupNorm>);

} // namespace

} // namespace elbo::ops
