// Convolution over images [rows, height, width, channels] with weights [kernel height, kernel width, channels / groups,
// out], and its two adjoints. All three are linear in both operands, and each one's gradient is the other two. oneDNN
// runs them (ops/backend/dnnl).
#include "ops/support.hpp"

namespace elbo::ops {

namespace {

constexpr AttributeSpec kConvTo[] = {{"strides", AttributeType::integers},
                                     {"pads", AttributeType::integers},
                                     {"dilations", AttributeType::integers},
                                     {"groups", AttributeType::integer},
                                     {"shape", AttributeType::integers}};
constexpr std::span<const AttributeSpec> kConv(kConvTo, std::size(kConvTo) - 1);

/// Strides and dilations [vertical, horizontal]; zeros around the image [top, bottom, left, right].
struct Window {
    Dims strides, pads, dilations;
    std::int64_t groups;
    explicit Window(const core::Attributes& a)
        : strides(a.integers("strides")), pads(a.integers("pads")), dilations(a.integers("dilations")),
          groups(a.integer("groups")) {
        if (strides.rank != 2 || strides[0] < 1 || strides[1] < 1) throw ShapeError{"takes two strides of 1 or more"};
        if (dilations.rank != 2 || dilations[0] < 1 || dilations[1] < 1)
            throw ShapeError{"takes two dilations of 1 or more"};
        if (groups < 1) throw ShapeError{"takes one group or more"};
        if (pads.rank != 4) throw ShapeError{"takes four pads: top, bottom, left, right"};
        for (int i = 0; i < 4; ++i)
            if (pads[i] < 0) throw ShapeError{"cannot pad by less than nothing"};
    }
    /// Size of the result along axis 0 (height) or 1 (width).
    std::int64_t out(int axis, std::int64_t size, std::int64_t kernel) const {
        const std::int64_t room = size + pads[2 * axis] + pads[2 * axis + 1] - dilations[axis] * (kernel - 1) - 1;
        if (kernel < 1 || room < 0)
            throw ShapeError{
                "a kernel of " + std::to_string(kernel) +
                (dilations[axis] > 1 ? ", its values " + std::to_string(dilations[axis]) + " apart," : "") +
                " does not fit an image of " + std::to_string(size)};
        return room / strides[axis] + 1;
    }
};

Dims conv_shape(const Window& w, const Dims& x, const Dims& kernel) {
    if (x.rank != 4 || kernel.rank != 4)
        throw ShapeError{"takes images [rows, height, width, channels] and weights [height, width, in, out]"};
    if (x[3] % w.groups != 0 || kernel[3] % w.groups != 0)
        throw ShapeError{std::to_string(w.groups) + " groups do not divide " + std::to_string(x[3]) +
                         " channels into " + std::to_string(kernel[3])};
    if (x[3] != kernel[2] * w.groups) throw ShapeError{"the image and the weights differ in channels"};
    return {x[0], w.out(0, x[1], kernel[0]), w.out(1, x[2], kernel[1]), kernel[3]};
}

/// Calls f(index into x, into the kernel, into y) for every product of a convolution.
template <class F>
void each_product(const Window& w, const Dims& x, const Dims& k, const Dims& y, F f) {
    const std::int64_t share = std::max<std::int64_t>(k[3] / w.groups, 1); // results of a group
    for (std::int64_t b = 0; b < y[0]; ++b)
        for (std::int64_t i = 0; i < y[1]; ++i)
            for (std::int64_t j = 0; j < y[2]; ++j)
                for (std::int64_t u = 0; u < k[0]; ++u)
                    for (std::int64_t v = 0; v < k[1]; ++v) {
                        const std::int64_t r = i * w.strides[0] + u * w.dilations[0] - w.pads[0];
                        const std::int64_t c = j * w.strides[1] + v * w.dilations[1] - w.pads[2];
                        if (r < 0 || r >= x[1] || c < 0 || c >= x[2]) continue;
                        for (std::int64_t ci = 0; ci < k[2]; ++ci)
                            for (std::int64_t co = 0; co < k[3]; ++co)
                                f(((b * x[1] + r) * x[2] + c) * x[3] + co / share * k[2] + ci,
                                  ((u * k[1] + v) * k[2] + ci) * k[3] + co, ((b * y[1] + i) * y[2] + j) * y[3] + co);
                    }
}

double conv_flops(const Dims& y, const Dims& kernel) {
    return 2.0 * double(y.numel()) * double(kernel[0] * kernel[1] * kernel[2]);
}

/// The sizes that convolutions are tried with: image, kernel, strides, pads, dilations, groups.
struct Size {
    Dims x, kernel, strides, pads, dilations{1, 1};
    std::int64_t groups = 1;
};
const std::vector<Size>& sizes() {
    static const std::vector<Size> all{{{2, 5, 6, 3}, {3, 3, 3, 4}, {1, 1}, {1, 1, 1, 1}},
                                       {{1, 7, 7, 1}, {3, 3, 1, 8}, {2, 2}, {1, 0, 0, 1}},
                                       {{3, 4, 5, 8}, {2, 3, 8, 2}, {2, 1}, {0, 0, 0, 0}},
                                       {{2, 3, 3, 2}, {3, 3, 2, 1}, {1, 1}, {0, 0, 0, 0}},
                                       {{1, 4, 4, 16}, {1, 1, 16, 16}, {1, 1}, {0, 0, 0, 0}},
                                       {{1, 6, 6, 2}, {2, 3, 2, 2}, {3, 2}, {0, 1, 2, 0}}, // not all of it is read
                                       {{2, 7, 8, 2}, {3, 2, 2, 3}, {1, 2}, {2, 0, 1, 2}, {2, 3}},
                                       {{1, 5, 4, 4}, {3, 3, 2, 6}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 2},
                                       {{2, 5, 5, 3}, {3, 3, 1, 3}, {2, 1}, {1, 1, 0, 1}, {1, 1}, 3},
                                       {{1, 6, 5, 2}, {2, 2, 1, 4}, {1, 1}, {1, 2, 0, 0}, {3, 2}, 2},
                                       {{1, 4, 4, 16}, {3, 3, 1, 16}, {1, 1}, {1, 1, 1, 1}, {1, 1}, 16},
                                       {{1, 3, 4, 16}, {2, 2, 8, 16}, {2, 2}, {1, 0, 0, 0}, {1, 1}, 2},
                                       {{1, 1, 9, 2}, {1, 3, 2, 2}, {1, 1}, {0, 0, 2, 2}, {1, 2}}};
    return all;
}
std::vector<Attribute> attributes_of(const Size& s) {
    return {Attribute::of("strides", s.strides), Attribute::of("pads", s.pads), Attribute::of("dilations", s.dilations),
            Attribute::of("groups", s.groups)};
}

/// A node's attributes as the vocabulary takes them.
struct Said {
    Shape strides, pads, dilations;
    std::int64_t groups;
    explicit Said(const core::Attributes& a)
        : strides(a.integers("strides").list()), pads(a.integers("pads").list()),
          dilations(a.integers("dilations").list()), groups(a.integer("groups")) {}
    Var forward(Var x, Var kernel) const { return conv2d(x, kernel, strides, pads, dilations, groups); }
    Var input(Var g, Var kernel, Var like) const {
        return conv2d_input(g, kernel, elbo::shape(like), strides, pads, dilations, groups);
    }
    Var weights(Var x, Var g, Var like) const {
        return conv2d_weights(x, g, elbo::shape(like), strides, pads, dilations, groups);
    }
};

struct Conv2d : WithoutTile, WithoutKernel {
    static constexpr auto name = "conv2d";
    static constexpr auto formula = "y[p, o] = sum_{t, c} x[p stride + t dilation - pad, c] w[t, c, o]";
    static constexpr int arity = 2;
    static constexpr Runs runs = Runs::library;
    static std::span<const AttributeSpec> attributes() { return kConv; }
    static Dims shape(const ShapeCall& c) { return conv_shape(Window(c.attributes), c.in[0], c.in[1]); }
    static void gradient(Adjoint& a) {
        const Said said(a.attributes);
        a.give(0, said.input(a.g, a.x(1), a.x(0)));
        a.give(1, said.weights(a.x(0), a.g, a.x(1)));
    }
    static void reference(const ReferenceCall& c) {
        std::fill_n(c.out, c.out_dims.numel(), 0.0);
        each_product(Window(c.attributes), c.in_dims[0], c.in_dims[1], c.out_dims,
                     [&](auto x, auto k, auto y) { c.out[y] += c.in[0][x] * c.in[1][k]; });
    }
    static double flops(std::span<const Dims> in, const Dims& y) { return conv_flops(y, in[1]); }
    static std::vector<OpCase> cases() {
        std::vector<OpCase> out;
        for (const Size& s : sizes()) out.push_back({{s.x, s.kernel}, attributes_of(s)});
        return out;
    }
};

/// (g, kernel) -> the adjoint of the image, of size `shape`: a transposed convolution.
struct Conv2dInput : WithoutTile, WithoutKernel {
    static constexpr auto name = "conv2d_input";
    static constexpr auto formula = "conv2d's adjoint in x: a transposed convolution";
    static constexpr int arity = 2;
    static constexpr Runs runs = Runs::library;
    static std::span<const AttributeSpec> attributes() { return kConvTo; }
    static Dims shape(const ShapeCall& c) {
        const Dims& x = c.attributes.integers("shape");
        if (!(conv_shape(Window(c.attributes), x, c.in[1]) == c.in[0]))
            throw ShapeError{"is no adjoint of " + x.text()};
        return x;
    }
    static void gradient(Adjoint& a) {
        const Said said(a.attributes);
        a.give(0, said.forward(a.g, a.x(1)));
        a.give(1, said.weights(a.g, a.x(0), a.x(1)));
    }
    static void reference(const ReferenceCall& c) {
        std::fill_n(c.out, c.out_dims.numel(), 0.0);
        each_product(Window(c.attributes), c.out_dims, c.in_dims[1], c.in_dims[0],
                     [&](auto x, auto k, auto y) { c.out[x] += c.in[0][y] * c.in[1][k]; });
    }
    static double flops(std::span<const Dims> in, const Dims&) { return conv_flops(in[0], in[1]); }
    static std::vector<OpCase> cases() {
        std::vector<OpCase> out;
        for (const Size& s : sizes()) {
            auto attributes = attributes_of(s);
            const Dims y = conv_shape(Window(core::Attributes(attributes)), s.x, s.kernel);
            attributes.push_back(Attribute::of("shape", s.x));
            out.push_back({{y, s.kernel}, attributes});
        }
        return out;
    }
};

/// (image, g) -> the adjoint of the kernel, of size `shape`.
struct Conv2dWeights : WithoutTile, WithoutKernel {
    static constexpr auto name = "conv2d_weights";
    static constexpr auto formula = "conv2d's adjoint in w";
    static constexpr int arity = 2;
    static constexpr Runs runs = Runs::library;
    static std::span<const AttributeSpec> attributes() { return kConvTo; }
    static Dims shape(const ShapeCall& c) {
        const Dims& k = c.attributes.integers("shape");
        if (!(conv_shape(Window(c.attributes), c.in[0], k) == c.in[1]))
            throw ShapeError{"is no adjoint of " + k.text()};
        return k;
    }
    static void gradient(Adjoint& a) {
        const Said said(a.attributes);
        a.give(0, said.input(a.x(1), a.g, a.x(0)));
        a.give(1, said.forward(a.x(0), a.g));
    }
    static void reference(const ReferenceCall& c) {
        std::fill_n(c.out, c.out_dims.numel(), 0.0);
        each_product(Window(c.attributes), c.in_dims[0], c.out_dims, c.in_dims[1],
                     [&](auto x, auto k, auto y) { c.out[k] += c.in[0][x] * c.in[1][y]; });
    }
    static double flops(std::span<const Dims> in, const Dims& k) { return conv_flops(in[1], k); }
    static std::vector<OpCase> cases() {
        std::vector<OpCase> out;
        for (const Size& s : sizes()) {
            auto attributes = attributes_of(s);
            const Dims y = conv_shape(Window(core::Attributes(attributes)), s.x, s.kernel);
            attributes.push_back(Attribute::of("shape", s.kernel));
            out.push_back({{s.x, y}, attributes});
        }
        return out;
    }
};

const Registered registered(add_ops<Conv2d, Conv2dInput, Conv2dWeights>);

} // namespace

} // namespace elbo::ops
