// Tensors one behind the other along an axis, and an axis the other way round.
#include "ops/axes.hpp"

namespace elbo::ops {

namespace {

constexpr AttributeSpec kAxis[] = {{"axis", AttributeType::integer}};

struct Concat : WithoutTile {
    static constexpr auto name = "concat";
    static constexpr auto formula = "one operand behind the other along an axis";
    static constexpr int arity = core::kAnyArity;
    static constexpr Runs runs = Runs::kernel;
    static constexpr bool passes = true; // all others are empty
    static std::span<const AttributeSpec> attributes() { return kAxis; }
    static Dims shape(const ShapeCall& c) {
        Dims out = c.in[0];
        const int axis = axis_of(c.attributes, out);
        for (const Dims& d : c.in.subspan(1)) {
            Dims alike = d;
            if (d.rank == out.rank) alike[axis] = out[axis];
            if (!(alike == out)) throw ShapeError{"sizes differ beside the axis"};
            out[axis] += d[axis];
        }
        return out;
    }
    static void gradient(Adjoint& a) {
        const int axis = axis_of(a.attributes, Dims(elbo::shape(a.y)));
        std::int64_t at = 0;
        for (std::size_t i = 0; i < a.arity(); ++i) {
            const std::int64_t n = elbo::shape(a.x(i))[std::size_t(axis)];
            a.give(i, slice(a.g, axis, at, at + n));
            at += n;
        }
    }
    static int joins(core::Attributes a, const Dims& out) { return axis_of(a, out); }
    template <class Call>
    static void run(const Call& c) {
        const int axis = axis_of(c.attributes, c.out_dims);
        const Around around(c.out_dims, axis);
        const std::int64_t whole = c.out_dims[axis] * around.inner;
        auto* out = c.out;
        for (std::size_t k = 0; k < c.in.size(); ++k) {
            const std::int64_t run = c.in_dims[k][axis] * around.inner;
            // An operand may have been made where it belongs (core/graph/freeze/windows.cpp).
            for (std::int64_t o = 0; o < around.outer && c.in[k] != out; ++o)
                std::copy_n(c.in[k] + o * run, run, out + o * whole);
            out += run;
        }
    }
    static void reference(const ReferenceCall& c) { run(c); }
    static KernelFn kernel() {
        return [](const KernelCall& c) { run(c); };
    }
    static std::vector<OpCase> cases() {
        const std::pair<std::vector<Dims>, std::int64_t> all[] = {{{{3}}, 0},
                                                                  {{{3}, {0}, {2}}, 0},
                                                                  {{{3}, {0}}, -1},
                                                                  {{{7, 13}, {7, 1}, {7, 5}, {7, 2}}, 1},
                                                                  {{{7, 13}, {2, 13}}, 0},
                                                                  {{{2, 3, 4}, {2, 1, 4}, {2, 2, 4}}, -2},
                                                                  {{{0, 3}, {0, 2}}, 1}};
        std::vector<OpCase> out;
        for (const auto& [shapes, axis] : all) out.push_back({shapes, {Attribute::of("axis", axis)}});
        return out;
    }
};

struct Flip : WithoutTile {
    static constexpr auto name = "flip";
    static constexpr auto formula = "y[i] = x[n - 1 - i] along an axis";
    static constexpr int arity = 1;
    static constexpr Runs runs = Runs::kernel;
    static std::span<const AttributeSpec> attributes() { return kAxis; }
    static Dims shape(const ShapeCall& c) {
        axis_of(c.attributes, c.in[0]);
        return c.in[0];
    }
    static void gradient(Adjoint& a) { a.give(0, flip(a.g, a.attributes.integer("axis"))); }
    template <class Call>
    static void run(const Call& c) {
        const int axis = axis_of(c.attributes, c.out_dims);
        const Around around(c.out_dims, axis);
        const std::int64_t n = c.out_dims[axis], inner = around.inner;
        for (std::int64_t o = 0; o < around.outer; ++o) {
            const auto* x = c.in[0] + o * n * inner;
            auto* y = c.out + o * n * inner;
            if (inner == 1) std::reverse_copy(x, x + n, y);
            else
                for (std::int64_t i = 0; i < n; ++i) std::copy_n(x + i * inner, inner, y + (n - 1 - i) * inner);
        }
    }
    static void reference(const ReferenceCall& c) { run(c); }
    static KernelFn kernel() {
        return [](const KernelCall& c) { run(c); };
    }
    static double of_constant(double value, const Dims&, const Dims&) { return value; }
    static std::vector<OpCase> cases() {
        std::vector<OpCase> out;
        for (const auto& [d, axis] :
             {std::pair<Dims, std::int64_t>{{1}, 0}, {{0, 3}, 1}, {{7, 13}, 0}, {{7, 13}, -1}, {{2, 3, 4}, 1}})
            out.push_back({{d}, {Attribute::of("axis", axis)}});
        return out;
    }
};

const Registered registered(add_ops<Concat, Flip>);

} // namespace

} // namespace elbo::ops
