// Axes in another order. Axes that stay beside each other are moved as one; where the last axis stays, runs are copied,
// else the two axes along which the operand and the result lie without gaps are walked in blocks, so that each line of
// the cache that is fetched is used whole.
#include <cstring>

#include "ops/support.hpp"

namespace elbo::ops {

namespace {

constexpr AttributeSpec kOrder[] = {{"order", AttributeType::integers}};

/// order[i]: the operand's axis that becomes axis i.
Dims order_of(const core::Attributes& a, const Dims& d) {
    Dims order = a.integers("order");
    std::array<bool, core::kMaxRank> taken{};
    if (order.rank != d.rank) throw ShapeError{"the order " + order.text() + " does not name every axis"};
    for (int i = 0; i < d.rank; ++i) {
        if (order[i] < 0) order[i] += d.rank;
        if (order[i] < 0 || order[i] >= d.rank || taken[std::size_t(order[i])])
            throw ShapeError{"the order " + a.integers("order").text() + " is no permutation of the axes"};
        taken[std::size_t(order[i])] = true;
    }
    return order;
}

/// An axis of the result: its size, and how far apart its values lie in the operand and in the result.
struct Axis {
    std::int64_t n, from, to;
};
struct Axes {
    std::array<Axis, core::kMaxRank> all;
    std::size_t rank = 0;
};

/// Those longer than 1, in the order of the result; neighbours in both are one.
Axes axes_of(const Dims& in, const Dims& order) {
    std::array<std::int64_t, core::kMaxRank> stride{};
    std::int64_t step = 1;
    for (int i = in.rank - 1; i >= 0; --i) stride[std::size_t(i)] = step, step *= in[i];
    Axes out;
    for (int i = 0; i < in.rank; ++i) {
        const Axis next{in[int(order[i])], stride[std::size_t(order[i])], 0};
        if (next.n == 1) continue;
        if (Axis* last = out.rank ? &out.all[out.rank - 1] : nullptr; last && last->from == next.from * next.n)
            *last = {last->n * next.n, next.from, 0};
        else out.all[out.rank++] = next;
    }
    step = 1;
    for (std::size_t i = out.rank; i-- > 0;) out.all[i].to = step, step *= out.all[i].n;
    return out;
}

using Four = float __attribute__((vector_size(16)));

/// Four rows of four values become columns.
void swap_four(const float* x, std::int64_t from, float* y, std::int64_t to) {
    Four r[4];
    for (int k = 0; k < 4; ++k) std::memcpy(&r[k], x + k * from, sizeof(Four));
    const Four a = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5), b = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5);
    const Four c = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7), d = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
    r[0] = __builtin_shufflevector(a, b, 0, 1, 4, 5), r[1] = __builtin_shufflevector(a, b, 2, 3, 6, 7);
    r[2] = __builtin_shufflevector(c, d, 0, 1, 4, 5), r[3] = __builtin_shufflevector(c, d, 2, 3, 6, 7);
    for (int k = 0; k < 4; ++k) std::memcpy(y + k * to, &r[k], sizeof(Four));
}

/// y[r * to + c] = x[r + c * from]: rows of the operand become columns.
void swap_two(const float* x, float* y, std::int64_t rows, std::int64_t columns, std::int64_t from, std::int64_t to) {
    constexpr std::int64_t kBlock = 16;
    for (std::int64_t r = 0; r < rows; r += kBlock)
        for (std::int64_t c = 0; c < columns; c += kBlock) {
            const std::int64_t n = std::min(kBlock, rows - r), m = std::min(kBlock, columns - c);
            const std::int64_t whole = n / 4 * 4, fours = m / 4 * 4;
            const float* in = x + r + c * from;
            float* out = y + r * to + c;
            for (std::int64_t i = 0; i < whole; i += 4)
                for (std::int64_t k = 0; k < fours; k += 4) swap_four(in + k * from + i, from, out + i * to + k, to);
            for (std::int64_t i = 0; i < n; ++i)
                for (std::int64_t k = i < whole ? fours : 0; k < m; ++k) out[i * to + k] = in[k * from + i];
        }
}

