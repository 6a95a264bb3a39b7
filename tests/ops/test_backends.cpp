// The fast backend (f32, SIMD, oneDNN) against each op's f64 reference, fused and unfused, and at special values.
#include <doctest/doctest.h>

#include <fmt/format.h>

#include <limits>

#include "tests/bench/cases.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kSmallestNormal = 0x1p-126;
constexpr double kTiny = 2e-38; ///< results this small may as well be 0, or the smallest normal number

/// An elementwise result is good to 1e-5 of itself or 1e-6. Looser: sums, products and what is summed in a gradient add
/// f32 values of size ~4 in another order than f64 does, so the error grows with the number of terms.
double allowed(double reference, double terms) { return 1e-5 * std::fabs(reference) + 1e-6 * std::max(1.0, terms / 4); }

/// How many values meet in one value of any output, at most.
double terms_of(const core::Program& p) {
    double most = 1;
    for (const auto& n : p.nodes) {
        double here = 1;
        const double values = std::max(1.0, double(n.dims.numel()));
        if (n.op->runs == Runs::library && n.op->flops) {
            std::vector<Dims> in;
            for (NodeId i : n.inputs) in.push_back(p.dims(i));
            here = n.op->flops(in, n.dims) / 2 / values;
        }
        if (n.op->runs == Runs::row_sum) here = double(p.dims(n.inputs[0]).numel()) / values;
        most = std::max(most, here);
    }
    return most;
}

struct Worst {
    double excess = 0;
    std::size_t output = 0, index = 0;
    double reference = 0;
    float got = 0;
};

Worst compare(const std::vector<Doubles>& reference, const std::vector<std::vector<float>>& got, double terms) {
    Worst w;
    for (std::size_t o = 0; o < reference.size(); ++o) {
        REQUIRE(reference[o].size() == got[o].size());
        for (std::size_t i = 0; i < got[o].size(); ++i) {
            const double excess = std::fabs(reference[o][i] - double(got[o][i])) / allowed(reference[o][i], terms);
            if (!(excess <= w.excess)) w = {excess, o, i, reference[o][i], got[o][i]};
        }
    }
    return w;
}

#define CHECK_CLOSE(WORST)       \
    do {                         \
        const Worst& w_ = WORST; \
        CAPTURE(w_.output);      \
        CAPTURE(w_.index);       \
        CAPTURE(w_.reference);   \
        CAPTURE(w_.got);         \
        CHECK(w_.excess <= 1);   \
    } while (false)

/// What one value in f32 has to be when f64 says `reference`.
bool agrees(double reference, float got, double relative, double absolute) {
    const float rounded = float(reference);
    if (std::isnan(rounded)) return std::isnan(got);
    if (std::isinf(rounded)) return got == rounded;
    return std::fabs(reference - double(got)) <= relative * std::fabs(reference) + absolute;
}

/// "" when all agree, else the first that does not.
std::string first_difference(const Doubles& reference, const std::vector<float>& got, double relative, double absolute,
                             const std::vector<Doubles>& x = {}) {
    for (std::size_t i = 0; i < got.size(); ++i) {
        if (agrees(reference[i], got[i], relative, absolute)) continue;
        std::string s = fmt::format("value {}: {:.9g}, in f64 {:.9g}", i, got[i], reference[i]);
        for (const Doubles& one : x) s += fmt::format(", operand {:.9g}", one[i]);
        return s;
    }
    return "";
}

Doubles in_f32_values(Doubles v) {
    for (double& x : v) x = double(float(x));
    return v;
}
Doubles special_values() {
    return in_f32_values(
        {kNan, kInf, -kInf, 0, -0.0, 1, -1, 0.5, -0.5, 3e38, -3e38, 1e30, -1e30, 1e-30, -1e-30, kSmallestNormal});
}
/// More, for ops of one value: where exp, log, tanh, sin, floor and their like turn.
Doubles turning_points() {
    Doubles v = special_values();
    auto add = [&](std::initializer_list<double> more) { v.insert(v.end(), more); };
    add({-200, -100, -88.8, -88, -87, 80, 88, 88.7, 88.8, 100, 200, 1e-10, -1e-10, 1e-4, -1e-4});
    add({1e10, -0.999999, 1.2e-38, 2, 1e8, 2e8, 9.9e7, 0.9999999, 3e-8});
    add({-1000, 1000, 20, -20, 1e-3, -1e-3, 9, -9, 0.1, 15, -15});
    for (double x = -1000; x <= 1000; x += 7.3) v.push_back(x);
    add({3.14159265, 1.57079633, 6.28318531});
    add({2.999999, -2.000001, 8388607.5, 1e9, -0.1});
    return in_f32_values(v);
}

