// SIMD helpers for the elementwise families, compiled once per target. Highway's functions have limited ranges and turn
// NaN into numbers; the ones here follow C's rules for NaN, infinities and values out of range.
#if defined(ELBO_OPS_TILE_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ELBO_OPS_TILE_MATH_INL_H_
#undef ELBO_OPS_TILE_MATH_INL_H_
#else
#define ELBO_OPS_TILE_MATH_INL_H_
#endif

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "ops/support.hpp"

HWY_BEFORE_NAMESPACE();
namespace elbo::ops::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using FloatTag = hn::ScalableTag<float>;
inline constexpr std::size_t kMostLanes = HWY_MAX_BYTES / sizeof(float);

template <class D, class V>
HWY_INLINE V KeepNan(D, V x, V y) {
    return hn::IfThenElse(hn::IsNaN(x), x, y);
}

template <class D, class V>
HWY_INLINE V SafeExp(D d, V x) {
    const V top = hn::Set(d, 88.7228f);
    const V y = hn::Exp(d, hn::Min(x, top));
    return KeepNan(d, x, hn::IfThenElse(hn::Gt(x, top), hn::Set(d, std::numeric_limits<float>::infinity()), y));
}

template <class D, class V>
HWY_INLINE V SafeExpm1(D d, V x) {
    const V top = hn::Set(d, 88.7228f);
    const V y = hn::Expm1(d, hn::Max(hn::Min(x, top), hn::Set(d, -80.f)));
    return KeepNan(d, x, hn::IfThenElse(hn::Gt(x, top), hn::Set(d, std::numeric_limits<float>::infinity()), y));
}

template <class D, class V>
HWY_INLINE V SafeLog(D d, V x) {
    const V inf = hn::Set(d, std::numeric_limits<float>::infinity());
    const V zero = hn::Zero(d);
    V y = hn::Log(d, x);
    y = hn::IfThenElse(hn::Eq(x, inf), inf, y);
    y = hn::IfThenElse(hn::Eq(x, zero), hn::Neg(inf), y);
    y = hn::IfThenElse(hn::Lt(x, zero), hn::Set(d, std::numeric_limits<float>::quiet_NaN()), y);
    return KeepNan(d, x, y);
}

// log(1 + x) through log(u) * x / (u - 1), u = 1 + x (Kahan): good to a few ulp for every x > -1.
template <class D, class V>
HWY_INLINE V SafeLog1p(D d, V x) {
    const V one = hn::Set(d, 1.f);
    const V u = hn::Add(one, x);
    const V small = hn::Sub(u, one);
    const auto tiny = hn::Eq(small, hn::Zero(d));
    const V safe = hn::IfThenElse(tiny, one, small);
    const auto huge = hn::Gt(x, hn::Set(d, 1e8f));
    const V y = hn::IfThenElse(huge, SafeLog(d, u), hn::Mul(SafeLog(d, u), hn::Div(x, safe)));
    return KeepNan(d, x, hn::IfThenElse(tiny, x, y));
}

template <class D, class V>
HWY_INLINE V SafeSigmoid(D d, V x) {
    const V one = hn::Set(d, 1.f);
    return hn::Div(one, hn::Add(one, SafeExp(d, hn::Neg(x))));
}

/// y at + c for each c, from the highest power down.
template <class D, class V, class... C>
HWY_INLINE V Polynomial(D d, V at, V y, C... c) {
    ((y = hn::MulAdd(y, at, hn::Set(d, c))), ...);
    return y;
}

// e in [0, 1]: e times a minimax polynomial for log(1 + e) / e, good to 2 ulp.
template <class D, class V>
HWY_INLINE V Log1pOfFraction(D d, V e) {
    return hn::Mul(e,
                   Polynomial(d, e, hn::Set(d, -3.24402284e-3f), 1.98514555e-2f, -5.69595248e-2f, 1.06036551e-1f,
                              -1.53055936e-1f, 1.96759403e-1f, -2.49541342e-1f, 3.33299637e-1f, -4.99999017e-1f, 1.f));
}