void transposed(const Dims& in, const Dims& order, const float* x, float* y) {
    if (in.numel() == 0) return;
    Axes axes = axes_of(in, order);
    if (axes.rank == 0) return void(*y = *x);
    const Axis inner = axes.all[--axes.rank];
    Axis other{1, 1, 1};
    if (inner.from != 1) { // one of the others lies without gaps in the operand
        auto* found = std::find_if(axes.all.begin(), axes.all.begin() + axes.rank, [](auto& a) { return a.from == 1; });
        other = *found;
        std::copy(found + 1, axes.all.begin() + axes.rank, found);
        --axes.rank;
    }
    std::array<std::int64_t, core::kMaxRank> index{};
    std::int64_t from = 0, to = 0;
    for (;;) {
        if (inner.from == 1) std::copy_n(x + from, inner.n, y + to);
        else swap_two(x + from, y + to, other.n, inner.n, inner.from, other.to);
        std::size_t k = axes.rank;
        for (; k-- > 0;) {
            const Axis& a = axes.all[k];
            from += a.from, to += a.to;
            if (++index[k] < a.n) break;
            from -= a.from * a.n, to -= a.to * a.n;
            index[k] = 0;
        }
        if (k == std::size_t(-1)) return;
    }
}

struct Transpose : WithoutTile {
    static constexpr auto name = "transpose";
    static constexpr auto formula = "y[i] = x[i with its axes in the order asked for]";
    static constexpr int arity = 1;
    static constexpr Runs runs = Runs::kernel;
    static std::span<const AttributeSpec> attributes() { return kOrder; }
    static Dims shape(const ShapeCall& c) {
        const Dims order = order_of(c.attributes, c.in[0]);
        Dims out;
        for (int i = 0; i < order.rank; ++i) out.push(c.in[0][int(order[i])]);
        return out;
    }
    static void gradient(Adjoint& a) {
        const Dims order = order_of(a.attributes, Dims(elbo::shape(a.x(0))));
        Dims back = order;
        for (int i = 0; i < order.rank; ++i) back[int(order[i])] = i;
        a.give(0, transpose(a.g, back.list()));
    }
    static void reference(const ReferenceCall& c) {
        const Dims order = order_of(c.attributes, c.in_dims[0]);
        const Dims& d = c.out_dims;
        std::array<std::int64_t, core::kMaxRank> stride{}, index{};
        std::int64_t step = 1, from = 0;
        for (int i = d.rank - 1; i >= 0; --i) stride[std::size_t(i)] = step, step *= c.in_dims[0][i];
        for (std::int64_t i = 0; i < d.numel(); ++i) {
            c.out[i] = c.in[0][from];
            for (int k = d.rank - 1; k >= 0; --k) {
                const std::int64_t apart = stride[std::size_t(order[k])];
                from += apart;
                if (++index[std::size_t(k)] < d[k]) break;
                from -= apart * d[k];
                index[std::size_t(k)] = 0;
            }
        }
    }
    static KernelFn kernel() {
        return
            [](const KernelCall& c) { transposed(c.in_dims[0], order_of(c.attributes, c.in_dims[0]), c.in[0], c.out); };
    }
    static double of_constant(double value, const Dims&, const Dims&) { return value; }
    static std::vector<OpCase> cases() {
        const std::pair<Dims, Dims> all[] = {{{}, {}},
                                             {{1}, {0}},
                                             {{5}, {-1}},
                                             {{0, 3}, {1, 0}},
                                             {{7, 13}, {1, 0}},
                                             {{7, 13}, {0, 1}},
                                             {{1, 17}, {1, 0}},
                                             {{33, 50}, {-1, -2}},
                                             {{2, 3, 4}, {2, 0, 1}},
                                             {{2, 3, 4}, {1, 2, 0}},
                                             {{2, 3, 4}, {1, 0, 2}},
                                             {{2, 3, 4}, {2, 1, 0}},
                                             {{3, 18, 20}, {0, 2, 1}},
                                             {{2, 3, 1, 5}, {3, 1, 0, 2}},
                                             {{2, 3, 4, 5}, {0, 3, 1, 2}},
                                             {{2, 3, 4, 5}, {3, 0, 2, 1}},
                                             {{2, 1, 3, 2, 2, 3}, {5, 4, 0, 1, 3, 2}}};
        std::vector<OpCase> out;
        for (const auto& [d, order] : all) out.push_back({{d}, {Attribute::of("order", order)}});
        return out;
    }
};

const Registered registered(add_ops<Transpose>);

} // namespace

} // namespace elbo::ops
