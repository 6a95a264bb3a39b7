// Largest value of each window of images [rows, height, width, channels], and the two ways values travel through the
// places where these were: spread puts an adjoint there, pick reads a value there. Where several are largest, the first
// one counts.
#include <cstdint>

#include "ops/reduce/windows.hpp"

namespace elbo::ops {

namespace {

constexpr AttributeSpec kPool[] = {{"window", AttributeType::integers}, {"strides", AttributeType::integers}};

/// Calls f(index of the result, index of its largest value in x). NaN counts as largest.
template <class T, class F>
void each_largest(const Windows& w, const T* in, const Dims& x, F f) {
    constexpr std::int64_t kBlock = 64; // channels at a time
    const std::int64_t channels = x[3];
    w.each(x, [&](std::int64_t y, std::int64_t first) {
        for (std::int64_t c0 = 0; c0 < channels; c0 += kBlock) {
            const std::int64_t n = std::min(kBlock, channels - c0);
            T best[kBlock];
            std::int32_t where[kBlock] = {}; // pixels behind the first
            std::copy_n(in + first * channels + c0, n, best);
            w.inside(x, first, [&](std::int64_t pixel) {
                const T* row = in + pixel * channels + c0;
                const auto behind = std::int32_t(pixel - first);
                for (std::int64_t c = 0; c < n; ++c) {
                    const bool larger = row[c] > best[c] || (row[c] != row[c] && best[c] == best[c]);
                    best[c] = larger ? row[c] : best[c];
                    where[c] = larger ? behind : where[c];
                }
            });
            for (std::int64_t c = 0; c < n; ++c) f(y * channels + c0 + c, (first + where[c]) * channels + c0 + c);
        }
    });
}

std::vector<OpCase> pool_cases(bool with_result) {
    std::vector<OpCase> out;
    for (const PoolSize& s : pool_sizes()) {
        std::vector<Dims> in{s.x};
        if (with_result) in.push_back(s.y());
        out.push_back({in, s.attributes()});
    }
    return out;
}

struct MaxPool2d : WithoutTile {
    static constexpr auto name = "max_pool2d";
    static constexpr auto formula = "the largest of each window";
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
    static constexpr auto formula = "max_pool2d's adjoint: each g to the largest of its window";
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
    static constexpr auto formula = "that adjoint's adjoint: x where the window was largest";
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
