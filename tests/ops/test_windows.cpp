// Parts that are read where the whole lies, values made where they belong when joined, and the sums of unrolled loops.
#include <doctest/doctest.h>

#include "tests/bench/cases.hpp"
#include "tests/bench/checker.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

int units_of(const core::Program& p, std::string_view op) {
    return int(std::count_if(p.units.begin(), p.units.end(), [&](const core::Unit& u) {
        return std::any_of(u.nodes.begin(), u.nodes.end(), [&](core::NodeId id) { return p.node(id).op->name == op; });
    }));
}

Doubles wave(std::int64_t n, double phase) {
    Doubles out(static_cast<std::size_t>(n));
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = std::sin(0.37 * double(i) + phase);
    return out;
}

/// Frozen with and without fusion it keeps its promises and gives the reference's values, on any number of threads.
std::shared_ptr<const core::Program> sound(core::Recording& r, const std::vector<core::NamedNode>& outputs,
                                           const Values& values) {
    const auto p = freeze(r, outputs);
    CHECK(look_at(*p).text() == "");
    const auto reference = in_f64(*p, values);
    for (int threads : {1, 2, 3}) {
        const auto got = in_f32(p, values, {}, threads);
        for (std::size_t o = 0; o < outputs.size(); ++o)
            for (std::size_t i = 0; i < got[o].size(); ++i)
                CHECK(std::fabs(reference[o][i] - double(got[o][i])) <= 1e-4 * (1 + std::fabs(reference[o][i])));
    }
    return p;
}

} // namespace

TEST_CASE("windows: steps of a sequence are read where they lie, whoever reads them") {
    core::Recording r(ops::table(), nullptr, "train");
    Var x = r.input("x", {5, 6, 7}), w = r.input("w", {7, 3}), scaled = 2 * x;
    Var y = matmul(reshape(slice(scaled, 0, 3, 4), {6, 7}), w), z = exp(slice(scaled, 0, 1, 3));
    const auto p = sound(r, {{"y", y.node}, {"z", z.node}}, {{"x", wave(210, 0)}, {"w", wave(21, 1)}});
    CHECK(units_of(*p, "slice") == 0);
}

TEST_CASE("windows: parts of parts lie where they are, and a library reads them anywhere") {
    core::Recording r(ops::table(), nullptr, "train");
    Var x = r.input("x", {600}), g = r.input("g", {2, 1, 1, 1}), all = sin(x);
    Var image = reshape(slice(slice(all, 0, 301, 596), 0, 93, 129), {2, 3, 3, 2}),
        near = reshape(slice(all, 0, 16, 52), {2, 3, 3, 2});
    Var w = r.input("w", {3, 3, 2, 1});
    const auto d = gradient(sum_all(conv2d(image, w, {1, 1}, {0, 0, 0, 0}) * g), {w});
    const auto p = sound(r, {{"d", d[0].node}, {"y", conv2d(near, w, {1, 1}, {0, 0, 0, 0}).node}},
                         {{"x", wave(600, 0)}, {"g", wave(2, 1)}, {"w", wave(18, 2)}});
    CHECK(units_of(*p, "slice") == 0);
}

TEST_CASE("windows: gates are read by groups where their product lies, and not by what needs rows without gaps") {
    core::Recording r(ops::table(), nullptr, "train");
    Var x = r.input("x", {6, 7}), w = r.input("w", {7, 12}), gates = matmul(x, w);
    Var y = sigmoid(slice(gates, 1, 0, 4)) * tanh(slice(gates, 1, 4, 8)) + slice(gates, 1, 8, 12);
    CHECK(units_of(*sound(r, {{"y", y.node}}, {{"x", wave(42, 0)}, {"w", wave(84, 1)}}), "slice") == 0);

    Var kernel = cumsum(slice(gates, 1, 4, 8)), viewed = exp(reshape(slice(gates, 1, 0, 4), {24}));
    const auto p = sound(r, {{"k", kernel.node}, {"v", viewed.node}}, {{"x", wave(42, 0)}, {"w", wave(84, 1)}});
    CHECK(units_of(*p, "slice") == 2);
}

