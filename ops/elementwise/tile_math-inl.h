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

#include "core/graph/op.hpp"

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

// Both sides from e = exp(-|x|), which lies in (0, 1] and needs no range check.
template <class D, class V>
HWY_INLINE V SafeSoftplus(D d, V x) {
    const V e = hn::Exp(d, hn::Max(hn::Neg(hn::Abs(x)), hn::Set(d, -87.f)));
    const V one = hn::Set(d, 1.f);
    const V u = hn::Add(one, e);
    const V small = hn::Sub(u, one);
    const auto tiny = hn::Eq(small, hn::Zero(d));
    const V log1p = hn::IfThenElse(tiny, e, hn::Mul(hn::Log(d, u), hn::Div(e, hn::IfThenElse(tiny, one, small))));
    return KeepNan(d, x, hn::Add(hn::Max(x, hn::Zero(d)), log1p));
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

} // namespace elbo::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
