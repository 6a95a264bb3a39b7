// Mean of each window of images [rows, height, width, channels], and its adjoint, which spreads a value over its
// window.
#include "ops/reduce/windows.hpp"

namespace elbo::ops {

namespace {

constexpr AttributeSpec kSpread[] = {
    {"window", AttributeType::integers}, {"strides", AttributeType::integers}, {"shape", AttributeType::integers}};
constexpr std::span<const AttributeSpec> kPool(kSpread, std::size(kSpread) - 1);

struct AvgPool2d : WithoutTile {
    static constexpr auto name = "avg_pool2d";
    static constexpr auto formula = "the mean of each window";
    static constexpr int arity = 1;
    static constexpr Runs runs = Runs::kernel;
    static std::span<const AttributeSpec> attributes() { return kPool; }
    static Dims shape(const ShapeCall& c) { return Windows(c.attributes).over(c.in[0]); }
    static void gradient(Adjoint& a) {
        a.give(0, avg_pool2d_spread(a.g, a.attributes.integers("window").list(),
                                    a.attributes.integers("strides").list(), elbo::shape(a.x(0))));
    }
    template <class T, class Call>
    static void run(const Call& c) {
        const Windows w(c.attributes);
        const std::int64_t channels = c.out_dims[3];
        const T share = T(1) / T(w.size.numel());
        std::fill_n(c.out, c.out_dims.numel(), T(0));
        w.each(c.in_dims[0], [&](std::int64_t y, std::int64_t first) {
            T* to = c.out + y * channels;
            w.inside(c.in_dims[0], first, [&](std::int64_t pixel) {
                const T* row = c.in[0] + pixel * channels;
                for (std::int64_t k = 0; k < channels; ++k) to[k] += row[k];
            });
            for (std::int64_t k = 0; k < channels; ++k) to[k] *= share;
        });
    }
    static void reference(const ReferenceCall& c) { run<double>(c); }
    static KernelFn kernel() {
        return [](const KernelCall& c) { run<float>(c); };
    }
    static std::vector<OpCase> cases() {
        std::vector<OpCase> out;
        for (const PoolSize& s : pool_sizes()) out.push_back({{s.x}, s.attributes()});
        return out;
    }
};

/// g -> images of size `shape`.
struct AvgPool2dSpread : WithoutTile {
    static constexpr auto name = "avg_pool2d_spread";
    static constexpr auto formula = "avg_pool2d's adjoint: each g over its window";
    static constexpr int arity = 1;
    static constexpr Runs runs = Runs::kernel;
    static std::span<const AttributeSpec> attributes() { return kSpread; }
    static Dims shape(const ShapeCall& c) {
        const Dims& x = c.attributes.integers("shape");
        if (!(Windows(c.attributes).over(x) == c.in[0])) throw ShapeError{"is no adjoint of " + x.text()};
        return x;
    }
    static void gradient(Adjoint& a) {
        a.give(0, avg_pool2d(a.g, a.attributes.integers("window").list(), a.attributes.integers("strides").list()));
    }
    template <class T, class Call>
    static void run(const Call& c) {
        const Windows w(c.attributes);
        const Dims& x = c.out_dims;
        const std::int64_t channels = x[3];
        const T share = T(1) / T(w.size.numel());
        const bool once = w.size == w.strides && x[1] % w.size[0] == 0 && x[2] % w.size[1] == 0; // each pixel
        if (!once) std::fill_n(c.out, x.numel(), T(0));
        w.each(x, [&](std::int64_t y, std::int64_t first) {
            const T* from = c.in[0] + y * channels;
            w.inside(x, first, [&](std::int64_t pixel) {
                T* row = c.out + pixel * channels;
                if (once)
                    for (std::int64_t k = 0; k < channels; ++k) row[k] = share * from[k];
                else
                    for (std::int64_t k = 0; k < channels; ++k) row[k] += share * from[k];
            });
        });
    }
    static void reference(const ReferenceCall& c) { run<double>(c); }
    static KernelFn kernel() {
        return [](const KernelCall& c) { run<float>(c); };
    }
    static std::vector<OpCase> cases() {
        std::vector<OpCase> out;
        for (const PoolSize& s : pool_sizes()) {
            out.push_back({{s.y()}, s.attributes()});
            out.back().attributes.push_back(Attribute::of("shape", s.x));
        }
        return out;
    }
};

const Registered registered(add_ops<AvgPool2d, AvgPool2dSpread>);

} // namespace

} // namespace elbo::ops