// exp(-|x|), which lies in (0, 1] and needs no range check.
template <class D, class V>
HWY_INLINE V ExpOfMinusAbs(D d, V x) {
    return hn::Exp(d, hn::Max(hn::Neg(hn::Abs(x)), hn::Set(d, -87.f)));
}

template <class D, class V>
HWY_INLINE V SafeSoftplus(D d, V x) {
    return KeepNan(d, x, hn::Add(hn::Max(x, hn::Zero(d)), Log1pOfFraction(d, ExpOfMinusAbs(d, x))));
}

// -expm1(-2|x|) / (2 + expm1(-2|x|)) with the sign of x.
template <class D, class V>
HWY_INLINE V SafeTanh(D d, V x) {
    const V e = hn::Expm1(d, hn::Max(hn::Mul(hn::Set(d, -2.f), hn::Abs(x)), hn::Set(d, -60.f)));
    const V y = hn::Div(hn::Neg(e), hn::Add(hn::Set(d, 2.f), e));
    return KeepNan(d, x, hn::CopySign(y, x));
}

// Highway's sine and cosine hold up to |x| = 39000; lanes beyond that, infinities and NaN go through C's.
template <class D, class V>
HWY_INLINE V WithFarLanes(D d, V x, V y, double (*f)(double)) {
    const V limit = hn::Set(d, 39000.f);
    if (HWY_LIKELY(hn::AllTrue(d, hn::Le(hn::Abs(x), limit)))) return y;
    HWY_ALIGN float from[kMostLanes], to[kMostLanes];
    hn::Store(x, d, from);
    hn::Store(y, d, to);
    for (std::size_t i = 0; i < hn::Lanes(d); ++i)
        if (!(std::fabs(from[i]) <= 39000.f)) to[i] = float(f(double(from[i])));
    return hn::Load(d, to);
}

// Two polynomials: x + x p(x^2) near 0, 1 - exp(q(|x|)) beyond; minimax on each side, good to 1.3e-7 of the value.
template <class D, class V>
HWY_INLINE V SafeErf(D d, V x) {
    const auto fold = [d](V at, V y, auto... c) HWY_ATTR { return ((y = hn::MulAdd(y, at, hn::Set(d, c))), ...); };
    const V s = hn::Mul(x, x);
    const V near = hn::MulAdd(fold(s, hn::Set(d, -5.96761703e-4f), 4.99119423e-3f, -2.67681349e-2f, 1.12819925e-1f,
                                   -3.76125336e-1f, 1.28379166e-1f),
                              x, x);
    const V t = hn::Min(hn::Abs(x), hn::Set(d, 4.f)); // where erf is 1 in f32
    const V q = fold(t, hn::Set(d, -1.72853470e-5f), 3.83197126e-4f, -3.88396438e-3f, 2.42546219e-2f, -1.06777877e-1f,
                     -6.34846687e-1f, -1.28717512e-1f, 0.f);
    const V far = hn::CopySign(hn::Sub(hn::Set(d, 1.f), hn::Exp(d, hn::Sub(q, t))), x);
    return KeepNan(d, x, hn::IfThenElse(hn::Gt(t, hn::Set(d, 0.927734375f)), far, near));
}

/// f in f64 of each lane.
template <class D, class V>
HWY_INLINE V LaneByLane(D d, V x, double (*f)(double)) {
    HWY_ALIGN float y[kMostLanes];
    hn::Store(x, d, y);
    for (std::size_t i = 0; i < hn::Lanes(d); ++i) y[i] = float(f(double(y[i])));
    return hn::Load(d, y);
}

