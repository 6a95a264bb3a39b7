// How far codes are from draws of a prior, from samples of both alone: the maximum mean discrepancy, and a critic that
// learns to tell them apart. Include it beside elbo/plugin.hpp.
#pragma once

#include "kinds.hpp"

namespace elbo {

/// |a_i - b_j|^2: a [n, L], b [m, L] -> [n, m].
inline Var squared_distances(Var a, Var b) {
    Var squares = sum_keep(square(a), {1}) + reshape(sum(square(b), {1}), {1, shape(b)[0]});
    return max(squares - 2 * matmul(a, b, false, true), 0); // rounding can make it negative
}

/// Names `kernel` knows, for a parameter's choices.
inline constexpr const char* kKernels = "imq|rbf";
/// Of squared distances, with C = 2 L s^2, what two draws of N(0, s^2) are apart: rbf exp(-d / C); imq sum_t t C / (t C
/// + d) over seven scales t (Tolstikhin et al. 2018).
inline Var kernel(const std::string& name, Var distances, double c) {
    if (name == "rbf") return exp(-distances / c);
    if (name != "imq") throw std::invalid_argument("no kernel is called '" + name + "'; there are " + kKernels);
    Var all = constant(distances, 0);
    for (double t : {0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0}) all = all + t * c / (t * c + distances);
    return all;
}

/// The squared maximum mean discrepancy of two samples [n, L] of one size, a scalar without bias: means over pairs of
/// different rows within each, and over all pairs between them (Gretton et al. 2012, lemma 6). May be negative. 0 of
/// single rows, which have no pairs.
inline Var mmd(Var a, Var b, const std::string& kernel_name, double scale = 1) {
    const Shape s = shape(a);
    const double n = double(s[0]), c = 2 * double(s[1]) * scale * scale;
    if (s[0] < 2) return constant(a, 0);
    Var apart = 1 - identity_matrix(a, s[0]);
    auto similarity = [&](Var x, Var y) { return kernel(kernel_name, squared_distances(x, y), c); };
    Var within = sum_all(apart * (similarity(a, a) + similarity(b, b))) / (n * (n - 1));
    return within - 2 * mean_all(similarity(a, b));
}

/// log D / (1 - D) of the critic in a role of kind encoder, [B]; its last layer is the asking part's, "log_odds". What
/// the critic's layers assign is dropped.
inline Var log_odds(Var x, const char* role = "critic") {
    return sum_rows(linear(flatten(auxiliary<Encoder>(x, role).features(x)), 1, "log_odds"));
}
/// -log D(real) - log(1 - D(fake)), [B]: what a critic minimises.
inline Var told_apart(Var real, Var fake, const char* role = "critic") {
    return softplus(-log_odds(real, role)) + softplus(log_odds(fake, role));
}

} // namespace elbo
