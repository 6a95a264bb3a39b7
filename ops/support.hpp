// Shared by the files that define ops: mixins that give a family of ops its arity, shape rule and reference loop, so
// that an op says only what is its own. A new op is one struct and its name in the list at the end of its file; a new
// file touches no other.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "core/graph/op.hpp"

namespace elbo::ops {

using core::Adjoint;
using core::Attribute;
using core::AttributeSpec;
using core::AttributeType;
using core::Dims;
using core::Domain;
using core::KernelCall;
using core::KernelFn;
using core::OpCase;
using core::OpTable;
using core::ReferenceCall;
using core::Runs;
using core::ShapeCall;
using core::ShapeError;
using core::TileCall;
using core::TileFn;

/// Says that no gradient flows to any input.
inline void no_gradient(Adjoint&) {}

struct WithoutAttributes {
    static std::span<const AttributeSpec> attributes() { return {}; }
};
struct WithoutKernel {
    static KernelFn kernel() { return nullptr; }
};
struct WithoutTile {
    static TileFn tile() { return nullptr; }
};

/// The loop that copies a value, or repeats one.
TileFn copy_tile();

/// An elementwise op; its loops come from its SIMD line (elementwise/tile_math-inl.h), once it is registered.
struct Elementwise : WithoutAttributes, WithoutKernel, WithoutTile {
    static constexpr Runs runs = Runs::elementwise;
};

/// y_i = f(x_i). Self has: name, simd(d, x), f(double), and adjoint(x, y, g) or no_adjoint().
template <class Self>
struct Unary : Elementwise {
    static constexpr int arity = 1;
    static Dims shape(const ShapeCall& c) { return c.in[0]; }
    static void reference(const ReferenceCall& c) {
        for (std::int64_t i = 0; i < c.out_dims.numel(); ++i) c.out[i] = Self::f(c.in[0][i]);
    }
    static void gradient(Adjoint& a) {
        if constexpr (requires { Self::adjoint(Var{}, Var{}, Var{}); }) a.give(0, Self::adjoint(a.x(0), a.y, a.g));
        else Self::no_adjoint();
    }
};

/// Walks a result and, for each value, where the operands' values lie.
template <class F>
void each_broadcast(const ReferenceCall& c, F f) {
    std::array<std::array<std::int64_t, core::kMaxRank>, 3> strides{};
    for (std::size_t k = 0; k < c.in.size(); ++k) strides[k] = core::strides_over(c.in_dims[k], c.out_dims);
    std::array<std::int64_t, 3> at{};
    std::array<std::int64_t, core::kMaxRank> index{};
    for (std::int64_t i = 0; i < c.out_dims.numel(); ++i) {
        f(i, at);
        for (int d = c.out_dims.rank - 1; d >= 0; --d) {
            const auto u = std::size_t(d);
            for (std::size_t k = 0; k < c.in.size(); ++k) at[k] += strides[k][u];
            if (++index[u] < c.out_dims[d]) break;
            for (std::size_t k = 0; k < c.in.size(); ++k) at[k] -= strides[k][u] * c.out_dims[d];
            index[u] = 0;
        }
    }
}

inline Dims broadcast_all(const ShapeCall& c) {
    Dims out = c.in[0];
    for (const Dims& d : c.in.subspan(1)) {
        auto both = core::broadcast(out, d);
        if (!both) throw ShapeError{"shapes do not broadcast"};
        out = *both;
    }
    return out;
}

/// y_i = f(a_i, b_i), broadcasting. Self has: name, simd(d, a, b), f(double, double), gradient(Adjoint&).
template <class Self>
struct Binary : Elementwise {
    static constexpr int arity = 2;
    static Dims shape(const ShapeCall& c) { return broadcast_all(c); }
    static void reference(const ReferenceCall& c) {
        each_broadcast(c, [&](std::int64_t i, const auto& at) { c.out[i] = Self::f(c.in[0][at[0]], c.in[1][at[1]]); });
    }
};

/// y_i = f(a_i, b_i, c_i), broadcasting. Self has the same, of three values.
template <class Self>
struct Ternary : Elementwise {
    static constexpr int arity = 3;
    static Dims shape(const ShapeCall& c) { return broadcast_all(c); }
    static void reference(const ReferenceCall& c) {
        each_broadcast(c, [&](std::int64_t i, const auto& at) {
            c.out[i] = Self::f(c.in[0][at[0]], c.in[1][at[1]], c.in[2][at[2]]);
        });
    }
};

/// Adds ops to a table; each must be complete.
template <core::CompleteOp... Ops>
void add_ops(OpTable& table) {
    (table.add(core::make_op<Ops>()), ...);
}

/// The loops of an elementwise op for one instruction set.
struct Tiles {
    TileFn tile;
    std::array<TileFn, 2> onto_product{};
};

/// The elementwise ops of a file.
template <class... Ops>
struct OpList {
    template <core::CompleteOp Op>
    static core::Op with(const Tiles& tiles) {
        core::Op op = core::make_op<Op>();
        op.tile = tiles.tile;
        op.onto_product = tiles.onto_product;
        return op;
    }
    static void add(OpTable& table, const std::array<Tiles, sizeof...(Ops)>& tiles) {
        const Tiles* next = tiles.data();
        (table.add(with<Ops>(*next++)), ...);
    }
};

/// A static of a file of ops that enters them into the table, when that is first asked for:
/// `const Registered registered(add_ops<Slice, Pad>);`. The linker must keep the file: ops/ is an object library.
class Registered {
public:
    using Add = void (*)(OpTable&);
    explicit Registered(Add add);
    static OpTable table();
};

} // namespace elbo::ops
