// The loop of a chain over its vectors, compiled once per instruction set.
#if defined(ELBO_OPS_CHAIN_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ELBO_OPS_CHAIN_INL_H_
#undef ELBO_OPS_CHAIN_INL_H_
#else
#define ELBO_OPS_CHAIN_INL_H_
#endif

#include "ops/backend/chains.hpp"
#include "ops/elementwise/tile_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace elbo::ops::HWY_NAMESPACE {

using Vector = hn::Vec<FloatTag>;

/// Input k, one number, in all lanes.
HWY_INLINE Vector Number(const ChainCall& c, std::size_t k) { return hn::Set(FloatTag(), *c.in[k]); }

/// f(in, out) for each vector: in are kIn inputs from number `first` on, out the results. A result may lie over an
/// input: all of a vector is read before any of it is written.
template <std::size_t kIn, std::size_t kOut, class F>
HWY_INLINE void EachVector(FloatTag d, const ChainCall& c, std::size_t first, F f) {
    const std::size_t lanes = hn::Lanes(d);
    const float* from[kIn];
    float* to[kOut];
    for (std::size_t k = 0; k < kIn; ++k) from[k] = c.in[first + k];
    for (std::size_t k = 0; k < kOut; ++k) to[k] = c.out[k];
    Vector in[kIn], out[kOut];
    std::size_t i = 0;
    for (; i + lanes <= c.n; i += lanes) {
        for (std::size_t k = 0; k < kIn; ++k) in[k] = hn::LoadU(d, from[k] + i);
        f(in, out);
        for (std::size_t k = 0; k < kOut; ++k) hn::StoreU(out[k], d, to[k] + i);
    }
    if (i == c.n) return;
    HWY_ALIGN float rest[kMostLanes] = {};
    const std::size_t bytes = (c.n - i) * sizeof(float);
    for (std::size_t k = 0; k < kIn; ++k) {
        std::memcpy(rest, from[k] + i, bytes);
        in[k] = hn::Load(d, rest);
    }
    f(in, out);
    for (std::size_t k = 0; k < kOut; ++k) {
        hn::Store(out[k], d, rest);
        std::memcpy(to[k] + i, rest, bytes);
    }
}

} // namespace elbo::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