// exp(b log a) in f64, since in f32 the product's rounding would be the power's error b log a times; C's pow where a is
// not positive or anything is not finite.
template <class D, class V>
HWY_INLINE V SafePow(D d, V a, V b) {
#if HWY_TARGET == HWY_SCALAR
    return hn::Set(d, float(std::pow(double(hn::GetLane(a)), double(hn::GetLane(b)))));
#else
    const auto plain = hn::And(hn::Gt(a, hn::Zero(d)), hn::IsFinite(hn::Add(a, hn::Mul(b, hn::Zero(d)))));
    const hn::RepartitionToWide<D> wide;
    const hn::Half<D> half;
    const auto power = [wide, half](auto base, auto exponent) HWY_ATTR {
        const auto limit = hn::Set(wide, 200.0); // beyond f32 on both sides
        const auto log = hn::Log(wide, hn::PromoteTo(wide, base));
        const auto product = hn::Mul(hn::PromoteTo(wide, exponent), log);
        return hn::DemoteTo(half, hn::Exp(wide, hn::Max(hn::Min(product, limit), hn::Neg(limit))));
    };
    const V safe = hn::IfThenElse(plain, a, hn::Set(d, 1.f));
    const V y = hn::Combine(d, power(hn::UpperHalf(half, safe), hn::UpperHalf(half, b)),
                            power(hn::LowerHalf(half, safe), hn::LowerHalf(half, b)));
    if (HWY_LIKELY(hn::AllTrue(d, plain))) return y;
    HWY_ALIGN float x[kMostLanes], e[kMostLanes], to[kMostLanes];
    hn::Store(a, d, x);
    hn::Store(b, d, e);
    hn::Store(y, d, to);
    for (std::size_t i = 0; i < hn::Lanes(d); ++i)
        if (!(x[i] > 0 && std::isfinite(x[i]) && std::isfinite(e[i])))
            to[i] = float(std::pow(double(x[i]), double(e[i])));
    return hn::Load(d, to);
#endif
}

/// out[i] = f(d, in[0][i]).
template <class F>
HWY_INLINE void Map1(const core::TileCall& c, F f) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d);
    if (c.scalar[0]) {
        const auto y = f(d, hn::Set(d, *c.in[0]));
        const float value = hn::GetLane(y);
        for (std::size_t i = 0; i < c.n; ++i) c.out[i] = value;
        return;
    }
    // Copies: vector stores may alias anything, and the loop would read the call's fields again and again.
    const float* const in = c.in[0];
    float* const out = c.out;
    const std::size_t whole = c.n / lanes * lanes;
    std::size_t i = 0;
    for (; i < whole; i += lanes) hn::StoreU(f(d, hn::LoadU(d, in + i)), d, out + i);
    if (i < c.n) {
        HWY_ALIGN float x[kMostLanes] = {}, y[kMostLanes];
        std::memcpy(x, c.in[0] + i, (c.n - i) * sizeof(float));
        hn::Store(f(d, hn::Load(d, x)), d, y);
        std::memcpy(c.out + i, y, (c.n - i) * sizeof(float));
    }
}

template <bool kScalarA, bool kScalarB, class F>
HWY_INLINE void Map2As(const core::TileCall& c, F f) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d);
    const auto a0 = hn::Set(d, *c.in[0]), b0 = hn::Set(d, *c.in[1]);
    const float *const in0 = c.in[0], *const in1 = c.in[1];
    float* const out = c.out;
    const std::size_t whole = c.n / lanes * lanes;
    std::size_t i = 0;
    for (; i < whole; i += lanes) {
        const auto a = kScalarA ? a0 : hn::LoadU(d, in0 + i);
        const auto b = kScalarB ? b0 : hn::LoadU(d, in1 + i);
        hn::StoreU(f(d, a, b), d, out + i);
    }
    if (i < c.n) {
        HWY_ALIGN float x[kMostLanes] = {}, y[kMostLanes] = {}, z[kMostLanes];
        if (!kScalarA) std::memcpy(x, c.in[0] + i, (c.n - i) * sizeof(float));
        if (!kScalarB) std::memcpy(y, c.in[1] + i, (c.n - i) * sizeof(float));
        hn::Store(f(d, kScalarA ? a0 : hn::Load(d, x), kScalarB ? b0 : hn::Load(d, y)), d, z);
        std::memcpy(c.out + i, z, (c.n - i) * sizeof(float));
    }
}

