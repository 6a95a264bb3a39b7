// The vocabulary a plugin writes its maths in: free functions and operators on `Var`. Nothing here computes: each call
// appends a node to the recording its operands belong to and returns a handle to it. Elementwise functions broadcast
// as NumPy does. Gradients, fusion, memory and precision are the host's business. Depends on nothing but the C header.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "abi.h"

namespace elbo {

using Shape = std::vector<std::int64_t>;

/// The place in the source that asked for something: default arguments make it the caller's line.
struct Site {
    const char* file;
    int line;
    static Site here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) { return {file, line}; }
};

/// Thrown when the host refused; the host already knows why. Let it pass: the boundary catches it.
struct Refused : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// A handle to a node of a recording. It has no value: a component cannot branch on data while it is recorded.
struct Var {
    elbo_trace* trace = nullptr;
    elbo_node node = -1;
};

/// An operand: a `Var`, or a number that becomes a constant beside one. Carries the line it was written on.
struct In {
    Var var{};
    double number = 0;
    bool is_var = false;
    Site site;
    In(Var v, const char* file = __builtin_FILE(), int line = __builtin_LINE())
        : var(v), is_var(true), site{file, line} {}
    In(double n, const char* file = __builtin_FILE(), int line = __builtin_LINE()) : number(n), site{file, line} {}
};

namespace detail {

/// The table of the host that loaded this plugin.
inline const elbo_host* host = nullptr;

/// While one lives, everything emitted is said to come from `site`: functions made of other functions report their
/// caller.
class Inside {
public:
    explicit Inside(Site site) : saved_(outer()) {
        if (!outer().file) outer() = site;
    }
    ~Inside() { outer() = saved_; }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;
    static elbo_site at(Site site) {
        const Site& s = outer().file ? outer() : site;
        return {s.file, s.line};
    }

private:
    static Site& outer() {
        static thread_local Site site{nullptr, 0};
        return site;
    }
    Site saved_;
};

inline void check(elbo_trace* trace, std::int32_t status) {
    if (status != 0) throw Refused(host->error(trace));
}

/// Tells the host what is wrong, with the line, and leaves. The recording may be unknown.
[[noreturn]] inline void refuse(elbo_trace* trace, const std::string& why, Site at) {
    host->fail(trace, why.c_str(), Inside::at(at));
    throw Refused(why);
}

/// An attribute of an op while it is being emitted.
struct Attribute : elbo_value {
    Attribute(const char* name, double v) : elbo_value{name, ELBO_REAL, 0, {}} { as.real = v; }
    Attribute(const char* name, int v) : elbo_value{name, ELBO_INT, 0, {}} { as.integer = v; }
    Attribute(const char* name, std::int64_t v) : elbo_value{name, ELBO_INT, 0, {}} { as.integer = v; }
    Attribute(const char* name, bool v) : elbo_value{name, ELBO_BOOL, 0, {}} { as.integer = v; }
    Attribute(const char* name, const Shape& v) : elbo_value{name, ELBO_INTS, std::uint32_t(v.size()), {}} {
        as.ints = v.data();
    }
};
using Attributes = std::initializer_list<Attribute>;

/// Appends op(in...) to a recording that is known.
inline Var append(elbo_trace* trace, const char* op, std::span<const elbo_node> in, Attributes attributes, Site at) {
    const std::vector<elbo_value> values(attributes.begin(), attributes.end());
    Var out{trace, -1};
    check(trace, host->emit(trace, op, in.data(), std::uint32_t(in.size()), values.data(), std::uint32_t(values.size()),
                            Inside::at(at), &out.node));
    return out;
}

inline Var constant(elbo_trace* trace, double value, const Shape& shape, Site at) {
    return append(trace, "constant", {}, {{"value", value}, {"shape", shape}}, at);
}

/// The one recording all operands belong to; refuses numbers alone and Vars of two recordings.
inline elbo_trace* recording_of(const char* op, std::span<const In> in, Site at) {
    elbo_trace* trace = nullptr;
    for (const In& x : in) {
        if (!x.is_var) continue;
        if (!x.var.trace) refuse(nullptr, std::string(op) + ": an operand is a Var{} that belongs to no recording", at);
        if (trace && trace != x.var.trace)
            refuse(trace,
                   std::string(op) +
                       ": its operands come from two recordings; a part must not keep a Var "
                       "between calls",
                   at);
        trace = x.var.trace;
    }
    if (!trace) refuse(nullptr, std::string(op) + ": takes a Var; a number alone belongs to no recording", at);
    return trace;
}

/// op(in...); numbers among the operands become constants.
inline Var emit(const char* op, std::span<const In> in, Attributes attributes, Site at) {
    elbo_trace* trace = recording_of(op, in, at);
    std::vector<elbo_node> nodes;
    for (const In& x : in) nodes.push_back(x.is_var ? x.var.node : constant(trace, x.number, {}, x.site).node);
    return append(trace, op, nodes, attributes, at);
}
inline Var emit(const char* op, std::initializer_list<In> in, Attributes attributes = {}) {
    if (in.size() == 0) refuse(nullptr, std::string(op) + ": takes operands, and none was given", {nullptr, 0});
    return emit(op, std::span<const In>(in.begin(), in.size()), attributes, in.begin()->site);
}
inline Var emit(const char* op, In x, Attributes attributes = {}) {
    return emit(op, std::span<const In>(&x, 1), attributes, x.site);
}

} // namespace detail