/// An op of one or more f32 operands of one size, by the fast backend and in f64.
struct Evaluated {
    Doubles reference;
    std::vector<float> got;
};
Evaluated evaluate(const core::Op& op, const std::vector<Doubles>& x) {
    core::Recording r(ops::table(), nullptr, "test");
    std::vector<NodeId> in;
    Values values;
    for (const Doubles& one : x) {
        const std::string name = "x" + std::to_string(in.size());
        in.push_back(r.input(name, {std::int64_t(one.size())}).node);
        values[name] = one;
    }
    const auto p = freeze(r, {{"y", r.emit(op.name, in, {}, {nullptr, 0})}});
    return {in_f64(*p, values)[0], in_f32(p, values)[0]};
}

} // namespace

TEST_CASE("every op: dnnl equals the f64 reference, fused and unfused, 1 and 2 threads") {
    for (const Op* op : tried_ops())
        for (const OpCase& c : cases_of(*op)) {
            INFO(label(*op, c));
            Graph g(*op, c);
            std::vector<NodeId> outputs{g.y, g.scalar};
            if (!op->why_no_gradient)
                for (NodeId d : g.r.gradient(g.scalar, g.x)) outputs.push_back(d);
            for (bool fuse : {true, false}) {
                CAPTURE(fuse);
                const auto p = g.freeze(outputs, fuse);
                const auto reference = in_f64(*p, g.values);
                CHECK_CLOSE(compare(reference, in_f32(p, g.values, {}, 1), terms_of(*p)));
                CHECK_CLOSE(compare(reference, in_f32(p, g.values, {}, 2), terms_of(*p)));
            }
        }
}

TEST_CASE("every op: dnnl equals the f64 reference when it is alone in its program") {
    for (const Op* op : tried_ops())
        for (const OpCase& c : cases_of(*op)) {
            INFO(label(*op, c));
            Graph g(*op, c);
            const auto p = g.freeze({g.y});
            CHECK_CLOSE(compare(in_f64(*p, g.values), in_f32(p, g.values), terms_of(*p)));
        }
}

TEST_CASE("sources: dnnl gives what the reference gives") {
    for (const Dims& d : some_shapes()) {
        CAPTURE(d.text());
        core::Recording r(ops::table(), nullptr, "test");
        Var x = r.input("x", d);
        std::vector<core::NamedNode> outputs{
            {"c", constant(x, 2.5, d.list()).node}, {"x", x.node}, {"u", uniform_like(x).node}};
        if (d.rank) outputs.push_back({"i", iota(x, d.list()).node});
        for (bool fuse : {true, false}) {
            const auto p = freeze(r, outputs, fuse);
            const Values values{{"x", Doubles(std::size_t(d.numel()), 0.75)}};
            const core::Noise noise{3, 4};
            const auto reference = in_f64(*p, values, noise);
            CHECK_CLOSE(compare(reference, in_f32(p, values, noise), 1));
            CHECK(reference[0] == Doubles(std::size_t(d.numel()), 2.5));
        }
    }
}

TEST_CASE("every op of one value: NaN, infinities, zeros, huge and tiny values as C's functions treat them") {
    for (const Op* op : tried_ops()) {
        if (!plain_elementwise(*op) || op->arity != 1) continue;
        const std::string name(op->name);
        CAPTURE(name);
        Doubles x = turning_points();
        // sin and cos: the argument is reduced in f32, so the error is absolute.
        const double absolute = name == "sin" || name == "cos" ? 2e-6 : kTiny;
        for (int shift = 0; shift < 9; ++shift) { // every value meets the SIMD loop and its tail
            std::rotate(x.begin(), x.begin() + 1, x.end());
            const Evaluated e = evaluate(*op, {x});
            CHECK(first_difference(e.reference, e.got, 1e-5, absolute, {x}) == "");
        }
        for (double value : x) { // one value for all: another loop
            const Evaluated e = evaluate(*op, {{value}});
            CHECK(first_difference(e.reference, e.got, 1e-5, absolute, {{value}}) == "");
        }
    }
}

TEST_CASE("every op of two or three values: NaN, infinities, zeros, huge and tiny values") {
    const Doubles v = special_values();
    for (const Op* op : tried_ops()) {
        if (!plain_elementwise(*op) || op->arity == 1) continue;
        const std::string name(op->name);
        CAPTURE(name);
        std::vector<Doubles> x(std::size_t(op->arity));
        for (double a : v)
            for (double b : v)
                for (std::size_t k = 0; k < x.size(); ++k) x[k].push_back(k == 0 ? a : k == 1 ? b : 7);
        const Evaluated e = evaluate(*op, x);
        CHECK(first_difference(e.reference, e.got, 1e-6, kTiny, x) == "");
    }
}

