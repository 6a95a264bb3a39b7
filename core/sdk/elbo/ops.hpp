// The vocabulary a plugin writes its maths in: free functions and operators on `Var`. Nothing here computes: each call
// appends a node to the recording its operands belong to and returns a handle to it. Elementwise functions broadcast
// as NumPy does. Gradients, fusion, memory and precision are the host's business. Images are in elbo/images.hpp, noise
// in elbo/noise.hpp; this header includes both.
#pragma once

#include "var.hpp"

namespace elbo {

// Arithmetic, elementwise: a and b broadcast against each other.
inline Var operator+(In a, In b) { return detail::emit("add", {a, b}); }
inline Var operator-(In a, In b) { return detail::emit("sub", {a, b}); }
inline Var operator*(In a, In b) { return detail::emit("mul", {a, b}); }
inline Var operator/(In a, In b) { return detail::emit("div", {a, b}); }
/// a * b, but 0 where a is 0, even if b is infinite or NaN: for adjoints a of what may not have mattered.
inline Var mul_or_zero(In a, In b) { return detail::emit("mul_or_zero", {a, b}); }
/// a / b, but 0 where a is 0, even if b is 0 or NaN.
inline Var div_or_zero(In a, In b) { return detail::emit("div_or_zero", {a, b}); }
inline Var operator-(In x) { return detail::emit("neg", x); }
/// The larger of the two; where they are equal the gradient goes to a.
inline Var max(In a, In b) { return detail::emit("max", {a, b}); }
/// The smaller of the two; where they are equal the gradient goes to a.
inline Var min(In a, In b) { return detail::emit("min", {a, b}); }
/// a to the power b: the gradient to b is 0 where a <= 0; a < 0 asks for a whole b.
inline Var pow(In a, In b) { return detail::emit("pow", {a, b}); }
/// 1 where a > b, else 0. No gradient.
inline Var greater(In a, In b) { return detail::emit("greater", {a, b}); }
/// 1 where a < b, else 0. No gradient.
inline Var less(In a, In b) { return detail::emit("greater", {b, a}); }
/// 1 where a = b, else 0. No gradient.
inline Var equal(In a, In b) { return detail::emit("equal", {a, b}); }
/// 1 where x = 0, else 0. No gradient.
inline Var logical_not(In x) { return detail::emit("equal", {x, In(0.0)}); }
/// 1 where both are other than 0. No gradient.
inline Var logical_and(In a, In b) {
    detail::Inside caller(a.site);
    return logical_not(logical_not(a) + logical_not(b));
}
/// 1 where one of them, or both, is other than 0. No gradient.
inline Var logical_or(In a, In b) {
    detail::Inside caller(a.site);
    return 1 - logical_not(a) * logical_not(b);
}
/// a where condition != 0, else b; the branch not taken has no influence, not even when it is NaN.
inline Var where(In condition, In a, In b) { return detail::emit("where", {condition, a, b}); }

// Functions of one value, elementwise.
inline Var abs(In x) { return detail::emit("abs", x); }     ///< |x|; gradient 0 at 0
inline Var sign(In x) { return detail::emit("sign", x); }   ///< -1, 0 or 1. No gradient.
inline Var floor(In x) { return detail::emit("floor", x); } ///< largest integer <= x. No gradient.
inline Var exp(In x) { return detail::emit("exp", x); }
inline Var expm1(In x) { return detail::emit("expm1", x); } ///< exp(x) - 1, accurate near 0
inline Var log(In x) { return detail::emit("log", x); }     ///< natural logarithm
inline Var log1p(In x) { return detail::emit("log1p", x); } ///< log(1 + x), accurate near 0
inline Var sqrt(In x) { return detail::emit("sqrt", x); }
inline Var square(In x) { return detail::emit("square", x); }
inline Var rsqrt(In x) { return detail::emit("rsqrt", x); }           ///< 1 / sqrt(x)
inline Var reciprocal(In x) { return detail::emit("reciprocal", x); } ///< 1 / x
inline Var sin(In x) { return detail::emit("sin", x); }
inline Var cos(In x) { return detail::emit("cos", x); }
inline Var tanh(In x) { return detail::emit("tanh", x); }
inline Var erf(In x) { return detail::emit("erf", x); }       ///< 2 / sqrt(pi) * integral of exp(-t^2) from 0 to x
inline Var lgamma(In x) { return detail::emit("lgamma", x); } ///< log |Gamma(x)|
/// The n-th derivative of digamma, n = 0, 1, ...; for x > 0.
inline Var polygamma(std::int64_t n, In x) { return detail::emit("polygamma", x, {{"n", n}}); }
inline Var digamma(In x) { return polygamma(0, x); }              ///< the derivative of lgamma, for x > 0
inline Var sigmoid(In x) { return detail::emit("sigmoid", x); }   ///< 1 / (1 + exp(-x))
inline Var softplus(In x) { return detail::emit("softplus", x); } ///< log(1 + exp(x)), no overflow
/// -log p(x) of a coin with these logits, value by value: max(l, 0) - l x + log(1 + exp(-|l|)).
inline Var bernoulli_nll(In logits, In x) { return detail::emit("bernoulli_nll", {logits, x}); }
/// sigmoid(l) - x, exact where the two are nearly the same.
inline Var sigmoid_minus(In l, In x) { return detail::emit("sigmoid_minus", {l, x}); }
inline Var relu(In x) { return detail::emit("relu", x); } ///< max(x, 0); gradient 0 at 0
/// x where x > 0, else slope * x; the gradient at 0 is 1.
inline Var leaky_relu(In x, double slope = 0.01) { return detail::emit("leaky_relu", x, {{"slope", slope}}); }
/// x where x > 0, else alpha * (exp(x) - 1) (Clevert et al. 2016).
inline Var elu(In x, double alpha = 1) { return detail::emit("elu", x, {{"alpha", alpha}}); }
inline Var gelu(In x) { return detail::emit("gelu", x); } ///< x Phi(x), its tanh form (Hendrycks and Gimpel 2016)
inline Var silu(In x) { return detail::emit("silu", x); } ///< x * sigmoid(x)
inline Var log_sigmoid(In x) { return detail::emit("log_sigmoid", x); } ///< log sigmoid(x), no overflow
/// x, but no gradient flows through it.
inline Var stop_gradient(In x) { return detail::emit("stop_gradient", x); }
/// `hard` forward, and the gradient of `soft` back (Bengio et al. 2013): both of one shape.
inline Var straight_through(In hard, In soft) {
    detail::Inside caller(hard.site);
    return soft + stop_gradient(hard - soft);
}
/// x kept within [low, high]; the gradient flows within, at the borders too, and not outside.
inline Var clamp(In x, double low, double high) {
    detail::Inside caller(x.site);
    return min(max(x, low), high);
}
/// bound * tanh(x / bound): x near 0, never beyond +-bound, and a gradient everywhere.
inline Var soft_clamp(In x, double bound) {
    detail::Inside caller(x.site);
    return tanh(x / bound) * bound;
}

// Sums and shapes. Axes count from 0; negative ones from the end.
/// Sum over the given axes, which disappear from the shape.
inline Var sum(In x, const Shape& axes) { return detail::emit("sum", x, {{"axes", axes}, {"keep", false}}); }
/// Sum over the given axes, which stay with size 1.
inline Var sum_keep(In x, const Shape& axes) { return detail::emit("sum", x, {{"axes", axes}, {"keep", true}}); }
/// Largest value over the given axes; where several are equal they share the gradient.
inline Var max_over(In x, const Shape& axes, bool keep = false) {
    return detail::emit("max_over", x, {{"axes", axes}, {"keep", keep}});
}
/// [B, ...] -> [B]: the sum of each example.
inline Var sum_rows(In x) {
    Shape axes;
    for (std::size_t i = 1; i < shape(x).size(); ++i) axes.push_back(std::int64_t(i));
    return axes.empty() ? x.var : sum(x, axes);
}
/// Sum of everything, a scalar.
inline Var sum_all(In x) {
    Shape axes;
    for (std::size_t i = 0; i < shape(x).size(); ++i) axes.push_back(std::int64_t(i));
    return axes.empty() ? x.var : sum(x, axes);
}
/// Mean of everything, a scalar.
inline Var mean_all(In x) {
    detail::Inside caller(x.site);
    double n = 1;
    for (auto d : shape(x)) n *= double(d);
    return sum_all(x) / n;
}
/// Mean over the given axes, which disappear from the shape unless `keep`.
inline Var mean(In x, const Shape& axes, bool keep = false) {
    return detail::emit("mean", x, {{"axes", axes}, {"keep", keep}});
}
/// Mean squared distance from the mean over the given axes: divided by n, not n - 1.
inline Var variance(In x, const Shape& axes, bool keep = false) {
    return detail::emit("variance", x, {{"axes", axes}, {"keep", keep}});
}
/// Smallest value over the given axes; where several are equal they share the gradient.
inline Var min_over(In x, const Shape& axes, bool keep = false) {
    detail::Inside caller(x.site);
    return -max_over(-x, axes, keep);
}
/// Product over the given axes; its gradient is right where values are 0, too.
inline Var prod(In x, const Shape& axes, bool keep = false) {
    return detail::emit("prod", x, {{"axes", axes}, {"keep", keep}});
}
/// log sum exp over the given axes, which disappear unless `keep`; no overflow.
inline Var log_sum_exp(In x, const Shape& axes, bool keep = false) {
    return detail::emit("log_sum_exp", x, {{"axes", axes}, {"keep", keep}});
}
inline Var log_sum_exp(In x, std::int64_t axis) { return log_sum_exp(x, Shape{axis}); }
/// exp(x) / sum exp(x) over the given axes.
inline Var softmax(In x, const Shape& axes = {-1}) { return detail::emit("softmax", x, {{"axes", axes}}); }
/// log softmax(x), no overflow.
inline Var log_softmax(In x, const Shape& axes = {-1}) { return detail::emit("log_softmax", x, {{"axes", axes}}); }
/// Where the largest value lies along an axis, which disappears: its number, the first of equal ones. No gradient.
inline Var argmax(In x, std::int64_t axis = -1) { return detail::emit("argmax", x, {{"axis", axis}}); }
/// Sums of all up to and with each along an axis; from the end with `reverse`.
inline Var cumsum(In x, std::int64_t axis = -1, bool reverse = false) {
    return detail::emit("cumsum", x, {{"axis", axis}, {"reverse", reverse}});
}
/// The order that sorts x along an axis: the number of the smallest first, equal ones as they stand. No gradient.
inline Var argsort(In x, std::int64_t axis = -1, bool descending = false) {
    return detail::emit("argsort", x, {{"axis", axis}, {"descending", descending}});
}
/// Values by their number along an axis: y[.., i, ..] = x[.., ids[.., i, ..], ..]; ids has x's other sizes.
inline Var take_along(In x, In ids, std::int64_t axis = -1) {
    return detail::emit("take_along", {x, ids}, {{"axis", axis}});
}
/// The adjoint of take_along: values summed at the numbers they name along an axis of `size`.
inline Var add_along(In values, In ids, std::int64_t size, std::int64_t axis = -1) {
    return detail::emit("add_along", {values, ids}, {{"axis", axis}, {"size", size}});
}
/// x in order along an axis, the smallest first unless `descending`.
inline Var sort(In x, std::int64_t axis = -1, bool descending = false) {
    detail::Inside caller(x.site);
    return take_along(x, argsort(x, axis, descending), axis);
}
inline Var reshape(In x, const Shape& to) { return detail::emit("reshape", x, {{"shape", to}}); }
/// [B, ...] -> [B, values of one example].
inline Var flatten(In x) {
    Shape s = shape(x);
    std::int64_t n = 1;
    for (std::size_t i = 1; i < s.size(); ++i) n *= s[i];
    return s.size() == 2 ? x.var : reshape(x, {s.empty() ? 1 : s[0], n});
}
inline Var broadcast_to(In x, const Shape& to) { return detail::emit("broadcast_to", x, {{"shape", to}}); }
/// x[..., begin:end, ...] along one axis.
inline Var slice(In x, std::int64_t axis, std::int64_t begin, std::int64_t end) {
    return detail::emit("slice", x, {{"axis", axis}, {"begin", begin}, {"end", end}});
}
/// Zeros around x along one axis.
inline Var pad(In x, std::int64_t axis, std::int64_t before, std::int64_t after) {
    return detail::emit("pad", x, {{"axis", axis}, {"before", before}, {"after", after}});
}
/// Axes in another order: y's axis i is x's axis order[i]; reversed when no order is given.
inline Var transpose(In x, Shape order = {}) {
    if (order.empty())
        for (std::size_t i = shape(x).size(); i > 0; --i) order.push_back(std::int64_t(i) - 1);
    bool moves = !x.is_var || order.size() != shape(x).size();
    for (std::size_t i = 0; i < order.size(); ++i) moves |= order[i] != std::int64_t(i);
    return moves ? detail::emit("transpose", x, {{"order", order}}) : x.var;
}
/// One behind the other along an axis; all other sizes are equal.
inline Var concat(const std::vector<Var>& all, std::int64_t axis, Site at = Site::here()) {
    return detail::emit("concat", all, {{"axis", axis}}, at);
}
/// The other way round: pieces of these sizes along an axis.
inline std::vector<Var> split(In x, const Shape& sizes, std::int64_t axis) {
    detail::Inside caller(x.site);
    std::vector<Var> out;
    std::int64_t at = 0;
    for (std::int64_t n : sizes) out.push_back(slice(x, axis, at, at + n)), at += n;
    if (at != shape(x).at(std::size_t(detail::axis_of(shape(x), axis, "split", x))))
        detail::refuse(x.var.trace, "split: the pieces are " + std::to_string(at) + " long together, the axis is not",
                       x.site);
    return out;
}
/// A new axis along which these lie one behind the other.
inline Var stack(const std::vector<Var>& all, std::int64_t axis = 0, Site at = Site::here()) {
    detail::Inside caller(at);
    std::vector<Var> each;
    for (Var v : all) {
        Shape s = shape(v);
        s.insert(axis < 0 ? s.end() + (axis + 1) : s.begin() + axis, 1);
        each.push_back(reshape(v, s));
    }
    return concat(each, axis, at);
}
/// x repeated along each axis: [A, B] times {2, 3} -> [2A, 3B].
inline Var tile(In x, const Shape& times) {
    detail::Inside caller(x.site);
    Shape spread, wide, to;
    const Shape s = shape(x);
    if (times.size() != s.size()) detail::refuse(x.var.trace, "tile: takes a number for each axis", x.site);
    for (std::size_t i = 0; i < s.size(); ++i) {
        spread.insert(spread.end(), {1, s[i]}), wide.insert(wide.end(), {times[i], s[i]}),
            to.push_back(times[i] * s[i]);
    }
    return reshape(broadcast_to(reshape(x, spread), wide), to);
}
/// x the other way round along an axis.
inline Var flip(In x, std::int64_t axis = -1) { return detail::emit("flip", x, {{"axis", axis}}); }

// Products and small matrices.
/// [..., M, K] . [..., K, N] -> [..., M, N], either operand transposed first if asked for (nothing is copied); the axes
/// before the last two broadcast.
inline Var matmul(In a, In b, bool transpose_a = false, bool transpose_b = false) {
    return detail::emit("matmul", {a, b}, {{"transpose_a", transpose_a}, {"transpose_b", transpose_b}});
}
/// The lower triangular L with L L^T = a, of symmetric positive definite matrices [..., N, N]; reads the lower half.
/// Throws where it runs when one is not positive definite.
inline Var cholesky(In a) { return detail::emit("cholesky", a); }
/// X with L X = b, or L^T X = b: lower triangular L [..., N, N], b [..., N, M]. Reads the lower half of L.
inline Var triangular_solve(In l, In b, bool transposed = false) {
    return detail::emit("triangular_solve", {l, b}, {{"transposed", transposed}});
}
/// Rows of a table [V, ...] by number: ids [...] -> [ids..., ...]. A number that is no row stops the run.
inline Var gather(In table, In ids) { return detail::emit("gather", {table, ids}); }
/// values [ids..., ...] summed into a table of `rows` rows, each at the row its number names.
inline Var scatter_add(In ids, In values, std::int64_t rows) {
    return detail::emit("scatter_add", {ids, values}, {{"rows", rows}});
}
// Sources. `like` says in which recording, and for noise also the shape.
inline Var constant(In like, double value, const Shape& shape = {}) {
    return detail::source("constant", like, {{"value", value}, {"shape", shape}});
}
/// 0, 1, 2, ... along the last axis of `shape`.
inline Var iota(In like, const Shape& shape) { return detail::source("iota", like, {{"shape", shape}}); }
/// 1 at the place each whole number names, 0 elsewhere: [..., 1] -> [..., n].
inline Var one_hot(In ids, std::int64_t n) {
    detail::Inside caller(ids.site);
    return equal(ids, iota(ids, {n}));
}
/// 1 on the diagonal, else 0: [N, N].
inline Var identity_matrix(In like, std::int64_t n) {
    detail::Inside caller(like.site);
    return equal(reshape(iota(like, {n}), {n, 1}), iota(like, {n}));
}
/// 1 below the diagonal, and on it if asked for, else 0: [N, N].
inline Var lower_triangle(In like, std::int64_t n, bool with_diagonal = true) {
    detail::Inside caller(like.site);
    Var row = reshape(iota(like, {n}), {n, 1}), column = iota(like, {n});
    return with_diagonal ? logical_not(greater(column, row)) : greater(row, column);
}
/// [..., N, N] -> [..., N].
inline Var diagonal(In x) {
    detail::Inside caller(x.site);
    return sum(x * identity_matrix(x, shape(x).back()), {-1});
}
/// log det of symmetric positive definite matrices [..., N, N] -> [...], by Cholesky.
inline Var log_det(In a) {
    detail::Inside caller(a.site);
    return 2 * sum(log(diagonal(cholesky(a))), {-1});
}

namespace detail {
inline Var run_input(const char* name, In like) {
    Var out{recording_of(name, {&like, 1}, like.site), -1};
    check(out.trace, host->input(out.trace, name, Inside::at(like.site), &out.node));
    return out;
}
} // namespace detail

/// 1, 2, 3, ... during training; the number of the batch elsewhere. A scalar.
inline Var step(In like) { return detail::run_input("step", like); }
/// Epochs done, with a fraction, during training; infinite elsewhere, so that warm-ups are over. A scalar.
inline Var epoch(In like) { return detail::run_input("epoch", like); }
/// Steps of one epoch. A scalar.
inline Var steps_per_epoch(In like) { return detail::run_input("steps_per_epoch", like); }
/// The loss after the last whole epoch, of the test rows where there are any; infinite before the first one has ended.
inline Var last_loss(In like) { return detail::run_input("last_loss", like); }
/// What a prior multiplies the deviations of its draws by; 1 unless whoever samples asks for another. A scalar.
inline Var temperature(In like) { return detail::run_input("temperature", like); }
/// Where a value is picked after others: what logits are divided by before it is drawn; 0 for the most likely. A
/// scalar.
inline Var pick_temperature(In like) { return detail::run_input("pick_temperature", like); }
/// How many of the most likely values may be picked; infinite for all. A scalar.
inline Var pick_most(In like) { return detail::run_input("pick_most", like); }
/// The smallest set of most likely values with that share of the probability may be picked; 1 for all. A scalar.
inline Var pick_share(In like) { return detail::run_input("pick_share", like); }

/// d scalar / d each of `wrt`, appended to the same recording; can be differentiated again.
inline std::vector<Var> gradient(In scalar, const std::vector<Var>& wrt) {
    elbo_trace* t = detail::recording_of("gradient", {&scalar, 1}, scalar.site);
    std::vector<elbo_node> in, out(wrt.size());
    for (Var v : wrt) in.push_back(v.node);
    for (In v : wrt) detail::recording_of("gradient", std::array{scalar, v}, scalar.site);
    detail::check(t, detail::host->gradient(t, scalar.var.node, in.data(), std::uint32_t(in.size()),
                                            detail::Inside::at(scalar.site), out.data()));
    std::vector<Var> result;
    for (elbo_node n : out) result.push_back({t, n});
    return result;
}

} // namespace elbo

// Below, since they are written in the above.
#include "images.hpp"
#include "noise.hpp"
