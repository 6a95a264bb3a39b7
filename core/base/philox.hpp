// Philox4x32-10 (Salmon et al. 2011): random numbers as a function of a key and a counter, so the same on any executor,
// thread count or resume. Key: the seed. Counter: block index, stream, step. One block gives four 32-bit words.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>

namespace elbo::core {

using PhiloxBlock = std::array<std::uint32_t, 4>;

inline PhiloxBlock philox(std::uint64_t key, PhiloxBlock c) {
    std::uint32_t k0 = std::uint32_t(key), k1 = std::uint32_t(key >> 32);
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t a = std::uint64_t(0xD2511F53u) * c[0], b = std::uint64_t(0xCD9E8D57u) * c[2];
        c = {std::uint32_t(b >> 32) ^ c[1] ^ k0, std::uint32_t(b), std::uint32_t(a >> 32) ^ c[3] ^ k1,
             std::uint32_t(a)};
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return c;
}

/// Block `index` of a stream at a step.
inline PhiloxBlock philox(std::uint64_t seed, std::uint32_t stream, std::uint64_t step, std::uint32_t index) {
    return philox(seed, {index, stream, std::uint32_t(step), std::uint32_t(step >> 32)});
}

/// In (0, 1): (23 high bits + 1/2) / 2^23, exact in f32 and symmetric about 1/2.
inline double philox_uniform(std::uint32_t word) { return (double(word >> 9) + 0.5) * 0x1p-23; }

/// Box-Muller: words 0, 1 give normals 0, 1 and words 2, 3 give normals 2, 3 of a block.
inline std::array<double, 4> philox_normals(const PhiloxBlock& w) {
    std::array<double, 4> z;
    for (std::size_t i = 0; i < 4; i += 2) {
        const double r = std::sqrt(-2 * std::log(philox_uniform(w[i])));
        const double angle = 6.283185307179586 * philox_uniform(w[i + 1]);
        z[i] = r * std::cos(angle);
        z[i + 1] = r * std::sin(angle);
    }
    return z;
}

/// Names become streams and seeds: FNV-1a, folded to 32 bits.
inline std::uint32_t stream_of(std::string_view text) {
    std::uint64_t h = 14695981039346656037ull;
    for (unsigned char c : text) h = (h ^ c) * 1099511628211ull;
    return std::uint32_t(h ^ (h >> 32));
}

/// A sequence of draws from one stream, for shuffles and initial values.
class PhiloxSequence {
public:
    PhiloxSequence(std::uint64_t seed, std::uint32_t stream, std::uint64_t step = 0)
        : seed_(seed), step_(step), stream_(stream) {}
    std::uint32_t word() {
        if (used_ == 4) block_ = philox(seed_, stream_, step_, index_++), used_ = 0;
        return block_[used_++];
    }
    double uniform() { return philox_uniform(word()); }
    double normal() {
        const double r = std::sqrt(-2 * std::log(uniform()));
        return r * std::cos(6.283185307179586 * uniform());
    }
    /// Uniform in 0 .. n-1 without bias (Lemire 2019), n < 2^32.
    std::uint32_t below(std::uint32_t n) {
        std::uint64_t m = std::uint64_t(word()) * n;
        if (std::uint32_t(m) < n) {
            const std::uint32_t threshold = (0u - n) % n;
            while (std::uint32_t(m) < threshold) m = std::uint64_t(word()) * n;
        }
        return std::uint32_t(m >> 32);
    }

private:
    std::uint64_t seed_, step_;
    std::uint32_t stream_, index_ = 0, used_ = 4;
    PhiloxBlock block_{};
};

} // namespace elbo::core
