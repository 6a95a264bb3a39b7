// Draws to test with, comparisons of many numbers, and gradients by finite differences.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/base/philox.hpp"

namespace elbo::test {

using Doubles = std::vector<double>;

inline Doubles normals(std::size_t n, std::uint64_t seed, double mean = 0, double deviation = 1) {
    core::PhiloxSequence draw(seed, core::stream_of("test"));
    Doubles out(n);
    for (double& v : out) v = mean + deviation * draw.normal();
    return out;
}
inline Doubles uniforms(std::size_t n, std::uint64_t seed, double low = 0, double high = 1) {
    core::PhiloxSequence draw(seed, core::stream_of("test"));
    Doubles out(n);
    for (double& v : out) v = low + (high - low) * draw.uniform();
    return out;
}
inline std::vector<float> floats(const Doubles& v) { return {v.begin(), v.end()}; }

/// Compares one by one, relative to 1 or the value.
inline void check_equal(const Doubles& got, const Doubles& want, double tolerance) {
    REQUIRE(got.size() == want.size());
    for (std::size_t i = 0; i < got.size(); ++i)
        CHECK_MESSAGE(std::fabs(got[i] - want[i]) <= tolerance * std::max(1.0, std::fabs(want[i])),
                      "value " << i << ": " << got[i] << ", expected " << want[i]);
}

/// Mean of a sample and the standard error of that mean.
struct MeanOf {
    double mean = 0, error = 0;
    explicit MeanOf(const Doubles& x) {
        double square = 0;
        for (double v : x) mean += v / double(x.size());
        for (double v : x) square += (v - mean) * (v - mean);
        error = std::sqrt(square / double(x.size() - 1) / double(x.size()));
    }
    /// How many standard errors away a value is.
    double off(double want) const { return std::fabs(mean - want) / error; }
};

/// At most `most` of n indices: the first, the last and some between.
inline std::vector<std::size_t> some_indices(std::size_t n, std::size_t most) {
    std::vector<std::size_t> all(n);
    std::iota(all.begin(), all.end(), 0u);
    if (n <= most) return all;
    core::PhiloxSequence draw(n, 3);
    std::vector<std::size_t> out{0, n - 1};
    while (out.size() < most) out.push_back(draw.below(std::uint32_t(n)));
    return out;
}

/// A derivative that was given, and by central differences.
struct Derivative {
    std::size_t at = 0;
    double given = 0, by_differences = 0;
    double error = 0; ///< relative to 1, the derivative, or `share` of the function's value
};

/// Where `gradient` is furthest from central differences of f(), which reads x.
template <class F>
Derivative worst_derivative(Doubles& x, const Doubles& gradient, F f, std::size_t most = 20, double share = 0) {
    Derivative worst;
    for (std::size_t i : some_indices(x.size(), most)) {
        const double at = x[i], h = 1e-5 * std::max(1.0, std::fabs(at));
        x[i] = at + h;
        const double above = f();
        x[i] = at - h;
        const double below = f();
        x[i] = at;
        const double want = (above - below) / (2 * h);
        const double scale = std::max({1.0, std::fabs(want), std::fabs(above) * share});
        const double error = std::fabs(want - gradient[i]) / scale;
        if (!(error <= worst.error)) worst = {i, gradient[i], want, error};
    }
    return worst;
}

} // namespace elbo::test
