// Shared by the files that define ops: mixins that give a family of ops its arity, shape rule and reference loop, so
// that an op says only what is its own. A new op is one struct in the file of its family, and one line in its list.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>

#include "core/graph/op.hpp"

namespace elbo::ops {

using core::Adjoint;
using core::AttributeSpec;
using core::AttributeType;
using core::Dims;
using core::KernelCall;
using core::KernelFn;
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

/// The SIMD loops of one family: nullptr for a name it does not have.
TileFn unary_tile(std::string_view name);
TileFn binary_tile(std::string_view name);

/// y_i = f(x_i). Self has: name, f(double), adjoint(x, y, g).
template <class Self>
struct Unary : WithoutAttributes, WithoutKernel {
    static constexpr int arity = 1;
    static constexpr Runs runs = Runs::elementwise;
    static Dims shape(const ShapeCall& c) { return c.in[0]; }
    static TileFn tile() { return unary_tile(Self::name); }
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

/// y_i = f(a_i, b_i), broadcasting. Self has: name, f(double, double), gradient(Adjoint&).
template <class Self>
struct Binary : WithoutAttributes, WithoutKernel {
    static constexpr int arity = 2;
    static constexpr Runs runs = Runs::elementwise;
    static Dims shape(const ShapeCall& c) { return broadcast_all(c); }
    static TileFn tile() { return binary_tile(Self::name); }
    static void reference(const ReferenceCall& c) {
        each_broadcast(c, [&](std::int64_t i, const auto& at) { c.out[i] = Self::f(c.in[0][at[0]], c.in[1][at[1]]); });
    }
};

/// Adds the ops of a list to a table; each must be complete.
template <core::CompleteOp... Ops>
void add_ops(OpTable& table) {
    (table.add(core::make_op<Ops>()), ...);
}

void add_unary(OpTable& table);
void add_binary(OpTable& table);
void add_reductions(OpTable& table);
void add_shapes(OpTable& table);
void add_sources(OpTable& table);
void add_noise(OpTable& table);
void add_matmul(OpTable& table);

} // namespace elbo::ops
