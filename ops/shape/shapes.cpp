// Ops that move values without changing them: reshape, broadcast_to, slice and its adjoint pad.
#include <cstring>

#include "ops/axes.hpp"

namespace elbo::ops {

namespace {

constexpr AttributeSpec kShape[] = {{"shape", AttributeType::integers}};
constexpr AttributeSpec kSlice[] = {
    {"axis", AttributeType::integer}, {"begin", AttributeType::integer}, {"end", AttributeType::integer}};
constexpr AttributeSpec kPad[] = {
    {"axis", AttributeType::integer}, {"before", AttributeType::integer}, {"after", AttributeType::integer}};

/// From one size to another.
std::vector<OpCase> to_shape(std::initializer_list<std::pair<Dims, Dims>> all) {
    std::vector<OpCase> out;
    for (const auto& [from, to] : all) out.push_back({{from}, {Attribute::of("shape", to)}});
    return out;
}

/// A size, an axis and what two numbers along it mean: a range to take, or what to add before and after.
std::vector<OpCase> along_an_axis(std::string_view first, std::string_view second) {
    const struct {
        Dims d;
        std::int64_t axis, a, b;
    } all[] = {{{1}, 0, 0, 1},       {{1, 1}, 1, 0, 0},       {{0, 3}, 1, 1, 2},   {{3, 0}, 0, 1, 3},
               {{7, 13}, 0, 2, 5},   {{7, 13}, 1, 3, 13},     {{1, 17}, -1, 0, 9}, {{2, 1000}, 1, 1, 514},
               {{2, 3, 4}, 1, 1, 3}, {{2, 3, 1, 5}, 3, 0, 4}, {{7, 13}, -2, 0, 7}};
    std::vector<OpCase> out;
    for (const auto& [d, axis, a, b] : all)
        out.push_back({{d}, {Attribute::of("axis", axis), Attribute::of(first, a), Attribute::of(second, b)}});
    return out;
}

struct Reshape : WithoutKernel, WithoutTile {
    static constexpr auto name = "reshape";
    static constexpr auto formula = "the same values in other dimensions";
    static constexpr int arity = 1;
    static constexpr Runs runs = Runs::view;
    static constexpr bool passes = true;
    static std::span<const AttributeSpec> attributes() { return kShape; }
    static Dims shape(const ShapeCall& c) {
        const Dims& to = c.attributes.integers("shape");
        for (int i = 0; i < to.rank; ++i)
            if (to[i] < 0) throw ShapeError{"shape " + to.text() + " has a negative size"};
        if (to.numel() != c.in[0].numel()) throw ShapeError{"cannot become " + to.text()};
        return to;
    }
    static void gradient(Adjoint& a) { a.give(0, reshape(a.g, elbo::shape(a.x(0)))); }
    static void reference(const ReferenceCall& c) { std::copy_n(c.in[0], c.out_dims.numel(), c.out); }
    static double of_constant(double value, const Dims&, const Dims&) { return value; }
    static std::vector<OpCase> cases() {
        return to_shape({{{}, {1, 1}},
                         {{1}, {}},
                         {{0}, {0, 3}},
                         {{3, 0}, {0}},
                         {{7, 13}, {91}},
                         {{2, 3, 4}, {4, 6}},
                         {{2, 1000}, {1000, 2}},
                         {{1, 17}, {17, 1}},
                         {{2, 3, 1, 5}, {30}},
                         {{7, 13}, {7, 13}}});
    }
};

struct BroadcastTo : WithoutKernel {
    static constexpr auto name = "broadcast_to";
    static constexpr auto formula = "y[i] = x[i], repeated along axes of size 1";
    static constexpr int arity = 1;
    static constexpr Runs runs = Runs::elementwise;
    static constexpr bool passes = true, spreads = true;
    static std::span<const AttributeSpec> attributes() { return kShape; }
    static Dims shape(const ShapeCall& c) {
        const Dims& to = c.attributes.integers("shape");
        auto both = core::broadcast(c.in[0], to);
        if (!both || !(*both == to)) throw ShapeError{"does not broadcast to " + to.text()};
        return to;
    }
    static void gradient(Adjoint& a) { a.give(0, a.g); } // the sweep sums it back
    static TileFn tile() { return copy_tile(); }
    static void reference(const ReferenceCall& c) {
        each_broadcast(c, [&](std::int64_t i, const auto& at) { c.out[i] = c.in[0][at[0]]; });
    }
    static double of_constant(double value, const Dims&, const Dims&) { return value; }
    static std::vector<OpCase> cases() {
        return to_shape({{{}, {}},
                         {{}, {7, 13}},
                         {{1}, {0}},
                         {{3, 1}, {3, 0}},
                         {{1, 1}, {1, 17}},
                         {{13}, {7, 13}},
                         {{7, 1}, {7, 13}},
                         {{3, 1}, {3, 513}},
                         {{1000}, {2, 1000}},
                         {{3, 1}, {2, 3, 4}},
                         {{4, 5}, {2, 3, 4, 5}}});
    }
};

struct Slice : WithoutTile {
    static constexpr auto name = "slice";
    static constexpr auto formula = "y[i] = x[begin + i step] along an axis";
    static constexpr int arity = 1;
    static constexpr Runs runs = Runs::kernel;
    static std::span<const AttributeSpec> attributes() { return kSlice; }
    static Dims shape(const ShapeCall& c) {
        Dims d = c.in[0];
        const int axis = axis_of(c.attributes, d);
        const std::int64_t begin = c.attributes.integer("begin"), end = c.attributes.integer("end");
        if (begin < 0 || end < begin || end > d[axis])
            throw ShapeError{"no range " + std::to_string(begin) + ":" + std::to_string(end) + " along axis " +
                             std::to_string(axis)};
        d[axis] = end - begin;
        return d;
    }
    static void gradient(Adjoint& a) {
        const Dims d(elbo::shape(a.x(0)));
        const int axis = axis_of(a.attributes, d);
        a.give(0, pad(a.g, axis, a.attributes.integer("begin"), d[axis] - a.attributes.integer("end")));
    }
    template <class Call, class T>
    static void copy(const Call& c, const T* in, T* out) {
        const int axis = axis_of(c.attributes, c.in_dims[0]);
        const Around around(c.in_dims[0], axis);
        const std::int64_t from = c.in_dims[0][axis] * around.inner, run = c.out_dims[axis] * around.inner;
        in += c.attributes.integer("begin") * around.inner;
        for (std::int64_t o = 0; o < around.outer; ++o) std::copy_n(in + o * from, run, out + o * run);
    }
    static void reference(const ReferenceCall& c) { copy(c, c.in[0], c.out); }
    static KernelFn kernel() {
        return [](const KernelCall& c) { copy(c, c.in[0], c.out); };
    }
    static core::AxisPart part(core::Attributes a, const Dims& in) { return {axis_of(a, in), a.integer("begin")}; }
    static std::vector<OpCase> cases() { return along_an_axis("begin", "end"); }
};

struct Pad : WithoutTile {
    static constexpr auto name = "pad";
    static constexpr auto formula = "x with zeros around it";
    static constexpr int arity = 1;
    static constexpr Runs runs = Runs::kernel;
    static std::span<const AttributeSpec> attributes() { return kPad; }
    static Dims shape(const ShapeCall& c) {
        Dims d = c.in[0];
        const std::int64_t before = c.attributes.integer("before"), after = c.attributes.integer("after");
        if (before < 0 || after < 0) throw ShapeError{"cannot pad by less than nothing"};
        d[axis_of(c.attributes, d)] += before + after;
        return d;
    }
    static void gradient(Adjoint& a) {
        const Dims d(elbo::shape(a.x(0)));
        const int axis = axis_of(a.attributes, d);
        const std::int64_t before = a.attributes.integer("before");
        a.give(0, slice(a.g, axis, before, before + d[axis]));
    }
    template <class Call, class T>
    static void copy(const Call& c, const T* in, T* out) {
        const int axis = axis_of(c.attributes, c.in_dims[0]);
        const Around around(c.in_dims[0], axis);
        const std::int64_t run = c.in_dims[0][axis] * around.inner, to = c.out_dims[axis] * around.inner;
        const std::int64_t before = c.attributes.integer("before") * around.inner;
        for (std::int64_t o = 0; o < around.outer; ++o) {
            T* row = out + o * to;
            std::fill(row, row + before, T(0));
            std::copy_n(in + o * run, run, row + before);
            std::fill(row + before + run, row + to, T(0));
        }
    }
    static void reference(const ReferenceCall& c) { copy(c, c.in[0], c.out); }
    static KernelFn kernel() {
        return [](const KernelCall& c) { copy(c, c.in[0], c.out); };
    }
    static constexpr auto joined_by = "concat";
    static core::AxisPart surrounds(core::Attributes a, const Dims& out) {
        return {axis_of(a, out), a.integer("before")};
    }
    static std::vector<OpCase> cases() { return along_an_axis("before", "after"); }
};

const Registered registered(add_ops<Reshape, BroadcastTo, Slice, Pad>);

} // namespace

} // namespace elbo::ops
