// What freezing promises: fused programs compute what unfused ones do, memory is shared only when nobody notices,
// updates are seen by the next step only, and it is quick.
#include <doctest/doctest.h>

#include <elbo/layers.hpp>

#include <chrono>
#include <cstring>
#include <limits>

#include "core/error.hpp"
#include "tests/ops/cases.hpp"

using namespace elbo;
using namespace elbo::cases;
using core::Place;
using core::Program;
using core::Runs;

namespace {

/// A run with tensors and no parts.
class Tensors : public core::Environment {
public:
    core::Part& part(const std::string& kind) override { throw core::Error(core::Exit::plugin, "no part " + kind); }
    std::vector<double> query(const std::string& key) override { throw core::Error(core::Exit::plugin, "no " + key); }
    core::TensorStore& tensors() override { return store; }
    core::TensorStore store{17};

    std::vector<float*> pointers(const Program& p) {
        std::vector<float*> out;
        for (const auto& t : p.tensors) out.push_back(store.find(t.name)->data.get());
        return out;
    }
    Doubles values(const std::string& name) {
        const auto* t = store.find(name);
        return {t->data.get(), t->data.get() + t->dims.numel()};
    }
};

void adam(Var parameter, Var g, const std::string& name, Var t) {
    Var m = state(name + ".m", parameter), v = state(name + ".v", parameter);
    Var m1 = 0.9 * m + 0.1 * g, v1 = 0.999 * v + 0.001 * square(g);
    Var fraction = m1 / (1 - exp(t * std::log(0.9)));
    assign(m, m1);
    assign(v, v1);
    assign(parameter, parameter - 1e-2 * fraction / (sqrt(v1 / (1 - exp(t * std::log(0.999)))) + 1e-8));
}

/// Two layers, Bernoulli's loss, its gradient and an update by Adam.
struct Mlp {
    Tensors run;
    core::Recording r{ops::table(), &run, "train"};
    core::FreezeRequest request;

