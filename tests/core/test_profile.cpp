// What a profile is made of: units that tell when they ran, why they are apart, medians over steps, and the trace.
#include "core/run/profile.hpp"

#include <nlohmann/json.hpp>

#include "core/graph/seams.hpp"
#include "tests/bench/cases.hpp"
#include "tests/bench/grid.hpp"
#include "tests/bench/trace.hpp"

using namespace elbo;
using namespace elbo::test;
using core::Profile;
using core::Program;
using core::Seam;
using core::Unit;

namespace {

struct Heard : core::UnitWatcher {
    struct One {
        std::size_t number;
        double began, ended;
    };
    std::vector<One> all;
    void unit(std::size_t number, double began, double ended) override { all.push_back({number, began, ended}); }
};

/// An Mlp's training program, bound, with its inputs.
struct Running {
    Mlp mlp;
    Frozen program;
    std::unique_ptr<core::Bound> bound;
    std::vector<std::vector<float>> given;
    std::vector<const float*> inputs;

    explicit Running(const std::string& name) : mlp(12, 30, 40, backend(name)), program(mlp.freeze()) {
        bound = backend(name).bind(program, mlp.run.pointers(*program));
        for (const auto& in : program->inputs)
            given.push_back(in.name == "x" ? floats(uniforms(std::size_t(in.dims.numel()), 3)) : std::vector{1.0f});
        for (const auto& v : given) inputs.push_back(v.data());
    }
    std::vector<std::vector<float>> run() { return outputs_of(*bound, {inputs, {5, 1}}); }
};

const core::Roofline kMachine{1e9, 1e8, 1e9, 1000};

/// Lets `steps` steps pass in which unit u takes u + 1 milliseconds and the batch comes after half of one; a
/// millisecond of each step is outside of units.
void let_pass(Profile& profile, std::size_t units, int steps, double slower = 1, std::size_t left_out = 0) {
    static double now = 0;
    for (int s = 0; s < steps; ++s) {
        const double asked = now;
        now += 0.5e-3;
        profile.begin(asked, now);
        for (std::size_t u = 0; u + left_out < units; ++u) {
            const double began = now;
            now += slower * 1e-3 * double(u + 1);
            profile.unit(u, began, now);
        }
        now += 1e-3;
        profile.end(now);
    }
}

/// Why the unit that makes `reader` is not that which makes `value`; "" where they are one or do not touch.
std::string why(const Program& p, const std::string& maker, const std::string& reader) {
    auto has = [&](int u, const std::string& op) {
        const auto& nodes = p.units[std::size_t(u)].nodes;
        return std::any_of(nodes.begin(), nodes.end(), [&](NodeId id) { return p.node(id).op->name == op; });
    };
    for (const Seam& s : core::seams(p))
        if (has(s.maker, maker) && has(s.reader, reader)) return s.why;
    return "";
}

std::string why_in(const std::function<std::vector<core::NamedNode>(core::Recording&, Var)>& write,
                   const std::string& maker, const std::string& reader) {
    Workbench bench({}, {3}, 2, &backend("dnnl"));
    core::Recording r(ops::table(), &bench, "train", 8);
    const auto outputs = write(r, r.input("x", {8, 30}));
    return why(*freeze(r, outputs), maker, reader);
}

} // namespace

TEST_CASE("profile: both backends tell of each unit once, in order, and give the bits they give unwatched") {
    for (const std::string name : {"dnnl", "reference"}) {
        CAPTURE(name);
        Running watched(name), alone(name);
        Heard heard;
        watched.bound->watch(&heard);
        CHECK(watched.run() == alone.run());
        REQUIRE(heard.all.size() == watched.program->units.size());
        for (std::size_t u = 0; u < heard.all.size(); ++u) {
            CHECK(heard.all[u].number == u);
            CHECK(heard.all[u].began <= heard.all[u].ended);
            if (u > 0) CHECK(heard.all[u - 1].ended <= heard.all[u].began);
        }
        watched.bound->watch(nullptr);
        CHECK(watched.run() == alone.run());
        CHECK(heard.all.size() == watched.program->units.size());
    }
}

TEST_CASE("profile: why two units are not one") {
    using Nodes = std::vector<core::NamedNode>;
    CHECK(why_in(
              [](core::Recording&, Var x) {
                  return Nodes{{"y", matmul(exp(x), parameter(x, "w", {30, 20})).node}};
              },
              "exp", "matmul") == "matmul ends the group");
    CHECK(why_in(
              [](core::Recording&, Var x) {
                  Var h = matmul(x, parameter(x, "w", {30, 20}));
                  return Nodes{{"y", sum_rows(exp(h)).node}, {"z", matmul(h, parameter(x, "v", {20, 5})).node}};
              },
              "matmul", "exp") == "it is read by 2 units");
    CHECK(why_in(
              [](core::Recording&, Var x) {
                  Var h = matmul(x, parameter(x, "w", {30, 20}));
                  return Nodes{{"h", h.node}, {"y", exp(h).node}};
              },
              "matmul", "exp") == "it is an output");
    CHECK(why_in(
              [](core::Recording&, Var x) {
                  return Nodes{{"y", exp(matmul(x, parameter(x, "w", {30, 20}))).node}};
              },
              "matmul", "exp") == "the backend takes no exp after matmul");
    CHECK(why_in(
              [](core::Recording&, Var x) {
                  return Nodes{{"y", exp(sum_rows(sin(x))).node}};
              },
              "sum", "exp") == "a sum ends the group");
    CHECK(why_in(
              [](core::Recording& r, Var x) {
                  return Nodes{{"y", (sin(r.input("b", {30})) * x).node}};
              },
              "sin", "mul") == "sizes differ: [30] and [8, 30]");
    CHECK(why_in(
              [](core::Recording&, Var x) {
                  return Nodes{{"y", exp(cumsum(sin(x), 0)).node}};
              },
              "cumsum", "exp") == "cumsum runs alone");
    CHECK(why_in(
              [](core::Recording&, Var x) {
                  return Nodes{{"y", exp(reshape(sin(x), {30, 8})).node}};
              },
              "sin", "exp") == "it is read through reshape");
    CHECK(why_in(
              [](core::Recording&, Var x) {
                  for (int i = 0; i < 60; ++i) x = sin(x);
                  return Nodes{{"y", exp(x).node}};
              },
              "sin", "exp") == "the group is full");
}

