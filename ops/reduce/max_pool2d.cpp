// Largest value of each window of images [rows, height, width, channels], and the two ways values travel through the
// places where these were: spread puts an adjoint there, pick reads a value there. Where several are largest, the first
// one counts.
#include <limits>

#include "ops/support.hpp"

namespace elbo::ops {

namespace {

constexpr AttributeSpec kPool[] = {{"window", AttributeType::integers}, {"strides", AttributeType::integers}};

struct Windows {
    Dims size, strides;
    explicit Windows(const core::Attributes& a) : size(a.integers("window")), strides(a.integers("strides")) {
        if (size.rank != 2 || strides.rank != 2 || size[0] < 1 || size[1] < 1 || strides[0] < 1 || strides[1] < 1)
            throw ShapeError{"takes a window and strides of two numbers of 1 or more"};
    }
    Dims over(const Dims& x) const {
        if (x.rank != 4) throw ShapeError{"takes images [rows, height, width, channels]"};
        if (x[1] < size[0] || x[2] < size[1])
            throw ShapeError{"a window of " + size.text() + " does not fit an image of " + x.text()};
        return {x[0], (x[1] - size[0]) / strides[0] + 1, (x[2] - size[1]) / strides[1] + 1, x[3]};
    }
};

/// Calls f(index of the result, index of its largest value in x). NaN counts as largest.
template <class T, class F>
void each_largest(const Windows& w, const T* in, const Dims& x, F f) {
    const Dims y = w.over(x);
    std::int64_t at = 0;
    for (std::int64_t b = 0; b < y[0]; ++b)
        for (std::int64_t i = 0; i < y[1]; ++i)
            for (std::int64_t j = 0; j < y[2]; ++j)
                for (std::int64_t c = 0; c < y[3]; ++c, ++at) {
                    std::int64_t best = -1;
                    for (std::int64_t u = 0; u < w.size[0]; ++u)
                        for (std::int64_t v = 0; v < w.size[1]; ++v) {
                            const std::int64_t r = i * w.strides[0] + u, k = j * w.strides[1] + v;
                            const std::int64_t here = ((b * x[1] + r) * x[2] + k) * x[3] + c;
                            if (best < 0 || in[here] > in[best] || (in[here] != in[here] && in[best] == in[best]))
                                best = here;
                        }
                    f(at, best);
                }
}

std::vector<OpCase> pool_cases(bool with_result) {
    std::vector<OpCase> out;
    for (const auto& [x, window, strides] :
         {std::tuple{Dims{2, 4, 6, 3}, Dims{2, 2}, Dims{2, 2}}, {Dims{1, 5, 5, 1}, Dims{3, 2}, Dims{1, 2}}}) {
        const std::vector<Attribute> a{Attribute::of("window", window), Attribute::of("strides", strides)};
        std::vector<Dims> in{x};
        if (with_result) in.push_back(Windows(core::Attributes(a)).over(x));
        out.push_back({in, a});
    }
    return out;
}

struct MaxPool2d : WithoutTile {
    static constexpr auto name = "max_pool2d";
    static constexpr int arity = 1;
    static constexpr Runs runs = Runs::kernel;
    static constexpr std::array domains{Domain{Domain::Of::distinct}};
    static std::span<const AttributeSpec> attributes() { return kPool; }
    static Dims shape(const ShapeCall& c) { return Windows(c.attributes).over(c.in[0]); }
    static void gradient(Adjoint& a) {
        a.give(0, max_pool2d_spread(a.x(0), a.g, a.attributes.integers("window").list(),
                                    a.attributes.integers("strides").list()));
    }
    template <class Call>
    static void run(const Call& c) {
        each_largest(Windows(c.attributes), c.in[0], c.in_dims[0], [&](auto y, auto x) { c.out[y] = c.in[0][x]; });
    }
    static void reference(const ReferenceCall& c) { run(c); }
    static KernelFn kernel() {
        return [](const KernelCall& c) { run(c); };
    }
    static std::vector<OpCase> cases() { return pool_cases(false); }
};

/// (x, g) -> g at the places where x was largest, 0 elsewhere.
struct MaxPool2dSpread : WithoutTile {
    static constexpr auto name = "max_pool2d_spread";
    static constexpr int arity = 2;
    static constexpr Runs runs = Runs::kernel;
    static constexpr std::array domains{Domain{Domain::Of::distinct}, Domain{}};
    static std::span<const AttributeSpec> attributes() { return kPool; }
    static Dims shape(const ShapeCall& c) {
        if (!(Windows(c.attributes).over(c.in[0]) == c.in[1])) throw ShapeError{"sizes do not belong together"};
        return c.in[0];
    }
    static void gradient(Adjoint& a) {
        a.give(1, max_pool2d_pick(a.x(0), a.g, a.attributes.integers("window").list(),
                                  a.attributes.integers("strides").list()));
    }
    template <class Call>
    static void run(const Call& c) {
        std::fill_n(c.out, c.out_dims.numel(), 0);
        each_largest(Windows(c.attributes), c.in[0], c.in_dims[0], [&](auto y, auto x) { c.out[x] += c.in[1][y]; });
    }
    static void reference(const ReferenceCall& c) { run(c); }
    static KernelFn kernel() {
        return [](const KernelCall& c) { run(c); };
    }
    static std::vector<OpCase> cases() { return pool_cases(true); }
};

/// (x, a) -> the values of a at the places where x was largest.
struct MaxPool2dPick : WithoutTile {
    static constexpr auto name = "max_pool2d_pick";
    static constexpr int arity = 2;
    static constexpr Runs runs = Runs::kernel;
    static constexpr std::array domains{Domain{Domain::Of::distinct}, Domain{}};
    static std::span<const AttributeSpec> attributes() { return kPool; }
    static Dims shape(const ShapeCall& c) {
        if (!(c.in[0] == c.in[1])) throw ShapeError{"sizes differ"};
        return Windows(c.attributes).over(c.in[0]);
    }
    static void gradient(Adjoint& a) {
        a.give(1, max_pool2d_spread(a.x(0), a.g, a.attributes.integers("window").list(),
                                    a.attributes.integers("strides").list()));
    }
    template <class Call>
    static void run(const Call& c) {
        each_largest(Windows(c.attributes), c.in[0], c.in_dims[0], [&](auto y, auto x) { c.out[y] = c.in[1][x]; });
    }
    static void reference(const ReferenceCall& c) { run(c); }
    static KernelFn kernel() {
        return [](const KernelCall& c) { run(c); };
    }
    static std::vector<OpCase> cases() {
        auto all = pool_cases(false);
        for (OpCase& c : all) c.shapes.push_back(c.shapes[0]);
        return all;
    }
};

const Registered registered(add_ops<MaxPool2d, MaxPool2dSpread, MaxPool2dPick>);

} // namespace

} // namespace elbo::ops
