// Whether draws follow the distribution they promise: Kolmogorov's and Pearson's statistics, correlations.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/bench/numbers.hpp"

namespace elbo::test {

inline double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

/// Kolmogorov's statistic times sqrt(n): above 1.95 with probability 0.001.
template <class Number, class Cdf>
double kolmogorov_smirnov(std::vector<Number> x, Cdf cdf) {
    std::sort(x.begin(), x.end());
    const double n = double(x.size());
    double worst = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        const double f = cdf(double(x[i]));
        worst = std::max({worst, std::fabs(double(i + 1) / n - f), std::fabs(double(i) / n - f)});
    }
    return worst * std::sqrt(n);
}

/// Of draws whose mean is 0: within 4 / sqrt(n) of 0 when they have nothing to do with each other.
template <class Number>
double correlation(const std::vector<Number>& a, const std::vector<Number>& b) {
    double ab = 0, aa = 0, bb = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const double x = double(a[i]), y = double(b[i]);
        ab += x * y;
        aa += x * x;
        bb += y * y;
    }
    return ab / std::sqrt(aa * bb);
}

/// Neither the same numbers nor related ones; both have mean 0.
template <class Number>
void check_unrelated(const std::vector<Number>& a, const std::vector<Number>& b) {
    REQUIRE(a.size() == b.size());
    CHECK(a != b);
    CHECK(std::fabs(correlation(a, b)) < 4 / std::sqrt(double(a.size())));
}

/// The mean and the variance of a sample are the given ones, within four standard errors, and its distribution is.
template <class Cdf>
void check_distribution(const Doubles& x, double mean, double variance, Cdf cdf) {
    Doubles squares;
    for (double v : x) squares.push_back((v - mean) * (v - mean));
    CHECK(MeanOf(x).off(mean) < 4);
    CHECK(MeanOf(squares).off(variance) < 4);
    CHECK(kolmogorov_smirnov(x, cdf) < 1.95);
}

/// Two clouds of two values; a quarter of the rows in the left one, and the other is turned.
inline std::vector<float> clouds(std::size_t n) {
    const Doubles noise = normals(2 * n, 5), which = uniforms(n, 6);
    std::vector<float> out;
    for (std::size_t i = 0; i < n; ++i) {
        const double a = noise[2 * i], b = noise[2 * i + 1];
        if (which[i] < 0.25) out.insert(out.end(), {float(-5 + 0.5 * a), float(2 + 0.1 * b)});
        else out.insert(out.end(), {float(4 + a), float(-1 + 0.8 * a + 0.3 * b)});
    }
    return out;
}

} // namespace elbo::test
