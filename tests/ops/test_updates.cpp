// Tensors that a program overwrites: the next step sees the new value, nobody in the same step does, and nothing is
// written when the guard is not finite.
#include <doctest/doctest.h>

#include <limits>

#include "tests/bench/cases.hpp"
#include "tests/bench/refusals.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

/// A recording on tensors of its own, frozen for one backend.
struct Update {
    core::Backend& on;
    Workbench run{{}, {3}, 2, &on};
    core::Recording r{ops::table(), &run, "train"};
    Var like = r.input("x", {});

    explicit Update(const std::string& name) : on(backend(name)) {}
    Var make(const char* name, std::int64_t n, const Init& init) { return state(like, name, {n}, init); }
    Frozen freeze(std::vector<core::NamedNode> outputs, bool fuse = true) {
        return elbo::test::freeze(r, std::move(outputs), fuse, &on);
    }
    std::vector<Doubles> step(const Frozen& p) {
        const auto bound = on.bind(p, run.pointers(*p));
        std::vector<Doubles> out;
        for (const auto& v : outputs_of(*bound, {{}, {}})) out.emplace_back(v.begin(), v.end());
        return out;
    }
    /// One step.
    std::vector<Doubles> step(std::vector<core::NamedNode> outputs, bool fuse = true) {
        return step(freeze(std::move(outputs), fuse));
    }
};

} // namespace

TEST_CASE("updates: readers in the same step see the old value, the next step the new one") {
    for (const std::string name : {"dnnl", "reference"})
        for (bool fuse : {true, false}) {
            CAPTURE(name);
            CAPTURE(fuse);
            Update u(name);
            Var p = u.make("p", 700, Init::uniform(-1, 1)), q = u.make("q", 700, {});
            Var before = p * 2.0, total = sum_all(p * p), late = max_over(reshape(p, {7, 100}), {0}) * total;
            assign(p, p - 0.5 * p);
            assign(q, p + sum_all(exp(late)));
            const auto program = u.freeze({{"b", before.node}, {"t", total.node}, {"l", late.node}}, fuse);
            Doubles old = u.run.values("p");
            for (int step = 0; step < 2; ++step) {
                const auto got = u.step(program);
                double sum = 0;
                Doubles twice, half;
                for (double v : old) {
                    sum += v * v;
                    twice.push_back(2 * v);
                    half.push_back(0.5 * v);
                }
                CHECK(got[0] == twice);
                CHECK(got[1][0] == doctest::Approx(sum).epsilon(1e-6));
                CHECK(u.run.values("p") == half);
                old = half;
            }
        }
}

TEST_CASE("updates: an output that is a tensor itself shows the value before the update") {
    for (const std::string name : {"dnnl", "reference"})
        for (const Shape& dims : {Shape{5}, Shape{2, 256}}) {
            CAPTURE(name);
            Update u(name);
            Var p = state(u.like, "p", dims, Init::constant(3));
            assign(p, p + 1.0);
            const std::size_t n = std::size_t(Dims(dims).numel());
            CHECK(u.step({{"p", p.node}})[0] == Doubles(n, 3.0));
            CHECK(u.run.values("p") == Doubles(n, 4.0));
        }
}

TEST_CASE("updates: tensors can be exchanged, shifted along and copied in one step") {
    for (const std::string name : {"dnnl", "reference"})
        for (bool fuse : {true, false})
            for (bool with_reader : {false, true}) {
                CAPTURE(name);
                CAPTURE(fuse);
                CAPTURE(with_reader);
                Update u(name);
                auto make = [&](const char* tensor, double v) { return u.make(tensor, 600, Init::constant(v)); };
                Var a = make("a", 1), b = make("b", 2), c = make("c", 3), d = make("d", 4), e = make("e", 5);
                assign(a, b);
                assign(b, a);
                assign(c, d);
                assign(d, with_reader ? e + 0.0 * sum_all(c) : e);
                assign(e, 10 * c + a);
                std::vector<core::NamedNode> outputs;
                if (with_reader) outputs = {{"s", sum_all(square(a) + c).node}};
                Frozen program;
                REQUIRE_NOTHROW(program = u.freeze(outputs, fuse));
                u.step(program);
                CHECK(u.run.values("a") == Doubles(600, 2.0));
                CHECK(u.run.values("b") == Doubles(600, 1.0));
                CHECK(u.run.values("c") == Doubles(600, 4.0));
                CHECK(u.run.values("d") == Doubles(600, 5.0));
                CHECK(u.run.values("e") == Doubles(600, 31.0));
            }
}

