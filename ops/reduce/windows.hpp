// Windows over images [rows, height, width, channels]: what pooling ops share.
#pragma once

#include "ops/support.hpp"

namespace elbo::ops {

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
    /// Calls f(place in the result, its first pixel in x), both counted in pixels, for every window in order.
    template <class F>
    void each(const Dims& x, F f) const {
        const Dims y = over(x);
        std::int64_t at = 0;
        for (std::int64_t b = 0; b < y[0]; ++b)
            for (std::int64_t i = 0; i < y[1]; ++i)
                for (std::int64_t j = 0; j < y[2]; ++j, ++at)
                    f(at, (b * x[1] + i * strides[0]) * x[2] + j * strides[1]);
    }
    /// Calls f(pixel) for every pixel of the window that begins at `first`.
    template <class F>
    void inside(const Dims& x, std::int64_t first, F f) const {
        for (std::int64_t u = 0; u < size[0]; ++u)
            for (std::int64_t v = 0; v < size[1]; ++v) f(first + u * x[2] + v);
    }
};

/// Windows to try: next to each other, overlapping, with gaps, and with a rest that none covers.
struct PoolSize {
    Dims x, window, strides;
    std::vector<Attribute> attributes() const {
        return {Attribute::of("window", window), Attribute::of("strides", strides)};
    }
    Dims y() const {
        const auto a = attributes();
        return Windows(core::Attributes(a)).over(x);
    }
};
inline const std::vector<PoolSize>& pool_sizes() {
    static const std::vector<PoolSize> all{{{2, 4, 6, 3}, {2, 2}, {2, 2}},
                                           {{1, 5, 5, 1}, {3, 2}, {1, 2}},
                                           {{1, 5, 4, 2}, {1, 2}, {3, 2}},
                                           {{2, 3, 2, 70}, {3, 2}, {3, 2}}};
    return all;
}

} // namespace elbo::ops
