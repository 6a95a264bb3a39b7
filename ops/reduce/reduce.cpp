// Reductions over axes. A sum over trailing axes of a fused group is taken by the group itself; the kernels here do the
// rest. The order of additions depends on the shape alone, never on the number of threads.
#include <limits>
#include <optional>

#include "ops/support.hpp"

namespace elbo::ops {

namespace {

constexpr AttributeSpec kReduce[] = {{"axes", AttributeType::integers}, {"keep", AttributeType::boolean}};

std::array<bool, core::kMaxRank> reduced_axes(const core::Attributes& a, const Dims& d) {
    std::array<bool, core::kMaxRank> is{};
    const Dims& axes = a.integers("axes");
    for (int i = 0; i < axes.rank; ++i) {
        const std::int64_t axis = axes[i] < 0 ? axes[i] + d.rank : axes[i];
        if (axis < 0 || axis >= d.rank) throw ShapeError{"there is no axis " + std::to_string(axes[i])};
        if (is[std::size_t(axis)]) throw ShapeError{"axis " + std::to_string(axes[i]) + " is named twice"};
        is[std::size_t(axis)] = true;
    }
    return is;
}

Dims reduced_shape(const ShapeCall& c) {
    const auto is = reduced_axes(c.attributes, c.in[0]);
    Dims out;
    for (int i = 0; i < c.in[0].rank; ++i) {
        if (!is[std::size_t(i)]) out.push(c.in[0][i]);
        else if (c.attributes.flag("keep")) out.push(1);
    }
    return out;
}

/// The shape with reduced axes as 1: what the result broadcasts back from.
Dims kept_dims(const core::Attributes& a, const Dims& d) {
    const auto is = reduced_axes(a, d);
    Dims out = d;
    for (int i = 0; i < d.rank; ++i)
        if (is[std::size_t(i)]) out[i] = 1;
    return out;
}

/// Calls f(index of input, index of result) for every value of the input, in order.
template <class Call, class F>
void each_reduced(const Call& c, F f) {
    const Dims& d = c.in_dims[0];
    const auto strides = core::strides_over(kept_dims(c.attributes, d), d);
    std::array<std::int64_t, core::kMaxRank> index{};
    std::int64_t at = 0;
    for (std::int64_t i = 0; i < d.numel(); ++i) {
        f(i, at);
        for (int k = d.rank - 1; k >= 0; --k) {
            const auto u = std::size_t(k);
            at += strides[u];
            if (++index[u] < d[k]) break;
            at -= strides[u] * d[k];
            index[u] = 0;
        }
    }
}

/// Ways to reduce; of_nothing: over axes without a value too, which not every reduction has a result for.
std::vector<OpCase> reduction_cases(bool of_nothing) {
    std::vector<OpCase> out;
    auto add = [&](const Dims& d, const Dims& axes) {
        for (bool keep : {false, true})
            out.push_back({{d}, {Attribute::of("axes", axes), Attribute::of("keep", keep)}});
    };
    add({}, {});
    add({1}, {0});
    add({1, 1}, {0, 1});
    add({3, 0}, {0});
    add({0, 3}, {1});
    if (of_nothing) add({0}, {0}), add({0, 3}, {0}), add({3, 0}, {1}), add({3, 0}, {0, 1});
    for (const Dims& axes : {Dims{0}, Dims{1}, Dims{-1}, Dims{0, 1}, Dims{}}) add({7, 13}, axes);
    add({1, 17}, {1});
    for (const Dims& d : {Dims{3, 513}, Dims{2, 1000}, Dims{1000, 2}, Dims{70, 300}})
        for (const Dims& axes : {Dims{0}, Dims{1}}) add(d, axes);
    for (const Dims& axes : {Dims{0}, Dims{1}, Dims{2}, Dims{0, 2}, Dims{1, 2}, Dims{2, 1}, Dims{0, 1}, Dims{0, 1, 2}})
        add({2, 3, 4}, axes);
    for (const Dims& axes : {Dims{0, 2}, Dims{-1, -3}, Dims{3}, Dims{2, 3}}) add({2, 3, 1, 5}, axes);
    return out;
}

enum class Layout { leading, trailing, mixed };

/// A reduction over leading axes is [rows, cols] -> [cols], over trailing ones [rows, cols] -> [rows].
Layout layout_of(const KernelCall& c, std::int64_t& rows, std::int64_t& cols) {
    const Dims& d = c.in_dims[0];
    const auto is = reduced_axes(c.attributes, d);
    int leading = 0, trailing = 0, all = 0;
    for (int i = 0; i < d.rank; ++i) all += is[std::size_t(i)];
    while (leading < d.rank && is[std::size_t(leading)]) ++leading;
    while (trailing < d.rank && is[std::size_t(d.rank - 1 - trailing)]) ++trailing;
    rows = cols = 1;
    if (trailing == all) {
        for (int i = 0; i < d.rank; ++i) (i < d.rank - trailing ? rows : cols) *= d[i];
        return Layout::trailing;
    }
    if (leading == all) {
        for (int i = 0; i < d.rank; ++i) (i < leading ? rows : cols) *= d[i];
        return Layout::leading;
    }
    return Layout::mixed;
}

// Two levels, so that the error of adding thousands of f32 rows stays small.
void sum_columns(const float* in, std::int64_t rows, std::int64_t cols, float* out) {
    constexpr std::int64_t kBlockRows = 32, kBlockCols = 256;
    for (std::int64_t c0 = 0; c0 < cols; c0 += kBlockCols) {
        const std::int64_t n = std::min(kBlockCols, cols - c0);
        float total[kBlockCols] = {};
        for (std::int64_t r0 = 0; r0 < rows; r0 += kBlockRows) {
            float block[kBlockCols] = {};
            const std::int64_t end = std::min(rows, r0 + kBlockRows);
            for (std::int64_t r = r0; r < end; ++r) {
                const float* row = in + r * cols + c0;
                for (std::int64_t k = 0; k < n; ++k) block[k] += row[k];
            }
            for (std::int64_t k = 0; k < n; ++k) total[k] += block[k];
        }
        std::copy_n(total, n, out + c0);
    }
}

// Eight chains, so that additions need not wait for each other.
double sum_row(const float* x, std::int64_t n) {
    constexpr std::int64_t kLanes = 8;
    double lanes[kLanes] = {}, total = 0;
    std::int64_t k = 0;
    for (; k + kLanes <= n; k += kLanes)
        for (std::int64_t l = 0; l < kLanes; ++l) lanes[l] += double(x[k + l]);
    for (; k < n; ++k) total += double(x[k]);
    for (double lane : lanes) total += lane;
    return total;
}

/// The only axes that are reduced lie between others: [blocks, rows, cols] -> [blocks, cols].
std::optional<std::int64_t> blocks_of(const KernelCall& c, std::int64_t& rows, std::int64_t& cols) {
    const Dims& d = c.in_dims[0];
    const auto is = reduced_axes(c.attributes, d);
    std::int64_t sizes[3] = {1, 1, 1};
    int part = 0;
    for (int i = 0; i < d.rank; ++i) {
        if (d[i] == 1) continue;
        if (is[std::size_t(i)] != (part == 1)) ++part;
        if (part > 2) return {};
        sizes[part] *= d[i];
    }
    rows = sizes[1], cols = sizes[2];
    return sizes[0];
}

void sum_kernel(const KernelCall& c) {
    std::int64_t rows, cols;
    const Layout layout = layout_of(c, rows, cols);
    if (layout == Layout::leading) return sum_columns(c.in[0], rows, cols, c.out);
    if (layout == Layout::trailing) {
        for (std::int64_t r = 0; r < rows; ++r) c.out[r] = float(sum_row(c.in[0] + r * cols, cols));
        return;
    }
    if (const auto blocks = blocks_of(c, rows, cols)) {
        for (std::int64_t b = 0; b < *blocks; ++b) sum_columns(c.in[0] + b * rows * cols, rows, cols, c.out + b * cols);
        return;
    }
    std::fill_n(c.out, c.out_dims.numel(), 0.f);
    each_reduced(c, [&](std::int64_t i, std::int64_t at) { c.out[at] += c.in[0][i]; });
}

struct Sum : WithoutTile {
    static constexpr auto name = "sum";
    static constexpr auto formula = "sum_i x[i] over axes";
    static constexpr int arity = 1;
    static constexpr Runs runs = Runs::row_sum;
    static std::span<const AttributeSpec> attributes() { return kReduce; }
    static Dims shape(const ShapeCall& c) { return reduced_shape(c); }
    static void gradient(Adjoint& a) {
        const Dims d(elbo::shape(a.x(0)));
        a.give(0, broadcast_to(reshape(a.g, kept_dims(a.attributes, d).list()), d.list()));
    }
    static void reference(const ReferenceCall& c) {
        std::fill_n(c.out, c.out_dims.numel(), 0.0);
        each_reduced(c, [&](std::int64_t i, std::int64_t at) { c.out[at] += c.in[0][i]; });
    }
    static KernelFn kernel() { return sum_kernel; }
    static double of_constant(double value, const Dims& in, const Dims& out) {
        return in.numel() == 0 ? 0 : value * (double(in.numel()) / double(out.numel())); // not 0 * infinity
    }
    static std::vector<OpCase> cases() { return reduction_cases(true); }
};

template <class Call, class T>
void take_max(const Call& c, const T* in, T* out) {
    std::fill_n(out, c.out_dims.numel(), -std::numeric_limits<T>::infinity());
    each_reduced(c, [&](std::int64_t i, std::int64_t at) {
        if (in[i] > out[at] || in[i] != in[i]) out[at] = in[i]; // NaN stays
    });
}

// The larger of what was and what comes, and whether a NaN has come: two loops that a compiler turns into vectors.
void raise(const float* x, std::int64_t n, float* top, std::int32_t* nan) {
    for (std::int64_t k = 0; k < n; ++k) top[k] = top[k] < x[k] ? x[k] : top[k];
    for (std::int64_t k = 0; k < n; ++k) nan[k] |= x[k] != x[k];
}

void max_kernel(const KernelCall& c) {
    std::int64_t rows, cols;
    const Layout layout = layout_of(c, rows, cols);
    if (layout == Layout::mixed) return take_max(c, c.in[0], c.out);
    constexpr std::int64_t kLanes = 64;
    constexpr float kLeast = -std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();
    float top[kLanes];
    std::int32_t nan[kLanes];
    const std::int64_t lanes = std::min(kLanes, cols);
    const auto begin = [&] { std::fill_n(top, lanes, kLeast), std::fill_n(nan, lanes, 0); };
    if (layout == Layout::leading) {
        for (std::int64_t from = 0; from < cols; from += kLanes) {
            const std::int64_t n = std::min(kLanes, cols - from);
            begin();
            for (std::int64_t r = 0; r < rows; ++r) raise(c.in[0] + r * cols + from, n, top, nan);
            for (std::int64_t k = 0; k < n; ++k) c.out[from + k] = nan[k] ? kNan : top[k];
        }
        return;
    }
    for (std::int64_t r = 0; r < rows; ++r) {
        const float* x = c.in[0] + r * cols;
        begin();
        std::int64_t k = 0;
        for (; k + kLanes <= cols; k += kLanes) raise(x + k, kLanes, top, nan);
        raise(x + k, cols - k, top, nan);
        float largest = kLeast;
        std::int32_t any = 0;
        for (std::int64_t l = 0; l < lanes; ++l) largest = largest < top[l] ? top[l] : largest, any |= nan[l];
        c.out[r] = any ? kNan : largest;
    }
}

struct MaxOver : WithoutTile {
    static constexpr auto name = "max_over";
    static constexpr auto formula = "max_i x[i] over axes; equal ones share the gradient";
    static constexpr int arity = 1;
    static constexpr Runs runs = Runs::kernel;
    static constexpr std::array domains{Domain{Domain::Of::distinct}};
    static std::span<const AttributeSpec> attributes() { return kReduce; }
    static Dims shape(const ShapeCall& c) {
        const Dims out = reduced_shape(c);
        if (out.numel() > 0 && c.in[0].numel() == 0) throw ShapeError{"there is no largest of nothing"};
        return out;
    }
    static void gradient(Adjoint& a) {
        const Dims d(elbo::shape(a.x(0)));
        const Shape kept = kept_dims(a.attributes, d).list();
        Var top = reshape(a.y, kept);
        Var is_top = 1 - max(greater(a.x(0), top), greater(top, a.x(0)));
        a.give(0, is_top * reshape(a.g, kept) / sum_keep(is_top, a.attributes.integers("axes").list()));
    }
    static void reference(const ReferenceCall& c) { take_max(c, c.in[0], c.out); }
    static KernelFn kernel() { return max_kernel; }
    static std::vector<OpCase> cases() { return reduction_cases(false); }
};

const Registered registered(add_ops<Sum, MaxOver>);

} // namespace

} // namespace elbo::ops