TEST_CASE("windows: what is joined is made where it belongs; what cannot be is copied") {
    core::Recording r(ops::table(), nullptr, "train");
    Var x = r.input("x", {6, 7}), w = r.input("w", {7, 4}), u = r.input("u", {4, 2});
    Var one = matmul(x, w), two = exp(one), three = tanh(two) * one;
    Var rows = matmul(concat({one, two, three}, 0), u);
    Var some = matmul(concat({x, sin(x)}, 0), w); // x is given: it lies elsewhere
    const Values values{{"x", wave(42, 0)}, {"w", wave(28, 1)}, {"u", wave(8, 2)}};
    CHECK(units_of(*sound(r, {{"rows", rows.node}}, values), "concat") == 0);
    CHECK(units_of(*sound(r, {{"some", some.node}}, values), "concat") == 1);

    Var columns = matmul(concat({exp(x * 0.5), cos(x), tanh(x)}, 1), r.input("t", {21, 2}));
    Values wide{{"x", wave(42, 0)}, {"t", wave(42, 2)}};
    CHECK(units_of(*sound(r, {{"columns", columns.node}}, wide), "concat") == 0);
    Var mixed = matmul(concat({matmul(x, w), cos(x)}, 1), r.input("s", {11, 2})); // a product's rows have no gaps
    const Values both{{"x", wave(42, 0)}, {"w", wave(28, 1)}, {"s", wave(22, 2)}};
    CHECK(units_of(*sound(r, {{"mixed", mixed.node}}, both), "concat") == 1);
    Var twice = matmul(concat({two, two}, 0), u); // written in two places
    CHECK(units_of(*sound(r, {{"twice", twice.node}}, values), "concat") == 0);
}

TEST_CASE("windows: a value that lies in another is not written over while that one is needed") {
    core::Recording r(ops::table(), nullptr, "train");
    Var x = r.input("x", {6, 8}), all = exp(x), part = slice(all, 1, 2, 6);
    Var y = tanh(part), z = sin(y) + part, last = sum_rows(all * x);
    sound(r, {{"z", z.node}, {"y", y.node}, {"last", last.node}}, {{"x", wave(48, 0)}});
}

TEST_CASE("sums: an unrolled loop has one product for the gradient of its weights, and joins what its steps took") {
    core::Recording r(ops::table(), nullptr, "train");
    constexpr int kSteps = 6;
    Var x = r.input("x", {kSteps, 3, 4}), w = r.input("w", {5, 5}), u = r.input("u", {4, 5});
    Var inputs = reshape(matmul(x, u), {kSteps, 3, 5}), h = constant(x, 0, {3, 5}), total = constant(x, 0);
    for (int t = 0; t < kSteps; ++t) {
        h = tanh(reshape(slice(inputs, 0, t, t + 1), {3, 5}) + matmul(h, w));
        total = total + sum_all(square(h));
    }
    const auto d = gradient(total, {w, u, x});
    const std::vector<core::NamedNode> outputs{{"w", d[0].node}, {"u", d[1].node}, {"x", d[2].node}};
    const Values values{{"x", wave(72, 0)}, {"w", wave(25, 1)}, {"u", wave(20, 2)}};
    const auto p = sound(r, outputs, values);
    int products = 0;
    for (const core::Unit& unit : p->units)
        for (core::NodeId id : unit.nodes)
            if (p->node(id).op->name == "matmul" && p->dims(id) == core::Dims{5, 5}) ++products;
    CHECK(products == 1);
    CHECK(units_of(*p, "pad") == 0);
    CHECK(units_of(*p, "slice") == 0);
    const auto plain = freeze(r, outputs, false);
    CHECK(units_of(*plain, "pad") > 0);
    const auto a = in_f64(*p, values), b = in_f64(*plain, values);
    for (std::size_t o = 0; o < 3; ++o)
        for (std::size_t i = 0; i < a[o].size(); ++i)
            CHECK(std::fabs(a[o][i] - b[o][i]) <= 1e-12 * (1 + std::fabs(b[o][i])));
}

TEST_CASE("sums: parts with gaps between them, parts that overlap and parts read elsewhere stay right") {
    core::Recording r(ops::table(), nullptr, "train");
    Var x = r.input("x", {3, 10});
    Var gap = square(slice(x, 1, 0, 3)) * 1.5, after = exp(slice(x, 1, 6, 10)), over = sin(slice(x, 1, 2, 7));
    Var y = sum_all(gap) + sum_all(after) + sum_all(over) + sum_all(x * x) + sum_all(tanh(slice(x, 0, 1, 2)));
    Var read_twice = pad(exp(x), 1, 0, 2);
    Var z = read_twice + pad(cos(x), 1, 2, 0) + pad(x * x, 1, 1, 1), t = sum_rows(read_twice);
    sound(r, {{"d", gradient(y, {x})[0].node}, {"z", z.node}, {"t", t.node}}, {{"x", wave(30, 0.2)}});
}
