// Functions of two values, and `where`: they broadcast as NumPy does. Each op is a line of SIMD and a struct with its
// f64 reference and its adjoint (of the broadcast shape: the sweep sums it back).
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/elementwise/binary.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h, as Highway asks for.
#include "ops/elementwise/tile_math-inl.h"

#include <string_view>

HWY_BEFORE_NAMESPACE();
namespace elbo::ops::HWY_NAMESPACE {

#define ELBO_TILE(FUNCTION, EXPRESSION)               \
    void FUNCTION(const core::TileCall& c) {          \
        Map2(c, [](auto d, auto a, auto b) HWY_ATTR { \
            (void)d;                                  \
            return EXPRESSION;                        \
        });                                           \
    }
ELBO_TILE(AddTile, hn::Add(a, b))
ELBO_TILE(SubTile, hn::Sub(a, b))
ELBO_TILE(MulTile, hn::Mul(a, b))
ELBO_TILE(DivTile, hn::Div(a, b))
ELBO_TILE(MaxTile, KeepNan(d, a, KeepNan(d, b, hn::Max(a, b))))
ELBO_TILE(MinTile, KeepNan(d, a, KeepNan(d, b, hn::Min(a, b))))
ELBO_TILE(GreaterTile, hn::IfThenElseZero(hn::Gt(a, b), hn::Set(d, 1.f)))
#undef ELBO_TILE

void WhereTile(const core::TileCall& c) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d);
    std::size_t i = 0;
    auto load = [&](int k) HWY_ATTR { return c.scalar[k] ? hn::Set(d, *c.in[k]) : hn::LoadU(d, c.in[k] + i); };
    for (; i + lanes <= c.n; i += lanes)
        hn::StoreU(hn::IfThenElse(hn::Eq(load(0), hn::Zero(d)), load(2), load(1)), d, c.out + i);
    auto at = [&](int k) { return c.scalar[k] ? *c.in[k] : c.in[k][i]; };
    for (; i < c.n; ++i) c.out[i] = at(0) == 0 ? at(2) : at(1);
}

// Products and sums in one pass, for the interpreter of fused groups (ops/backend/tiles.cpp): a * b with in[2] as c.
template <bool kScalarA, bool kScalarC, class F>
HWY_INLINE void Map3As(const core::TileCall& c, F f) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d);
    const auto a0 = hn::Set(d, *c.in[0]), c0 = hn::Set(d, *c.in[2]);
    const float *const in0 = c.in[0], *const in1 = c.in[1], *const in2 = c.in[2];
    float* const out = c.out;
    const std::size_t whole = c.n / lanes * lanes;
    std::size_t i = 0;
    for (; i < whole; i += lanes)
        hn::StoreU(
            f(kScalarA ? a0 : hn::LoadU(d, in0 + i), hn::LoadU(d, in1 + i), kScalarC ? c0 : hn::LoadU(d, in2 + i)), d,
            out + i);
    if (i == c.n) return;
    HWY_ALIGN float x[kMostLanes] = {}, y[kMostLanes] = {}, z[kMostLanes] = {};
    const std::size_t bytes = (c.n - i) * sizeof(float);
    if (!kScalarA) std::memcpy(x, c.in[0] + i, bytes);
    std::memcpy(y, c.in[1] + i, bytes);
    if (!kScalarC) std::memcpy(z, c.in[2] + i, bytes);
    hn::Store(f(kScalarA ? a0 : hn::Load(d, x), hn::Load(d, y), kScalarC ? c0 : hn::Load(d, z)), d, x);
    std::memcpy(c.out + i, x, bytes);
}

template <class F>
HWY_INLINE void Map3(const core::TileCall& c, F f) {
    if (c.n == 0) return;
    if (c.scalar[0]) return c.scalar[2] ? Map3As<true, true>(c, f) : Map3As<true, false>(c, f);
    c.scalar[2] ? Map3As<false, true>(c, f) : Map3As<false, false>(c, f);
}