TEST_CASE("profile: an update waits for the guard, and units that were one are not told of") {
    Mlp mlp(12, 30, 40);
    const auto p = mlp.freeze();
    const auto seams = core::seams(*p);
    int waiting = 0;
    for (const Seam& s : seams) {
        const Unit& reader = p->units[std::size_t(s.reader)];
        waiting += s.why == "it waits for the guard" && p->runs(reader.nodes.back()) == Runs::assign;
    }
    CHECK(waiting > 0);
    const auto notes = core::why_apart(*p);
    REQUIRE(notes.size() == p->units.size());
    for (const std::string& note : notes) CHECK(note.starts_with("with "));
}

TEST_CASE("profile: every seam of every model names two units that touch, in the order they run, and a reason") {
    for (const std::string& model : plugins().names("model")) {
        if (model == "density") continue; // of rows that are codes, and these are wider
        auto session = session_of(sparse_grid(model, 64).front(), {8, 8, 1}, "dnnl", 0.9);
        CAPTURE(model);
        const core::Recorded made = session->record("train", 16);
        const auto p = core::freeze(made.recording->tape, made.request, &backend("dnnl"));
        const auto unit = core::freezing::unit_of(*p);
        for (const Seam& s : core::seams(*p)) {
            CHECK(s.maker < s.reader);
            NodeId shown = s.value;
            while (p->runs(shown) == Runs::view) shown = p->node(shown).inputs[0];
            const int own = unit[shown]; // of a part it is whoever made the whole
            CHECK((own >= 0 ? own : unit[core::freezing::source(*p, shown)]) == s.maker);
            const auto reads = core::freezing::reads(*p, p->units[std::size_t(s.reader)]);
            CHECK(std::count(reads.begin(), reads.end(), s.value) == 1);
            CHECK(s.why.size() > 5);
        }
    }
}

TEST_CASE("profile: medians over whole steps, shares of the step, and the roofline") {
    const auto p = Mlp(12, 30, 40).freeze();
    const std::size_t n = p->units.size();
    Profile profile(p, 40);
    let_pass(profile, n, 5, 50);   // warm-up
    let_pass(profile, n, 3, 7, 1); // the guard was not finite: the last unit did not run
    CHECK(profile.steps() == 5);
    let_pass(profile, n, 50);
    CHECK(profile.full());
    CHECK(profile.steps() == 40);
    const core::Figures f = profile.figures(kMachine);
    CHECK(f.steps == 35);
    const double units = 1e-3 * double(n * (n + 1)) / 2;
    CHECK(f.units == doctest::Approx(units));
    CHECK(f.step == doctest::Approx(units + 1e-3));
    CHECK(f.outside == doctest::Approx(1e-3));
    CHECK(f.waited == doctest::Approx(0.5e-3));
    REQUIRE(f.all.size() == n);
    for (std::size_t u = 0; u < n; ++u) {
        const core::UnitFigures& one = f.all[u];
        CHECK(one.seconds == doctest::Approx(1e-3 * double(u + 1)));
        CHECK(one.share == doctest::Approx(one.seconds / f.step));
        CHECK(one.flops == p->flops(p->units[u]));
        CHECK(one.fraction ==
              doctest::Approx(std::max(one.flops / 1e9, one.bytes / (one.bytes <= 1000 ? 1e9 : 1e8)) / one.seconds));
    }
    CHECK(f.by_time().front().number == n - 1);
}

TEST_CASE("profile: the trace is JSON whose events follow each other on every thread") {
    const auto p = Mlp(12, 30, 40).freeze();
    Profile profile(p, 10);
    let_pass(profile, p->units.size(), 7);
    const Trace trace(profile.trace());
    CHECK(trace.threads == std::map<int, std::string>{{1, "steps"}, {2, "units"}, {3, "waiting for data"}});
    CHECK(trace.events.at("steps").size() == 7);
    CHECK(trace.events.at("units").size() == 7 * p->units.size());
    CHECK(trace.events.at("waiting for data").size() == 7);
    const nlohmann::json& first = trace.events.at("units").at(0);
    CHECK(first["dur"].get<double>() == doctest::Approx(1000));
    CHECK(first["args"]["flops"] == p->flops(p->units[0]));
    CHECK(first["args"]["bytes"] == p->bytes(p->units[0]));
    CHECK(first["args"]["label"] == core::unit_text(*p, p->units[0]));
}