    Mlp(std::int64_t batch, std::int64_t data, std::int64_t hidden) {
        Var x = r.input("x", {batch, data});
        Var w1 = parameter(x, "w1", {data, hidden}, Init::glorot()), b1 = parameter(x, "b1", {hidden});
        Var w2 = parameter(x, "w2", {hidden, data}, Init::glorot()), b2 = parameter(x, "b2", {data});
        Var h = relu(matmul(x + 0.1 * normal_like(x), w1) + b1);
        Var logits = matmul(h, w2) + b2;
        Var nll = sum_rows(softplus(logits) - x * logits);
        Var loss = mean_all(nll);
        const std::vector<Var> parameters{w1, b1, w2, b2};
        const auto gradients = gradient(loss, parameters);
        for (std::size_t i = 0; i < 4; ++i) adam(parameters[i], gradients[i], "p" + std::to_string(i), step(x));
        request.purpose = "train";
        request.outputs = {{"loss", loss.node}, {"nll", nll.node}};
        request.assignments = r.assignments;
        request.guard = loss.node;
    }
    std::shared_ptr<const Program> freeze(bool fuse = true) {
        request.fuse = fuse;
        return core::freeze(r.tape, request);
    }
};

std::vector<std::vector<float>> run_steps(Mlp& mlp, const std::string& executor, bool fuse, std::int64_t values, int steps) {
    const auto p = mlp.freeze(fuse);
    auto bound = ops::make_executor(executor, 1)->bind(p, mlp.run.pointers(*p));
    core::PhiloxSequence draw(3, 4);
    std::vector<std::vector<float>> out;
    for (int s = 1; s <= steps; ++s) {
        std::vector<float> x;
        for (std::int64_t i = 0; i < values; ++i) x.push_back(float(draw.below(2)));
        const float step = float(s);
        std::vector<const float*> inputs;
        for (const auto& in : p->inputs) inputs.push_back(in.name == "x" ? x.data() : &step);
        CHECK(bound->run({inputs, {1, std::uint64_t(s)}}));
        for (std::size_t i = 0; i < 2; ++i) out.emplace_back(bound->output(i).begin(), bound->output(i).end());
    }
    return out;
}

double difference(const std::vector<float>& a, const std::vector<float>& b) {
    double worst = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        worst = std::max(worst, std::fabs(double(a[i]) - b[i]) / std::max(1.0, std::fabs(double(a[i]))));
    return worst;
}

/// Value by value: the unit that makes it and the last one that reads it.
struct Lifetime {
    NodeId node;
    std::int64_t begin, end; ///< bytes
    int born, dies;
};

std::vector<Lifetime> lifetimes(const Program& p) {
    const auto unit = core::freezing::unit_of(p);
    std::vector<int> dies(p.nodes.size(), -1);
    for (std::size_t i = 0; i < p.nodes.size(); ++i)
        for (NodeId in : p.nodes[i].inputs) {
            int& last = dies[std::size_t(core::freezing::source(p, in))];
            if (unit[i] >= 0) last = std::max(last, unit[i]);
        }
    for (const auto& o : p.outputs) dies[std::size_t(core::freezing::source(p, o.node))] = int(p.units.size());
    if (p.guard >= 0) dies[std::size_t(core::freezing::source(p, p.guard))] = int(p.units.size());
    std::vector<Lifetime> out;
    for (std::size_t i = 0; i < p.nodes.size(); ++i) {
        const Place& place = p.places[i];
        if (place.in != Place::In::slab || p.nodes[i].op->runs == Runs::view || p.nodes[i].dims.numel() == 0) continue;
        out.push_back({NodeId(i), place.at, place.at + 4 * p.nodes[i].dims.numel(), unit[i], std::max(dies[i], unit[i])});
    }
    return out;
}

/// b takes a's place while one group reads a tile and writes it back.
bool overwrites(const Program& p, const Lifetime& a, const Lifetime& b) {
    const core::Unit& u = p.units[std::size_t(b.born)];
    if (u.kind != core::Unit::Kind::group || a.dies != b.born || a.born == b.born || a.begin != b.begin) return false;
    if (!(p.node(a.node).dims == u.space) || !(p.node(b.node).dims == u.space)) return false;
    return p.node(b.node).op->runs == Runs::elementwise;
}

void check_plan(const Program& p) {
    const auto all = lifetimes(p);
    for (const Lifetime& a : all) {
        REQUIRE(a.born >= 0);
        CHECK(a.begin % 64 == 0);
        CHECK(a.end <= p.slab_bytes);
    }
    for (std::size_t i = 0; i < all.size(); ++i)
        for (std::size_t k = i + 1; k < all.size(); ++k) {
            const Lifetime &a = all[i], &b = all[k];
            if (a.end <= b.begin || b.end <= a.begin || a.dies < b.born || b.dies < a.born) continue;
            INFO("nodes " << a.node << " and " << b.node << " share bytes");
            CHECK((overwrites(p, a, b) || overwrites(p, b, a)));
        }
    const auto unit = core::freezing::unit_of(p);
    for (std::size_t i = 0; i < p.nodes.size(); ++i) {
        if (p.nodes[i].op->runs == Runs::view) CHECK(p.places[i] == p.place(core::freezing::source(p, NodeId(i))));
        for (NodeId in : p.nodes[i].inputs) {
            const int made = unit[std::size_t(core::freezing::source(p, in))];
            if (unit[i] >= 0) CHECK(made <= unit[i]);
            if (unit[i] >= 0 && made >= 0 && made != unit[i] && p.node(in).dims.numel() > 0)
                CHECK(p.place(in).in == Place::In::slab);
        }
        if (p.nodes[i].op->runs != Runs::assign) continue;
        for (std::size_t k = 0; k < p.nodes.size(); ++k)  // every other reader of the tensor runs before its update
            for (NodeId in : p.nodes[k].inputs)
                if (core::freezing::source(p, in) == p.nodes[i].inputs[0] && unit[k] >= 0) CHECK(unit[k] <= unit[i]);
    }
}

/// Runs a program once on its own tensors; the outputs.
std::vector<Doubles> run_once(const std::shared_ptr<const Program>& p, Tensors& run, const std::string& executor = "dnnl") {
    auto bound = ops::make_executor(executor, 1)->bind(p, run.pointers(*p));
    CHECK(bound->run({{}, {}}));
    std::vector<Doubles> out;
    for (std::size_t i = 0; i < p->outputs.size(); ++i) out.emplace_back(bound->output(i).begin(), bound->output(i).end());
    return out;
}

double seconds(int ops) {
    double best = 1e9;
    for (int attempt = 0; attempt < 2; ++attempt) {
        const auto start = std::chrono::steady_clock::now();
        core::Recording r(ops::table(), nullptr, "test");
        Var x = r.input("x", {16, 8}), y = x;
        for (int i = 0; i < ops / 4; ++i) y = tanh(y * 1.01 + x) + sum_keep(y, {1});
        Var d = gradient(sum_all(y), {x})[0];
        const auto p = core::freeze(r.tape, {.purpose = "test", .outputs = {{"d", d.node}}, .assignments = {}});
        CHECK(!p->units.empty());
        best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return best;
}

}  // namespace

TEST_CASE("mlp with adam: fused equals unfused to 1e-6 and the reference to 1e-4 over three steps") {
    const std::int64_t batch = 33, data = 45, hidden = 70;
    Mlp fused(batch, data, hidden), unfused(batch, data, hidden), slow(batch, data, hidden);
    const auto a = run_steps(fused, "dnnl", true, batch * data, 3), b = run_steps(unfused, "dnnl", false, batch * data, 3);
    const auto c = run_steps(slow, "reference", true, batch * data, 3);
    CHECK(a[0][0] > a[4][0]);
    for (std::size_t i = 0; i < a.size(); ++i) {
        CHECK(difference(a[i], b[i]) <= 1e-6);
        CHECK(difference(a[i], c[i]) <= 1e-4);
    }
    CHECK(fused.run.store.all().size() == 12);
    Mlp untouched(batch, data, hidden);
    for (const auto& t : fused.run.store.all()) {
        CAPTURE(t->name);
        auto floats = [&](Tensors& run) {
            const float* at = run.store.find(t->name)->data.get();
            return std::vector<float>(at, at + t->dims.numel());
        };
        CHECK(difference(floats(fused.run), floats(unfused.run)) <= 1e-6);
        CHECK(difference(floats(fused.run), floats(slow.run)) <= 1e-4);
        CHECK(floats(fused.run) != floats(untouched.run));
    }
}

TEST_CASE("memory plan: values that live at once share no bytes, in fused and unfused programs of any op") {
    for (bool fuse : {true, false}) {
        check_plan(*Mlp(33, 45, 70).freeze(fuse));
        for (const core::Op* op : ops::table().all())
            for (const Case& c : cases_of(*op)) {
                INFO(label(*op, c));
                Graph g(*op, c);
                check_plan(*g.freeze(g.gradient(g.scalar, g.x), fuse));
            }
    }
}

TEST_CASE("memory plan: the slab of an mlp is at most 1.1 of what is alive at once") {
    for (auto [batch, data, hidden] : {std::array{128, 784, 400}, std::array{33, 45, 70}, std::array{64, 784, 1000}}) {
        const auto p = Mlp(batch, data, hidden).freeze();
        CAPTURE(p->slab_bytes);
        CHECK(p->live_bytes > 0);
        CHECK(double(p->slab_bytes) <= 1.1 * double(p->live_bytes));
        CHECK(p->slab_bytes <= Mlp(batch, data, hidden).freeze(false)->slab_bytes);
    }
}

TEST_CASE("fusion: product, bias and activation become one unit; elementwise chains and row sums another") {
    for (const core::Op* op : ops::table().all()) {
        if (!op->epilogue) continue;
        core::Recording r(ops::table(), nullptr, "test");
        Var h = matmul(r.input("x", {8, 5}), r.input("w", {5, 7})) + r.input("b", {7});
        const NodeId y = r.emit(std::string(op->name).c_str(), std::vector<NodeId>{h.node}, {}, {nullptr, 0});
        const auto p = core::freeze(r.tape, {.purpose = "test", .outputs = {{"y", y}}, .assignments = {}});
        CHECK(p->units.size() == 1);
        CHECK(p->units[0].kind == core::Unit::Kind::matmul);
        CHECK(p->units[0].nodes.size() == 3);
    }
    core::Recording r(ops::table(), nullptr, "test");
    Var x = r.input("x", {8, 5}), t = r.input("t", {8, 5});
    Var nll = sum_rows(softplus(x) - t * x), kl = sum_rows(square(exp(x) - 1) * 0.5);
    const std::vector<core::NamedNode> outputs{{"y", (nll + kl).node}};
    const auto p = core::freeze(r.tape, {.purpose = "test", .outputs = outputs, .assignments = {}});
    CHECK(p->units.size() == 2);
    CHECK(p->units[0].nodes.size() >= 8);
    CHECK(p->slab_bytes <= 3 * 64);
    CHECK(core::freeze(r.tape, {.purpose = "test", .outputs = outputs, .assignments = {}, .fuse = false})->units.size() >= 9);
}

TEST_CASE("freezing: equal nodes merge, constants fold, what nobody needs is gone") {
    core::Recording r(ops::table(), nullptr, "test");
    Var x = r.input("x", {4}), unused = r.input("unused", {4});
    Var y = exp(x) + exp(x), three = constant(x, 1.0) + 2.0;
    log(unused);
    const std::vector<core::NamedNode> outputs{{"y", (y * three * 1.0 + 0.0).node}};
    const auto p = core::freeze(r.tape, {.purpose = "test", .outputs = outputs, .assignments = {}});
    CHECK(p->inputs.size() == 1);
    CHECK(p->nodes.size() == 5);  // x, exp, add, 3, mul
    CHECK(in_f32(p, {{"x", {0, 0, 0, 0}}})[0] == std::vector<float>(4, 6.f));
}

TEST_CASE("updates: readers in the same step see the old value, the next step the new one") {
    for (const std::string executor : {"dnnl", "reference"})
        for (bool fuse : {true, false}) {
            CAPTURE(executor);
            CAPTURE(fuse);
            Tensors run;
            core::Recording r(ops::table(), &run, "train");
            Var like = r.input("x", {});
            Var p = parameter(like, "p", {700}, Init::uniform(-1, 1)), q = parameter(like, "q", {700}, Init::uniform(-1, 1));
            Var before = p * 2.0, total = sum_all(p * p), late = max_over(reshape(p, {7, 100}), {0}) * total;
            assign(p, p - 0.5 * p);
            assign(q, p + sum_all(exp(late)));
            const std::vector<core::NamedNode> outputs{{"b", before.node}, {"t", total.node}, {"l", late.node}};
            const auto program = core::freeze(r.tape, {.purpose = "train", .outputs = outputs,
                                                       .assignments = r.assignments, .fuse = fuse});
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
        const auto program = core::freeze(r.tape, {.purpose = "train", .outputs = {{"p", p.node}}, .assignments = r.assignments});
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
                core::FreezeRequest request{.purpose = "train", .outputs = {}, .assignments = r.assignments, .fuse = fuse};
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

TEST_CASE("threads: row sums in a fused group have the same bits for 1 and 2 threads") {
    const struct {
        Dims x, b;
        Shape axes;
    } all[] = {{{401, 300}, {300}, {1}},       {{401, 3, 100}, {3, 1}, {1, 2}}, {{61, 7, 300}, {7, 1}, {1, 2}},
               {{5001, 17}, {17}, {1}},        {{301, 5, 100}, {5, 1}, {2}},    {{40000, 3}, {}, {1}},
               {{77, 1000}, {77, 1}, {1}},     {{301, 7, 100}, {301, 1, 100}, {1, 2}},
               {{401, 2, 3, 50}, {2, 1, 50}, {1, 2, 3}}};
    for (const auto& one : all) {
        CAPTURE(one.x.text());
        core::Recording r(ops::table(), nullptr, "test");
        Var y = exp(r.input("x", one.x)) * 1.5 + r.input("b", one.b);
        const std::vector<core::NamedNode> outputs{{"s", sum(y * y, one.axes).node}, {"y", y.node}};
        const auto p = core::freeze(r.tape, {.purpose = "test", .outputs = outputs, .assignments = {}});
        CHECK(p->units.size() == 1);
        core::PhiloxSequence draw(1, 1);
        std::map<std::string, Doubles> values;
        for (const auto& in : p->inputs)
            for (std::int64_t i = 0; i < in.dims.numel(); ++i) values[in.name].push_back(double(float(draw.normal())));
        CHECK(in_f32(p, values, {}, 1) == in_f32(p, values, {}, 2));
    }
}

TEST_CASE("freezing: time grows with the number of ops, not with its square") {
    const double small = seconds(4000), large = seconds(8000);
    CAPTURE(small);
    CAPTURE(large);
    CHECK(small < 2);
    CHECK(large < 3 * small + 0.05);
}
