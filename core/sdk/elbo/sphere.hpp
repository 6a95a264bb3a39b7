// Densities of directions: the unit sphere in m dimensions. Include it beside elbo/plugin.hpp.
#pragma once

#include "kinds.hpp"

namespace elbo {

/// x / |x| over the last axis.
inline Var unit(In x) {
    detail::Inside caller(x.site);
    return x * rsqrt(sum_keep(square(x), {-1}) + 1e-24);
}

/// log of the area of the unit sphere in m dimensions: 2 pi^(m/2) / Gamma(m/2).
inline double log_sphere_area(double m) { return std::log(2.0) + m / 2 * std::log(M_PI) - std::lgamma(m / 2); }

/// The von Mises-Fisher distribution of concentration k, by quadrature instead of Bessel functions: with t = cos(angle
/// to the mean), the integral of exp(k t) sin(angle)^(m-2) over the angle, by the tanh-sinh rule (Takahasi and Mori
/// 1974).
struct Concentrated {
    Var log_normaliser; ///< log of the integral of exp(k mu z) over the sphere; k's shape without its last axis
    Var mean_cosine;    ///< E mu z

    /// k [..., 1].
    Concentrated(Var k, double m) {
        constexpr std::int64_t kNodes = 96;
        constexpr double kReach = 2.6, kStep = 2 * kReach / kNodes;
        Var u = (iota(k, {kNodes}) + 0.5) * kStep - kReach;
        Var wide = M_PI / 2 * (exp(u) - exp(-u)); // pi sinh u
        Var share = sigmoid(wide);                // of the half circle
        Var angle = M_PI * share;
        Var log_weight = log_sigmoid(wide) + log_sigmoid(-wide) + log(M_PI / 2 * (exp(u) + exp(-u)));
        // sin from the nearer end: it keeps its digits there.
        Var log_sine = log(sin(min(angle, M_PI * sigmoid(-wide))));
        Var cosine = cos(angle);
        Var each = k * cosine + (m - 2) * log_sine + log_weight; // [..., nodes]
        log_normaliser = log_sum_exp(each, {-1}) + std::log(M_PI * kStep) + log_sphere_area(m - 1);
        mean_cosine = sum(softmax(each) * cosine, {-1});
    }
};

} // namespace elbo
