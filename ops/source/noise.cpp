// Noise from counters (core/base/philox.hpp): the same values from the SIMD kernels as from the reference, whatever the
// number of threads. Block i of a stream gives values 4i .. 4i+3.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/source/noise.cpp"
#include <hwy/foreach_target.h>
// After foreach_target.h, as Highway asks for.
#include "ops/elementwise/tile_math-inl.h"

#include "core/base/philox.hpp"

HWY_BEFORE_NAMESPACE();
namespace elbo::ops::HWY_NAMESPACE {

#if HWY_TARGET == HWY_SCALAR
void NoiseFill(bool normal, core::Noise noise, std::uint32_t stream, std::size_t first, std::size_t n, float* out) {
    for (std::size_t i = first; i < first + n; ++i) {
        const auto block = core::philox(noise.seed, stream, noise.step, std::uint32_t(i / 4));
        out[i - first] = float(normal ? core::philox_normals(block)[i % 4] : core::philox_uniform(block[i % 4]));
    }
}
#else
using WordTag = hn::ScalableTag<std::uint32_t>;
using Words = hn::Vec<WordTag>;

// High and low half of the products of all lanes with one number.
HWY_INLINE void WideMul(Words a, std::uint32_t by, Words& high, Words& low) {
    const WordTag d;
    const hn::Repartition<std::uint64_t, WordTag> d64;
    const Words b = hn::Set(d, by);
    const auto even = hn::MulEven(a, b);
    const auto odd = hn::MulEven(hn::BitCast(d, hn::ShiftRight<32>(hn::BitCast(d64, a))), b);
    low = hn::OddEven(hn::BitCast(d, hn::ShiftLeft<32>(odd)), hn::BitCast(d, even));
    high = hn::OddEven(hn::BitCast(d, odd), hn::BitCast(d, hn::ShiftRight<32>(even)));
}

HWY_INLINE void Philox(std::uint64_t key, Words c[4]) {
    const WordTag d;
    std::uint32_t k0 = std::uint32_t(key), k1 = std::uint32_t(key >> 32);
    for (int round = 0; round < 10; ++round) {
        Words ah, al, bh, bl;
        WideMul(c[0], 0xD2511F53u, ah, al);
        WideMul(c[2], 0xCD9E8D57u, bh, bl);
        c[0] = hn::Xor(hn::Xor(bh, c[1]), hn::Set(d, k0));
        c[1] = bl;
        c[2] = hn::Xor(hn::Xor(ah, c[3]), hn::Set(d, k1));
        c[3] = al;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

template <class D>
HWY_INLINE hn::Vec<D> Uniform(D d, Words w) {
    const hn::RebindToSigned<WordTag> di;
    const auto v = hn::ConvertTo(d, hn::BitCast(di, hn::ShiftRight<9>(w)));
    return hn::Mul(hn::Add(v, hn::Set(d, 0.5f)), hn::Set(d, 0x1p-23f));
}

// Blocks of a stream from block `first` on, as many as there are lanes: four values each.
HWY_INLINE void Blocks(bool normal, core::Noise noise, std::uint32_t stream, std::size_t first, float* out) {
    const FloatTag d;
    const WordTag dw;
    Words c[4] = {hn::Iota(dw, std::uint32_t(first)), hn::Set(dw, stream), hn::Set(dw, std::uint32_t(noise.step)),
                  hn::Set(dw, std::uint32_t(noise.step >> 32))};
    Philox(noise.seed, c);
    auto u0 = Uniform(d, c[0]), u1 = Uniform(d, c[1]), u2 = Uniform(d, c[2]), u3 = Uniform(d, c[3]);
    if (normal) {
        const auto turn = hn::Set(d, 6.28318530717958648f), minus2 = hn::Set(d, -2.f);
        const auto r0 = hn::Sqrt(hn::Mul(minus2, hn::Log(d, u0))), r1 = hn::Sqrt(hn::Mul(minus2, hn::Log(d, u2)));
        const auto a0 = hn::Mul(turn, u1), a1 = hn::Mul(turn, u3);
        u0 = hn::Mul(r0, hn::Cos(d, a0));
        u1 = hn::Mul(r0, hn::Sin(d, a0));
        u2 = hn::Mul(r1, hn::Cos(d, a1));
        u3 = hn::Mul(r1, hn::Sin(d, a1));
    }
    hn::StoreInterleaved4(u0, u1, u2, u3, d, out);
}

void NoiseFill(bool normal, core::Noise noise, std::uint32_t stream, std::size_t first, std::size_t n, float* out) {
    const std::size_t at_once = 4 * hn::Lanes(FloatTag());
    HWY_ALIGN float some[4 * kMostLanes];
    for (std::size_t done = 0; done < n;) {
        const std::size_t skip = (first + done) % 4, take = std::min(n - done, at_once - skip);
        float* to = take == at_once ? out + done : some;
        Blocks(normal, noise, stream, (first + done) / 4, to);
        if (to == some) std::memcpy(out + done, some + skip, take * sizeof(float));
        done += take;
    }
}

#endif

} // namespace elbo::ops::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace elbo::ops {

HWY_EXPORT(NoiseFill);

namespace {

constexpr AttributeSpec kNoise[] = {{"shape", AttributeType::integers}, {"stream", AttributeType::integer}};

template <class Self, bool kNormal>
struct NoiseOp : WithoutTile, WithoutKernel {
    static constexpr int arity = 0;
    static constexpr bool noise = true;
    static constexpr auto why_no_gradient = "source";
    static constexpr Runs runs = Runs::elementwise;
    static std::span<const AttributeSpec> attributes() { return kNoise; }
    static Dims shape(const ShapeCall& c) { return c.attributes.integers("shape"); }
    static void gradient(Adjoint& a) { no_gradient(a); }
    static void reference(const ReferenceCall& c) {
        const auto stream = std::uint32_t(c.attributes.integer("stream"));
        for (std::int64_t i = 0; i < c.out_dims.numel(); ++i) {
            const auto block = core::philox(c.noise.seed, stream, c.noise.step, std::uint32_t(i / 4));
            const auto at = std::size_t(i % 4);
            c.out[i] = kNormal ? core::philox_normals(block)[at] : core::philox_uniform(block[at]);
        }
    }
    static core::DrawFn draw() {
        return [](const core::DrawCall& c) {
            HWY_DYNAMIC_DISPATCH(NoiseFill)
            (kNormal, c.noise, std::uint32_t(c.attributes.integer("stream")), std::size_t(c.first), c.n, c.out);
        };
    }
};

struct Normal : NoiseOp<Normal, true> {
    static constexpr auto name = "normal";
    static constexpr auto formula = "draws of N(0, 1)";
};
struct UniformNoise : NoiseOp<UniformNoise, false> {
    static constexpr auto name = "uniform";
    static constexpr auto formula = "draws from (0, 1)";
};

const Registered registered(add_ops<Normal, UniformNoise>);

} // namespace

} // namespace elbo::ops
#endif
