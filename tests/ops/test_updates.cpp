// Tensors that a program overwrites: the next step sees the new value, nobody in the same step does, and nothing is
// written when the guard is not finite.
#include <doctest/doctest.h>

#include <limits>

#include "tests/bench/cases.hpp"

using namespace elbo;
using namespace elbo::test;
using core::Program;

namespace {

/// Runs a program once on its own tensors; the outputs.
std::vector<Doubles> run_once(const std::shared_ptr<const Program>& p, Tensors& run,
                              const std::string& executor = "dnnl") {
    auto bound = ops::make_executor(executor, 1)->bind(p, run.pointers(*p));
    CHECK(bound->run({{}, {}}));
    std::vector<Doubles> out;
    for (std::size_t i = 0; i < p->outputs.size(); ++i) {
        const auto got = bound->output(i);
        out.emplace_back(got.begin(), got.end());
    }
    return out;
}

} // namespace

TEST_CASE("updates: readers in the same step see the old value, the next step the new one") {
    for (const std::string executor : {"dnnl", "reference"})
        for (bool fuse : {true, false}) {
            CAPTURE(executor);
            CAPTURE(fuse);
            Tensors run;
            core::Recording r(ops::table(), &run, "train");
            Var like = r.input("x", {});
            Var p = parameter(like, "p", {700}, Init::uniform(-1, 1)), q = parameter(like, "q", {700});
            Var before = p * 2.0, total = sum_all(p * p), late = max_over(reshape(p, {7, 100}), {0}) * total;
            assign(p, p - 0.5 * p);
            assign(q, p + sum_all(exp(late)));
            const std::vector<core::NamedNode> outputs{{"b", before.node}, {"t", total.node}, {"l", late.node}};
            const auto program = core::freeze(
                r.tape, {.purpose = "train", .outputs = outputs, .assignments = r.assignments, .fuse = fuse});
            Doubles old = run.values("p");
            for (int step = 0; step < 2; ++step) {
                const auto got = run_once(program, run, executor);
                double sum = 0;
                Doubles twice, half;
                for (double v : old) {
                    sum += v * v;
                    twice.push_back(2 * v);
                    half.push_back(0.5 * v);
                }
                CHECK(got[0] == twice);
                CHECK(got[1][0] == doctest::Approx(sum).epsilon(1e-6));
                CHECK(run.values("p") == half);
                old = half;
            }
        }
}

TEST_CASE("updates: an output that is a tensor itself shows the value before the update") {
    for (const std::string executor : {"dnnl", "reference"}) {
        CAPTURE(executor);
        Tensors run;
        core::Recording r(ops::table(), &run, "train");
        Var p = parameter(r.input("x", {}), "p", {5}, Init::constant(3));
        assign(p, p + 1.0);
        const auto program =
            core::freeze(r.tape, {.purpose = "train", .outputs = {{"p", p.node}}, .assignments = r.assignments});
        CHECK(run_once(program, run, executor)[0] == Doubles(5, 3.0));
        CHECK(run.values("p") == Doubles(5, 4.0));
    }
}

TEST_CASE("updates: tensors can be exchanged, shifted along and copied in one step") {
    for (const std::string executor : {"dnnl", "reference"})
        for (bool fuse : {true, false})
            for (bool with_reader : {false, true}) {
                CAPTURE(executor);
                CAPTURE(fuse);
                CAPTURE(with_reader);
                Tensors run;
                core::Recording r(ops::table(), &run, "train");
                Var like = r.input("x", {});
                auto make = [&](const char* name, double v) { return parameter(like, name, {600}, Init::constant(v)); };
                Var a = make("a", 1), b = make("b", 2), c = make("c", 3), d = make("d", 4), e = make("e", 5);
                assign(a, b);
                assign(b, a);
                assign(c, d);
                assign(d, with_reader ? e + 0.0 * sum_all(c) : e);
                assign(e, 10 * c + a);
                core::FreezeRequest request{.purpose = "train", .outputs = {}, .assignments = {}, .fuse = fuse};
                request.assignments = r.assignments;
                if (with_reader) request.outputs = {{"s", sum_all(square(a) + c).node}};
                std::shared_ptr<const Program> program;
                REQUIRE_NOTHROW(program = core::freeze(r.tape, request));
                run_once(program, run, executor);
                CHECK(run.values("a") == Doubles(600, 2.0));
                CHECK(run.values("b") == Doubles(600, 1.0));
                CHECK(run.values("c") == Doubles(600, 4.0));
                CHECK(run.values("d") == Doubles(600, 5.0));
                CHECK(run.values("e") == Doubles(600, 31.0));
            }
}

TEST_CASE("updates: assignments that other held updates read do not leave an empty unit behind") {
    Tensors run;
    core::Recording r(ops::table(), &run, "train");
    Var like = r.input("x", {});
    auto make = [&](const char* name, double v) { return parameter(like, name, {8}, Init::constant(v)); };
    Var a = make("a", 1), b = make("b", 2), c = make("c", 3);
    assign(a, b);
    assign(b, c);
    assign(c, a + 1.0);
    const std::vector<core::NamedNode> outputs{{"s", max_over(exp(max_over(c, {0}, true)), {0}).node}};
    const auto program = core::freeze(r.tape, {.purpose = "train", .outputs = outputs, .assignments = r.assignments});
    for (const auto& u : program->units) CHECK(!u.nodes.empty());
    run_once(program, run);
    CHECK(run.values("a") == Doubles(8, 2.0));
    CHECK(run.values("b") == Doubles(8, 3.0));
    CHECK(run.values("c") == Doubles(8, 2.0));
}

TEST_CASE("guard: when it is not finite nothing is assigned") {
    for (const std::string executor : {"dnnl", "reference"})
        for (bool fuse : {true, false})
            for (double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
                Mlp mlp(5, 6, 7);
                const auto p = mlp.freeze(fuse);
                const auto before = mlp.run.values("w1");
                auto bound = ops::make_executor(executor, 1)->bind(p, mlp.run.pointers(*p));
                std::vector<float> x(30, 1.f), wrong = x;
                wrong[7] = float(bad);
                const float step = 1;
                auto run = [&](const std::vector<float>& data) {
                    std::vector<const float*> inputs;
                    for (const auto& in : p->inputs) inputs.push_back(in.name == "x" ? data.data() : &step);
                    return bound->run({inputs, {1, 1}});
                };
                CHECK(!run(wrong));
                CHECK(mlp.run.values("w1") == before);
                CHECK(mlp.run.values("p0.m") == Doubles(before.size(), 0.0));
                CHECK(run(x));
                CHECK(mlp.run.values("w1") != before);
            }
}
