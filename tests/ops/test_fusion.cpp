// What freezing promises: fused programs compute what unfused ones do, memory is shared only when nobody notices, and
// it is quick.
#include <doctest/doctest.h>

#include <chrono>

#include "tests/bench/cases.hpp"

using namespace elbo;
using namespace elbo::test;
using core::Place;
using core::Program;
using core::Runs;

namespace {

std::vector<std::vector<float>> run_steps(Mlp& mlp, const std::string& executor, bool fuse, std::int64_t values,
                                          int steps) {
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
        const std::int64_t end = place.at + 4 * p.nodes[i].dims.numel();
        out.push_back({NodeId(i), place.at, end, unit[i], std::max(dies[i], unit[i])});
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
        for (std::size_t k = 0; k < p.nodes.size(); ++k) // every other reader of the tensor runs before its update
            for (NodeId in : p.nodes[k].inputs)
                if (core::freezing::source(p, in) == p.nodes[i].inputs[0] && unit[k] >= 0) CHECK(unit[k] <= unit[i]);
    }
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

} // namespace

TEST_CASE("mlp with adam: fused equals unfused to 1e-6 and the reference to 1e-4 over three steps") {
    const std::int64_t batch = 33, data = 45, hidden = 70;
    Mlp fused(batch, data, hidden), unfused(batch, data, hidden), slow(batch, data, hidden);
    const auto a = run_steps(fused, "dnnl", true, batch * data, 3);
    const auto b = run_steps(unfused, "dnnl", false, batch * data, 3);
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
    const core::FreezeRequest unfused{.purpose = "test", .outputs = outputs, .assignments = {}, .fuse = false};
    CHECK(core::freeze(r.tape, unfused)->units.size() >= 9);
}

TEST_CASE("freezing: equal nodes merge, constants fold, what nobody needs is gone") {
    core::Recording r(ops::table(), nullptr, "test");
    Var x = r.input("x", {4}), unused = r.input("unused", {4});
    Var y = exp(x) + exp(x), three = constant(x, 1.0) + 2.0;
    log(unused);
    const std::vector<core::NamedNode> outputs{{"y", (y * three * 1.0 + 0.0).node}};
    const auto p = core::freeze(r.tape, {.purpose = "test", .outputs = outputs, .assignments = {}});
    CHECK(p->inputs.size() == 1);
    CHECK(p->nodes.size() == 5); // x, exp, add, 3, mul
    CHECK(in_f32(p, {{"x", {0, 0, 0, 0}}})[0] == std::vector<float>(4, 6.f));
}

TEST_CASE("threads: row sums in a fused group have the same bits for 1 and 2 threads") {
    const struct {
        Dims x, b;
        Shape axes;
    } all[] = {
        {{401, 300}, {300}, {1}},   {{403, 3, 100}, {3, 1}, {1, 2}},        {{61, 7, 300}, {7, 1}, {1, 2}},
        {{5001, 17}, {17}, {1}},    {{301, 5, 100}, {5, 1}, {2}},           {{40000, 3}, {}, {1}},
        {{77, 1000}, {77, 1}, {1}}, {{301, 7, 100}, {301, 1, 100}, {1, 2}}, {{403, 2, 3, 50}, {2, 1, 50}, {1, 2, 3}}};
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

// By the clock, so not among the fast ones: four times the ops would take sixteen times as long were it quadratic.
TEST_CASE("slow: freezing: time grows with the number of ops, not with its square") {
    const double small = seconds(4000), large = seconds(16000);
    CAPTURE(small);
    CAPTURE(large);
    CHECK(large < 8 * small + 0.1);
}

TEST_CASE("fusion: an update by Adam is one unit per parameter") {
    const auto p = Mlp(33, 45, 70).freeze();
    int updates = 0;
    for (const auto& u : p->units) {
        const auto assigns = std::count_if(u.nodes.begin(), u.nodes.end(),
                                           [&](NodeId id) { return p->node(id).op->runs == Runs::assign; });
        CHECK((assigns == 0 || assigns == 3));
        updates += assigns > 0;
    }
    CHECK(updates == 4);
}
