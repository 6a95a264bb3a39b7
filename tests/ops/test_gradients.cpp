// Each op's gradient rule against finite differences of its f64 reference, once and twice.
#include <doctest/doctest.h>

#include <fmt/format.h>

#include "tests/bench/cases.hpp"
#include "tests/bench/golden.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

constexpr double kTolerance = 1e-6;

void check_gradient(Graph& g, const Op& op, NodeId scalar) {
    const auto gradients = g.r.gradient(scalar, g.x);
    const auto found = in_f64(*g.freeze(gradients), g.values);
    const auto forward = g.freeze({scalar});
    for (std::size_t k = 0; k < g.x.size(); ++k) {
        const std::string input = "x" + std::to_string(k);
        CAPTURE(input);
        REQUIRE(g.r.tape.dims(gradients[k]) == g.r.tape.dims(g.x[k]));
        REQUIRE(found[k].size() == g.values.at(input).size());
        const bool read = std::any_of(forward->inputs.begin(), forward->inputs.end(),
                                      [&](const auto& in) { return in.name == input; });
        if (chooses(op, k) || !read) {
            CHECK(std::all_of(found[k].begin(), found[k].end(), [](double v) { return v == 0; }));
            continue;
        }
        const Derivative worst =
            worst_derivative(g.values.at(input), found[k], [&] { return in_f64(*forward, g.values)[0][0]; });
        CHECK_MESSAGE(worst.error <= kTolerance,
                      "value " << worst.at << ": " << worst.given << ", by differences " << worst.by_differences);
    }
}

} // namespace

TEST_CASE("every op: has cases or says why it has no gradient") {
    for (const Op* op : tried_ops()) {
        const std::string name(op->name);
        CAPTURE(name);
        if (!op->why_no_gradient) CHECK_MESSAGE(!cases_of(*op).empty(), "no test case: give it cases()");
        else if (std::string(op->why_no_gradient) == "source")
            CHECK_MESSAGE(op->arity == 0, "a source takes no operand");
    }
}

TEST_CASE("every op: gradient in f64 equals finite differences to 1e-6") {
    for (const Op* op : tried_ops()) {
        if (op->why_no_gradient) continue;
        for (const OpCase& c : cases_of(*op)) {
            INFO(label(*op, c));
            Graph g(*op, c);
            check_gradient(g, *op, g.scalar);
        }
    }
}

TEST_CASE("every op: second derivative in f64 equals finite differences of the first to 1e-6") {
    for (const Op* op : tried_ops()) {
        if (op->why_no_gradient) continue;
        for (const OpCase& c : cases_of(*op)) {
            INFO(label(*op, c));
            Graph g(*op, c);
            Var total = constant(g.r.var(g.scalar), 0.0);
            for (NodeId d : g.r.gradient(g.scalar, g.x)) total = total + sum_all(square(g.r.var(d)));
            check_gradient(g, *op, total.node);
        }
    }
}

// As people read it: what each op gives and what its gradient was checked to. Cases run above.
TEST_CASE("the table of ops is the one in tests/golden/op_table.txt") {
    std::string text = fmt::format("{:<18} {:>8}  {:<20} {:>5}  {}\n", "op", "operands", "gradient", "cases", "gives");
    for (const Op* op : ops::table().all())
        text += fmt::format(
            "{:<18} {:>8}  {:<20} {:>5}  {}\n", op->name, op->arity < 0 ? "any" : std::to_string(op->arity),
            op->why_no_gradient ? op->why_no_gradient : "to 1e-6, twice", cases_of(*op).size(), op->formula);
    check_golden("op_table", text);
}

TEST_CASE("stop_gradient and assign: nothing flows back") {
    core::Recording r(ops::table(), nullptr, "test");
    Var x = r.input("x", {3}), y = r.input("y", {3});
    const NodeId assigned = r.emit("assign", std::vector<NodeId>{x.node, y.node}, {}, {nullptr, 0});
    Var scalar = sum_all(stop_gradient(x) * 2.0 + r.var(assigned));
    const std::vector<NodeId> wrt{x.node, y.node};
    for (NodeId d : r.gradient(scalar.node, wrt)) {
        CHECK(r.tape.node(d).op->name == "constant");
        CHECK(r.tape.attributes(d).real("value") == 0);
        CHECK(r.tape.dims(d) == Dims{3});
    }
}

TEST_CASE("gradient: adds up over all paths, and is zero where there is none") {
    core::Recording r(ops::table(), nullptr, "test");
    Var x = r.input("x", {2, 3}), other = r.input("other", {4});
    Var scalar = sum_all(x * x + x * 3.0 + exp(x) * sum_all(x));
    const auto d = gradient(scalar, {x, other});
    CHECK(shape(d[1]) == Shape{4});
    const std::vector<core::NamedNode> outputs{{"dx", d[0].node}, {"dother", d[1].node}};
    const auto program = freeze(r, outputs);
    const Values values{{"x", {-1, 0, 1, 2, 0.5, -0.25}}};
    const auto found = in_f64(*program, values);
    double total = 0, exps = 0;
    for (double v : values.at("x")) total += v, exps += std::exp(v);
    for (std::size_t i = 0; i < 6; ++i) {
        const double v = values.at("x")[i];
        CHECK(found[0][i] == doctest::Approx(2 * v + 3 + std::exp(v) * total + exps).epsilon(1e-12));
    }
    CHECK(found[1] == Doubles(4, 0.0));
}

TEST_CASE("max_over and max: equal values share or give way as they say") {
    core::Recording r(ops::table(), nullptr, "test");
    Var x = r.input("x", {4}), a = r.input("a", {2}), b = r.input("b", {2});
    Var scalar = max_over(x, {0}) + sum_all(max(a, b)) + sum_all(min(a, b) * 10.0);
    const auto d = gradient(scalar, {x, a, b});
    const auto program = freeze(r, {{"x", d[0].node}, {"a", d[1].node}, {"b", d[2].node}});
    const auto found = in_f64(*program, {{"x", {1, 5, 5, 2}}, {"a", {1, 3}}, {"b", {1, 2}}});
    CHECK(found[0] == Doubles{0, 0.5, 0.5, 0});
    CHECK(found[1] == Doubles{11, 1});
    CHECK(found[2] == Doubles{0, 10});
}
