// Draws for data that are generated: a row is a pure function of seed, split and number, so nothing is stored, and any
// order and any number of threads see the same bits.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

namespace elbo {

/// The next of the numbers that follow from a state (Steele, Lea and Flood 2014).
inline std::uint64_t splitmix64(std::uint64_t& state) {
    std::uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

class Draws {
public:
    /// Each of the three is mixed before the next is added: neighbouring seeds share no rows.
    Draws(std::int64_t seed, int split, std::int64_t row) : state_(std::uint64_t(seed)) {
        state_ = next() + std::uint64_t(split);
        state_ = next() + std::uint64_t(row);
    }
    std::uint64_t next() { return splitmix64(state_); }
    /// Even over 0..n-1 up to n in 2^64.
    std::int64_t below(std::int64_t n) {
        return std::int64_t(static_cast<unsigned __int128>(next()) * static_cast<unsigned __int128>(n) >> 64);
    }
    /// In (0, 1).
    double uniform() { return (double(next() >> 12) + 0.5) * 0x1p-52; }
    double uniform(double low, double high) { return low + (high - low) * uniform(); }
    /// Even in the logarithm.
    double log_uniform(double low, double high) { return low * std::exp(std::log(high / low) * uniform()); }

    /// A count of that mean: by multiplication (Knuth) when it is small, else by transformed rejection (Hormann 1993).
    std::int64_t poisson(double mean) {
        if (mean <= 0) return 0;
        if (mean < 10) {
            const double limit = std::exp(-mean);
            std::int64_t n = 0;
            for (double product = uniform(); product > limit; product *= uniform()) ++n;
            return n;
        }
        const double b = 0.931 + 2.53 * std::sqrt(mean), a = -0.059 + 0.02483 * b;
        const double inverse = 1.1239 + 1.1328 / (b - 3.4), border = 0.9277 - 3.6224 / (b - 2);
        for (;;) {
            const double u = uniform() - 0.5, v = uniform(), us = 0.5 - std::abs(u);
            const double k = std::floor((2 * a / us + b) * u + mean + 0.43);
            if (us >= 0.07 && v <= border) return std::int64_t(k);
            if (k < 0 || (us < 0.013 && v > us)) continue;
            if (std::log(v) + std::log(inverse) - std::log(a / (us * us) + b) <=
                k * std::log(mean) - mean - std::lgamma(k + 1))
                return std::int64_t(k);
        }
    }

private:
    std::uint64_t state_;
};

} // namespace elbo