TEST_CASE("elementwise functions: 1e-6 of the reference over their whole range") {
    const struct {
        const char* op;
        double low, high;
    } ranges[] = {{"exp", -85, 85},  {"expm1", -20, 85},   {"log", 1e-6, 1e6},    {"log1p", -0.99, 1e4},
                  {"tanh", -12, 12}, {"sigmoid", -85, 40}, {"softplus", -80, 80}, {"sqrt", 0, 1e6},
                  {"sin", -3, 3},    {"cos", -1.5, 1.5}};
    for (const auto& range : ranges) {
        CAPTURE(range.op);
        Doubles x;
        for (int i = 0; i < 20001; ++i) x.push_back(double(float(range.low + (range.high - range.low) * i / 20000.0)));
        const Evaluated e = evaluate(*ops::table().find(range.op), {x});
        double worst = 0, at = 0;
        for (std::size_t i = 0; i < x.size(); ++i) {
            const double error = std::fabs(double(e.got[i]) - e.reference[i]) / (std::fabs(e.reference[i]) + 1e-7);
            if (!(error <= worst)) worst = error, at = x[i];
        }
        CAPTURE(at);
        CHECK(worst <= 1e-6);
    }
}

TEST_CASE("reductions: a NaN anywhere is not lost, infinities survive") {
    for (const Dims& axes : {Dims{0}, Dims{1}, Dims{0, 1}})
        for (std::size_t at : {0u, 5u, 20u, 38u}) {
            core::Recording r(ops::table(), nullptr, "test");
            Var x = r.input("x", {3, 13});
            const std::vector<core::NamedNode> outputs{{"m", max_over(x, axes.list()).node},
                                                       {"s", sum(x, axes.list()).node}};
            const auto p = freeze(r, outputs);
            for (double special : {kNan, kInf}) {
                Doubles given(39, -1.0);
                given[at] = special;
                const auto reference = in_f64(*p, {{"x", given}});
                const auto got = in_f32(p, {{"x", given}});
                for (std::size_t o = 0; o < 2; ++o) {
                    CAPTURE(o);
                    CAPTURE(at);
                    auto hit = [&](double v) { return std::isnan(special) ? std::isnan(v) : v == special; };
                    CHECK(std::count_if(reference[o].begin(), reference[o].end(), hit) == 1);
                    CHECK(std::count_if(got[o].begin(), got[o].end(), hit) == 1);
                }
            }
        }
}

TEST_CASE("matmul: a NaN passes bias and activation") {
    for (const std::string activation : {"relu", "tanh", "sigmoid"}) {
        CAPTURE(activation);
        core::Recording r(ops::table(), nullptr, "test");
        Var c = r.input("c", {9});
        Var h = matmul(r.input("a", {5, 7}), r.input("b", {7, 9})) + c;
        const NodeId y = r.emit(activation, std::array{h.node}, {}, {nullptr, 0});
        const auto p = freeze(r, {{"y", y}});
        Doubles a(35, 0.1);
        a[8] = kNan;
        a[14] = kInf;
        a[21] = -kInf;
        const Values values{{"a", a}, {"b", Doubles(63, 0.5)}, {"c", Doubles(9, 0.25)}};
        const auto reference = in_f64(*p, values)[0];
        const auto got = in_f32(p, values)[0];
        CHECK(first_difference(reference, got, 1e-5, 1e-6) == "");
    }
}

TEST_CASE("matmul: an empty inner size gives zeros, then bias and activation, in memory that was used before") {
    core::Recording r(ops::table(), nullptr, "test");
    Var x = r.input("x", {2, 4}), a = r.input("a", {2, 0}), b = r.input("b", {0, 4}), c = r.input("c", {4});
    Var before = max_over(exp(x) * x, {0});
    std::vector<core::NamedNode> outputs{{"m", before.node}};
    outputs.push_back({"p", slice(matmul(a, b), 0, 0, 2).node});
    outputs.push_back({"q", slice(relu(matmul(a, b) + c), 0, 0, 2).node});
    const Values values{{"x", Doubles(8, 1.5)}, {"a", {}}, {"b", {}}, {"c", {1, -2, 3, -4}}};
    for (bool fuse : {true, false}) {
        CAPTURE(fuse);
        const auto p = freeze(r, outputs, fuse);
        CHECK_CLOSE(compare(in_f64(*p, values), in_f32(p, values), 1));
    }
}
