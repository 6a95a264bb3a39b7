// Many words of Philox at once; they are those of PhiloxSequence, block after block.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#ifdef __SSE2__
#include <immintrin.h>
#endif

#include "core/base/philox.hpp"

namespace elbo::core {

using PhiloxWords = std::array<std::uint32_t, 64>;

#ifdef __SSE2__

namespace detail {

// Two blocks, each counter in the low half of 64 bits: what the products leave in the upper halves is never looked at.
struct TwoBlocks {
    __m128i c0, c1, c2, c3;
    void round(__m128i k0, __m128i k1) {
        const __m128i a = _mm_mul_epu32(_mm_set1_epi64x(0xD2511F53), c0);
        const __m128i b = _mm_mul_epu32(_mm_set1_epi64x(0xCD9E8D57), c2);
        c0 = _mm_xor_si128(_mm_xor_si128(_mm_srli_epi64(b, 32), c1), k0);
        c2 = _mm_xor_si128(_mm_xor_si128(_mm_srli_epi64(a, 32), c3), k1);
        c1 = b;
        c3 = a;
    }
    void store(std::uint32_t* out) const {
        const __m128i low = _mm_set1_epi64x(0xFFFFFFFF);
        const __m128i first = _mm_or_si128(_mm_and_si128(c0, low), _mm_slli_epi64(c1, 32));
        const __m128i second = _mm_or_si128(_mm_and_si128(c2, low), _mm_slli_epi64(c3, 32));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm_unpacklo_epi64(first, second));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 4), _mm_unpackhi_epi64(first, second));
    }
};

} // namespace detail

/// Blocks first, first + 1, ... of a stream at a step, four words each.
inline void philox_words(std::uint64_t seed, std::uint32_t stream, std::uint64_t step, std::uint32_t first,
                         PhiloxWords& out) {
    constexpr std::uint32_t kPairs = 4, kBlocks = std::uint32_t(std::tuple_size_v<PhiloxWords>) / 4;
    for (std::uint32_t at = 0; at < kBlocks; at += 2 * kPairs) {
        detail::TwoBlocks pairs[kPairs];
        for (std::uint32_t i = 0; i < kPairs; ++i) {
            const std::uint32_t block = first + at + 2 * i;
            pairs[i] = {_mm_set_epi64x(block + 1, block), _mm_set1_epi64x(stream),
                        _mm_set1_epi64x(std::int64_t(step & 0xFFFFFFFF)), _mm_set1_epi64x(std::int64_t(step >> 32))};
        }
        std::uint32_t k0 = std::uint32_t(seed), k1 = std::uint32_t(seed >> 32);
        for (int round = 0; round < 10; ++round) {
            const __m128i key0 = _mm_set1_epi64x(k0), key1 = _mm_set1_epi64x(k1);
            for (auto& pair : pairs) pair.round(key0, key1);
            k0 += 0x9E3779B9u;
            k1 += 0xBB67AE85u;
        }
        for (std::uint32_t i = 0; i < kPairs; ++i) pairs[i].store(out.data() + 4 * (at + 2 * i));
    }
}

#else

inline void philox_words(std::uint64_t seed, std::uint32_t stream, std::uint64_t step, std::uint32_t first,
                         PhiloxWords& out) {
    for (std::uint32_t i = 0; i < out.size(); i += 4) {
        const PhiloxBlock words = philox(seed, stream, step, first + i / 4);
        std::copy(words.begin(), words.end(), out.begin() + i);
    }
}

#endif

} // namespace elbo::core