void MulAddTile(const core::TileCall& call) {
    Map3(call, [](auto a, auto b, auto c) HWY_ATTR { return hn::MulAdd(a, b, c); });
}
void MulSubTile(const core::TileCall& call) {
    Map3(call, [](auto a, auto b, auto c) HWY_ATTR { return hn::MulSub(a, b, c); });
}
void NegMulAddTile(const core::TileCall& call) {
    Map3(call, [](auto a, auto b, auto c) HWY_ATTR { return hn::NegMulAdd(a, b, c); });
}

core::TileFn BinaryTile(std::string_view name) {
    const struct {
        std::string_view name;
        core::TileFn tile;
    } all[] = {{"add", AddTile},
               {"sub", SubTile},
               {"mul", MulTile},
               {"div", DivTile},
               {"max", MaxTile},
               {"min", MinTile},
               {"greater", GreaterTile},
               {"where", WhereTile},
               {"mul_add", MulAddTile},
               {"mul_sub", MulSubTile},
               {"neg_mul_add", NegMulAddTile}};
    for (const auto& one : all)
        if (one.name == name) return one.tile;
    return nullptr;
}

} // namespace elbo::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "ops/support.hpp"

namespace elbo::ops {

HWY_EXPORT(BinaryTile);
TileFn binary_tile(std::string_view name) { return HWY_DYNAMIC_DISPATCH(BinaryTile)(name); }

namespace {

struct Add : Binary<Add> {
    static constexpr auto name = "add";
    static double f(double a, double b) { return a + b; }
    static void gradient(Adjoint& a) {
        a.give(0, a.g);
        a.give(1, a.g);
    }
};
struct Sub : Binary<Sub> {
    static constexpr auto name = "sub";
    static double f(double a, double b) { return a - b; }
    static void gradient(Adjoint& a) {
        a.give(0, a.g);
        a.give(1, -a.g);
    }
};
struct Mul : Binary<Mul> {
    static constexpr auto name = "mul";
    static double f(double a, double b) { return a * b; }
    static void gradient(Adjoint& a) {
        a.give(0, a.g * a.x(1));
        a.give(1, a.g * a.x(0));
    }
};
struct Div : Binary<Div> {
    static constexpr auto name = "div";
    static double f(double a, double b) { return a / b; }
    static void gradient(Adjoint& a) {
        a.give(0, a.g / a.x(1));
        a.give(1, -(a.g * a.y) / a.x(1));
    }
};
struct Max : Binary<Max> {
    static constexpr auto name = "max";
    static double f(double a, double b) { return std::isnan(a) || std::isnan(b) ? NAN : std::max(a, b); }
    static void gradient(Adjoint& a) {
        Var second = greater(a.x(1), a.x(0));
        a.give(0, a.g * (1 - second));
        a.give(1, a.g * second);
    }
};
struct Min : Binary<Min> {
    static constexpr auto name = "min";
    static double f(double a, double b) { return std::isnan(a) || std::isnan(b) ? NAN : std::min(a, b); }
    static void gradient(Adjoint& a) {
        Var second = greater(a.x(0), a.x(1));
        a.give(0, a.g * (1 - second));
        a.give(1, a.g * second);
    }
};
struct Greater : Binary<Greater> {
    static constexpr auto name = "greater";
    static double f(double a, double b) { return a > b ? 1 : 0; }
    static void gradient(Adjoint& a) { no_gradient(a); }
};
struct Where : WithoutAttributes, WithoutKernel {
    static constexpr auto name = "where";
    static constexpr int arity = 3;
    static constexpr Runs runs = Runs::elementwise;
    static Dims shape(const ShapeCall& c) { return broadcast_all(c); }
    static TileFn tile() { return binary_tile(name); }
    static void reference(const ReferenceCall& c) {
        each_broadcast(c, [&](std::int64_t i, const auto& at) {
            c.out[i] = c.in[0][at[0]] != 0 ? c.in[1][at[1]] : c.in[2][at[2]];
        });
    }
    static void gradient(Adjoint& a) {
        a.give(1, where(a.x(0), a.g, 0.0));
        a.give(2, where(a.x(0), 0.0, a.g));
    }
};

} // namespace

void add_binary(OpTable& table) { add_ops<Add, Sub, Mul, Div, Max, Min, Greater, Where>(table); }

} // namespace elbo::ops
#endif
