// A handle to a node of a recording, an operand, and how an op is appended: what all of the vocabulary stands on.
// Depends on nothing but the C header.
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

namespace detail {
/// An op without operands; `like` says in which recording.
inline Var source(const char* op, In like, Attributes attributes) {
    return append(recording_of(op, {&like, 1}, like.site), op, {}, attributes, like.site);
}
/// op(in...) of a list: any number of operands.
inline Var emit(const char* op, const std::vector<Var>& in, Attributes attributes, Site at) {
    const std::vector<In> operands(in.begin(), in.end());
    return emit(op, std::span<const In>(operands), attributes, at);
}
/// An axis counted from the end becomes one counted from 0.
inline std::int64_t axis_of(const Shape& s, std::int64_t axis, const char* op, In x) {
    const auto rank = std::int64_t(s.size());
    if (axis < -rank || axis >= rank)
        refuse(recording_of(op, {&x, 1}, x.site), std::string(op) + ": there is no axis " + std::to_string(axis),
               x.site);
    return axis < 0 ? axis + rank : axis;
}
} // namespace detail

} // namespace elbo