/// out[i] = f(d, in[0][i], in[1][i]).
template <class F>
HWY_INLINE void Map2(const core::TileCall& c, F f) {
    if (c.n == 0) return;
    if (c.scalar[0] && c.scalar[1]) return Map2As<true, true>(c, f);
    if (c.scalar[0]) return Map2As<true, false>(c, f);
    if (c.scalar[1]) return Map2As<false, true>(c, f);
    Map2As<false, false>(c, f);
}

/// out[i] = f(d, in[0][i], in[1][i], in[2][i]).
template <class F>
HWY_INLINE void Map3(const core::TileCall& c, F f) {
    const FloatTag d;
    const std::size_t lanes = hn::Lanes(d);
    std::size_t i = 0;
    auto load = [&](int k) HWY_ATTR { return c.scalar[k] ? hn::Set(d, *c.in[k]) : hn::LoadU(d, c.in[k] + i); };
    for (; i + lanes <= c.n; i += lanes) hn::StoreU(f(d, load(0), load(1), load(2)), d, c.out + i);
    if (i == c.n) return;
    HWY_ALIGN float x[3][kMostLanes] = {}, y[kMostLanes];
    for (int k = 0; k < 3; ++k)
        for (std::size_t j = 0; j < c.n - i; ++j) x[k][j] = c.scalar[k] ? *c.in[k] : c.in[k][i + j];
    hn::Store(f(d, hn::Load(d, x[0]), hn::Load(d, x[1]), hn::Load(d, x[2])), d, y);
    std::memcpy(c.out + i, y, (c.n - i) * sizeof(float));
}

// A product and a sum in one pass, for the interpreter of fused groups (ops/backend/tiles.cpp): a * b with in[2] as c.
template <bool kScalarA, bool kScalarC, class F>
HWY_INLINE void MapProductAs(const core::TileCall& c, F f) {
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
HWY_INLINE void MapProduct(const core::TileCall& c, F f) {
    if (c.n == 0) return;
    if (c.scalar[0]) return c.scalar[2] ? MapProductAs<true, true>(c, f) : MapProductAs<true, false>(c, f);
    c.scalar[2] ? MapProductAs<false, true>(c, f) : MapProductAs<false, false>(c, f);
}

/// The loop over the SIMD line of an op.
template <class Op>
void Tile(const core::TileCall& c) {
    if constexpr (Op::arity == 1) Map1(c, [](auto d, auto x) HWY_ATTR { return Op::simd(d, x); });
    if constexpr (Op::arity == 2) Map2(c, [](auto d, auto x, auto y) HWY_ATTR { return Op::simd(d, x, y); });
    if constexpr (Op::arity == 3) Map3(c, [](auto d, auto x, auto y, auto z) HWY_ATTR { return Op::simd(d, x, y, z); });
}

/// The same where the first, or second, operand is the product a * b and the other is c.
template <class Op>
void TileOntoFirst(const core::TileCall& call) {
    MapProduct(call, [](auto a, auto b, auto c) HWY_ATTR { return Op::onto_first(a, b, c); });
}
template <class Op>
void TileOntoSecond(const core::TileCall& call) {
    MapProduct(call, [](auto a, auto b, auto c) HWY_ATTR { return Op::onto_second(a, b, c); });
}

template <class Op>
Tiles TilesOf() {
    using V = hn::Vec<FloatTag>;
    if constexpr (requires(V v) { Op::onto_first(v, v, v); })
        return {Tile<Op>, {TileOntoFirst<Op>, TileOntoSecond<Op>}};
    else return {Tile<Op>};
}

/// What a file exports: the loops of its ops for this instruction set, in the order of its list.
template <class... Ops>
std::array<Tiles, sizeof...(Ops)> TilesOf(OpList<Ops...>) {
    return {TilesOf<Ops>()...};
}

} // namespace elbo::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