TEST_CASE("updates: assignments that other held updates read do not leave an empty unit behind") {
    Update u("dnnl");
    Var a = u.make("a", 8, Init::constant(1)), b = u.make("b", 8, Init::constant(2)),
        c = u.make("c", 8, Init::constant(3));
    assign(a, b);
    assign(b, c);
    assign(c, a + 1.0);
    const auto program = u.freeze({{"s", max_over(exp(max_over(c, {0}, true)), {0}).node}});
    for (const auto& unit : program->units) CHECK(!unit.nodes.empty());
    u.step(program);
    CHECK(u.run.values("a") == Doubles(8, 2.0));
    CHECK(u.run.values("b") == Doubles(8, 3.0));
    CHECK(u.run.values("c") == Doubles(8, 2.0));
}

TEST_CASE("guard: when it is not finite nothing is assigned") {
    for (const std::string name : {"dnnl", "reference"})
        for (bool fuse : {true, false})
            for (double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
                Mlp mlp(5, 6, 7, backend(name));
                const auto p = mlp.freeze(fuse);
                const auto before = mlp.run.values("w1");
                auto bound = backend(name).bind(p, mlp.run.pointers(*p));
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

TEST_CASE("guard: one that is an input is looked at before anything is assigned") {
    for (const std::string name : {"dnnl", "reference"}) {
        CAPTURE(name);
        Update u(name);
        Var p = u.make("p", 4, Init::constant(3));
        assign(p, p + 1.0);
        core::FreezeRequest request;
        request.purpose = "train";
        request.assignments = u.r.assignments();
        request.guard = u.like.node;
        const Frozen program = core::freeze(u.r.tape, request, &u.on);
        const auto bound = u.on.bind(program, u.run.pointers(*program));
        float value = 1;
        const std::vector<const float*> inputs(program->inputs.size(), &value);
        CHECK(bound->run({inputs, {}}));
        CHECK(u.run.values("p") == Doubles(4, 4.0));
        value = std::numeric_limits<float>::infinity();
        CHECK_FALSE(bound->run({inputs, {}}));
        CHECK(u.run.values("p") == Doubles(4, 4.0));
    }
}

TEST_CASE("updates: an output that is a constant has its values, whoever else reads it") {
    for (const std::string name : {"dnnl", "reference"})
        for (bool fuse : {true, false}) {
            CAPTURE(name);
            CAPTURE(fuse);
            Update u(name);
            Var alone = constant(u.like, 2.5, {3}), read = constant(u.like, -1, {4});
            Var p = u.make("p", 4, Init::constant(3));
            assign(p, p * read);
            const auto got = u.step({{"alone", alone.node}, {"read", read.node}}, fuse);
            CHECK(got[0] == Doubles(3, 2.5));
            CHECK(got[1] == Doubles(4, -1.0));
            CHECK(u.run.values("p") == Doubles(4, -3.0));
        }
}

TEST_CASE("assign: a parameter, an input, another size, twice, or outside of training is refused with the line") {
    const auto refused = [](const char* purpose, auto record) {
        Workbench run;
        core::Recording r(ops::table(), &run, purpose);
        int line = 0;
        CHECK_THROWS_AS(record(r.input("x", {3}), line), Refused);
        const core::Error e = r.take_error("nothing was refused");
        CHECK(e.where() == std::string(__FILE__) + ":" + std::to_string(line));
        return std::string(e.what());
    };
    must_say(refused("train",
                     [](Var x, int& line) {
                         Var p = parameter(x, "p", {3});
                         line = __LINE__ + 1;
                         assign(p, x);
                     }),
             {"assign: 'p' is a parameter, which the optimizer updates", "make it with state()"});
    must_say(refused("train",
                     [](Var x, int& line) {
                         line = __LINE__ + 1;
                         assign(x, x);
                     }),
             {"assign: only a state can be assigned"});
    must_say(refused("train",
                     [](Var x, int& line) {
                         Var s = state(x, "s", {4});
                         line = __LINE__ + 1;
                         assign(s, x);
                     }),
             {"assign: shapes differ: [4], [3]"});
    must_say(refused("train",
                     [](Var x, int& line) {
                         Var s = state("s", x);
                         assign(s, x);
                         line = __LINE__ + 1;
                         assign(s, x);
                     }),
             {"assign: 's' is assigned twice in one step", "first at "});
    must_say(refused("evaluate",
                     [](Var x, int& line) {
                         Var s = state("s", x);
                         line = __LINE__ + 1;
                         assign(s, x);
                     }),
             {"assign: 's' may change in training only, this is the program 'evaluate'", "training(x)"});
}