/// The dimensions of x; rows (examples) come first.
inline Shape shape(In x) {
    std::int64_t dims[ELBO_MAX_RANK];
    std::uint32_t rank = 0;
    elbo_trace* trace = detail::recording_of("shape", {&x, 1}, x.site);
    detail::check(trace, detail::host->shape(trace, x.var.node, dims, &rank));
    return Shape(dims, dims + rank);
}

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
/// 1 where a > b, else 0. No gradient.
inline Var greater(In a, In b) { return detail::emit("greater", {a, b}); }
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
inline Var sin(In x) { return detail::emit("sin", x); }
inline Var cos(In x) { return detail::emit("cos", x); }
inline Var tanh(In x) { return detail::emit("tanh", x); }
inline Var sigmoid(In x) { return detail::emit("sigmoid", x); }   ///< 1 / (1 + exp(-x))
inline Var softplus(In x) { return detail::emit("softplus", x); } ///< log(1 + exp(x)), no overflow
/// -log p(x) of a coin with these logits, value by value: max(l, 0) - l x + log(1 + exp(-|l|)).
inline Var bernoulli_nll(In logits, In x) { return detail::emit("bernoulli_nll", {logits, x}); }
/// sigmoid(l) - x, exact where the two are nearly the same.
inline Var sigmoid_minus(In l, In x) { return detail::emit("sigmoid_minus", {l, x}); }
inline Var relu(In x) { return detail::emit("relu", x); } ///< max(x, 0); gradient 0 at 0
/// x, but no gradient flows through it.
inline Var stop_gradient(In x) { return detail::emit("stop_gradient", x); }
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
/// log sum exp over one axis, which disappears; no overflow.
inline Var log_sum_exp(In x, std::int64_t axis) {
    detail::Inside caller(x.site);
    Var top = stop_gradient(max_over(x, {axis}, true));
    return sum(log(sum_keep(exp(x - top), {axis})) + top, {axis});
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
/// [M, K] . [K, N] -> [M, N], either operand transposed first if asked for.
inline Var matmul(In a, In b, bool transpose_a = false, bool transpose_b = false) {
    return detail::emit("matmul", {a, b}, {{"transpose_a", transpose_a}, {"transpose_b", transpose_b}});
}

/// Images [B, H, W, C] with weights [KH, KW, C, O] -> [B, (H + pads - KH) / stride + 1, ..., O]. strides: vertical,
/// horizontal; pads: zeros at the top, bottom, left, right.
inline Var conv2d(In x, In weights, const Shape& strides = {1, 1}, const Shape& pads = {0, 0, 0, 0}) {
    return detail::emit("conv2d", {x, weights}, {{"strides", strides}, {"pads", pads}});
}
/// The adjoint of conv2d's images, of size `shape`: a transposed convolution of g.
inline Var conv2d_input(In g, In weights, const Shape& shape, const Shape& strides, const Shape& pads) {
    return detail::emit("conv2d_input", {g, weights}, {{"strides", strides}, {"pads", pads}, {"shape", shape}});
}
/// The adjoint of conv2d's weights, of size `shape`.
inline Var conv2d_weights(In x, In g, const Shape& shape, const Shape& strides, const Shape& pads) {
    return detail::emit("conv2d_weights", {x, g}, {{"strides", strides}, {"pads", pads}, {"shape", shape}});
}

/// Largest value of each window of images [B, H, W, C].
inline Var max_pool2d(In x, const Shape& window, const Shape& strides) {
    return detail::emit("max_pool2d", x, {{"window", window}, {"strides", strides}});
}
/// g at the places where max_pool2d found its values in x, 0 elsewhere.
inline Var max_pool2d_spread(In x, In g, const Shape& window, const Shape& strides) {
    return detail::emit("max_pool2d_spread", {x, g}, {{"window", window}, {"strides", strides}});
}
/// The values of a at the places where max_pool2d found its values in x.
inline Var max_pool2d_pick(In x, In a, const Shape& window, const Shape& strides) {
    return detail::emit("max_pool2d_pick", {x, a}, {{"window", window}, {"strides", strides}});
}
/// Rows of a table [V, ...] by number: ids [...] -> [ids..., ...]. A number that is no row stops the run.
inline Var gather(In table, In ids) { return detail::emit("gather", {table, ids}); }
/// values [ids..., ...] summed into a table of `rows` rows, each at the row its number names.
inline Var scatter_add(In ids, In values, std::int64_t rows) {
    return detail::emit("scatter_add", {ids, values}, {{"rows", rows}});
}
/// (x - mean) / sqrt(variance + eps) * scale + shift along the last axis, all of these [C].
inline Var batch_norm(In x, In mean, In variance, In scale, In shift, double eps = 1e-5) {
    return detail::emit("batch_norm", {x, mean, variance, scale, shift}, {{"eps", eps}});
}
/// One step of an LSTM: x [B, I], state [B, 2H], weights [I, 4H] and [H, 4H], bias [4H] -> state [B, 2H].
inline Var lstm_cell(In x, In state, In input_weights, In state_weights, In bias) {
    return detail::emit("lstm_cell", {x, state, input_weights, state_weights, bias});
}

namespace detail {
/// An op without operands; `like` says in which recording.
inline Var source(const char* op, In like, Attributes attributes) {
    return append(recording_of(op, {&like, 1}, like.site), op, {}, attributes, like.site);
}
} // namespace detail

// Sources. `like` says in which recording, and for noise also the shape.
inline Var constant(In like, double value, const Shape& shape = {}) {
    return detail::source("constant", like, {{"value", value}, {"shape", shape}});
}
/// 0, 1, 2, ... along the last axis of `shape`.
inline Var iota(In like, const Shape& shape) { return detail::source("iota", like, {{"shape", shape}}); }
/// 1 at the place each whole number names, 0 elsewhere: [..., 1] -> [..., n].
inline Var one_hot(In ids, std::int64_t n) {
    detail::Inside caller(ids.site);
    Var k = iota(ids, {n});
    return (1 - greater(ids, k)) * (1 - greater(k, ids));
}
/// Standard normal noise of the shape of `like`: new at every step, the same for the same seed and step.
inline Var normal_like(In like) { return detail::source("normal", like, {{"shape", shape(like)}}); }
/// Uniform noise in (0, 1) of the shape of `like`.
inline Var uniform_like(In like) { return detail::source("uniform", like, {{"shape", shape(like)}}); }
/// Standard Laplace noise: -sign(u) log(1 - 2|u|), u uniform in (-1/2, 1/2).
inline Var laplace_like(In like) {
    detail::Inside caller(like.site);
    Var u = uniform_like(like) - 0.5;
    return -sign(u) * log1p(-2 * min(abs(u), 0.4999999));
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
