// Images of another size by linear interpolation down and across: a product each way with a matrix that holds, for
// every pixel of the result, how much of each pixel of the image it is. Pixel centres lie at (i + 1/2) / size.
#include "ops/support.hpp"

namespace elbo::ops {

namespace {

constexpr AttributeSpec kSize[] = {{"height", AttributeType::integer}, {"width", AttributeType::integer}};

/// [to, from].
Var weights(Var like, std::int64_t from, std::int64_t to) {
    Var place = (reshape(iota(like, {to}), {to, 1}) + 0.5) * (double(from) / double(to)) - 0.5;
    return max(1 - abs(clamp(place, 0, double(from) - 1) - iota(like, {from})), 0.0);
}

/// x [B, H, W, C] -> [B, height, width, C].
struct UpsampleBilinear {
    static constexpr auto name = "upsample_bilinear";
    static constexpr auto formula = "y = weighted mean of the four pixels around";
    static constexpr int arity = 1;
    static std::span<const AttributeSpec> attributes() { return kSize; }
    static Var expand(std::span<const Var> in, core::Attributes a) {
        const Shape s = elbo::shape(in[0]);
        if (s.size() != 4) throw ShapeError{"takes images [rows, height, width, channels]"};
        const std::int64_t height = a.integer("height"), width = a.integer("width");
        if (height < 1 || width < 1) throw ShapeError{"takes a height and a width of 1 or more"};
        Var y = in[0];
        if (height != s[1]) y = matmul(weights(y, s[1], height), reshape(y, {s[0], s[1], s[2] * s[3]}));
        y = reshape(y, {s[0] * height, s[2], s[3]});
        if (width != s[2]) y = matmul(weights(y, s[2], width), y);
        return reshape(y, {s[0], height, width, s[3]});
    }
    static std::vector<OpCase> cases() {
        std::vector<OpCase> out;
        auto add = [&](const Dims& x, std::int64_t height, std::int64_t width) {
            out.push_back({{x}, {Attribute::of("height", height), Attribute::of("width", width)}});
        };
        add({2, 3, 4, 2}, 6, 8);
        add({1, 4, 3, 1}, 7, 2);
        add({3, 1, 2, 5}, 3, 2);
        add({1, 2, 2, 3}, 2, 5);
        return out;
    }
};

const Registered registered(add_ops<UpsampleBilinear>);

} // namespace

} // namespace elbo::ops
