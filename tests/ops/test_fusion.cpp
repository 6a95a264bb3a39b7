// What freezing promises: fused programs compute what unfused ones do, memory is shared only when nobody notices, and
// it is quick.
#include <doctest/doctest.h>

#include <chrono>

#include "tests/bench/cases.hpp"

using namespace elbo;
using namespace elbo::test;
using core::Place;
using core::Program;

namespace {

std::vector<std::vector<float>> run_steps(Mlp& mlp, const std::string& on, bool fuse, std::int64_t values, int steps) {
    const auto p = mlp.freeze(fuse);
    auto bound = backend(on).bind(p, mlp.run.pointers(*p));
    core::PhiloxSequence draw(3, 4);
    std::vector<std::vector<float>> out;
    for (int s = 1; s <= steps; ++s) {
        std::vector<float> x;
        for (std::int64_t i = 0; i < values; ++i) x.push_back(float(draw.below(2)));
        const float step = float(s);
        std::vector<const float*> inputs;
        for (const auto& in : p->inputs) inputs.push_back(in.name == "x" ? x.data() : &step);
        for (auto& v : outputs_of(*bound, {inputs, {1, std::uint64_t(s)}})) out.push_back(std::move(v));
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
    core::PerNode<int> dies(p.nodes.size(), -1);
    auto until = [&](NodeId id, int u) {
        int& last = dies[core::freezing::source(p, id)];
        last = std::max(last, u);
    };
    for (std::size_t u = 0; u < p.units.size(); ++u)
        for (NodeId in : core::freezing::reads(p, p.units[u])) until(in, int(u));
    for (const auto& o : p.outputs) until(o.node, int(p.units.size()));
    if (p.guard >= 0) until(p.guard, int(p.units.size()));
    core::PerNode<int> born = unit; // what is joined is there when the first of its parts is
    for (const auto& [id, window] : p.windows)
        if (unit[id] >= 0) {
            int& first = born[core::freezing::source(p, id)];
            first = first < 0 ? unit[id] : std::min(first, unit[id]);
        }
    std::vector<Lifetime> out;
    for (NodeId id = 0; std::size_t(id) < p.nodes.size(); ++id) {
        const Place& place = p.place(id);
        if (place.in != Place::In::slab || p.runs(id) == Runs::view || p.dims(id).numel() == 0) continue;
        if (p.windows.contains(id)) continue; // tests/bench/checker.hpp looks at these
        const std::int64_t end = place.at + p.layout(id).bytes(p.dims(id));
        out.push_back({id, place.at, end, born[id], std::max(dies[id], born[id])});
    }
    for (std::size_t u = 0; u < p.units.size(); ++u) // what a unit needs while it runs
        if (const core::Unit& one = p.units[u]; one.scratch_bytes > 0)
            out.push_back({-1, one.scratch_at, one.scratch_at + one.scratch_bytes, int(u), int(u)});
    return out;
}

/// b takes a's place while one group reads a tile and writes it back.
bool overwrites(const Program& p, const Lifetime& a, const Lifetime& b) {
    const core::Unit& u = p.units[std::size_t(b.born)];
    if (u.kind != core::Unit::Kind::group || a.dies != b.born || a.born == b.born || a.begin != b.begin) return false;
    if (a.node < 0 || b.node < 0) return false;
    if (!(p.dims(a.node) == u.space) || !(p.dims(b.node) == u.space)) return false;
    return p.runs(b.node) == Runs::elementwise && p.layout(a.node) == p.layout(b.node);
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
    for (NodeId id = 0; std::size_t(id) < p.nodes.size(); ++id) {
        if (p.runs(id) == Runs::view) CHECK(p.place(id) == p.place(p.node(id).inputs[0]));
        for (NodeId in : p.node(id).inputs) {
            const int made = unit[core::freezing::source(p, in)];
            if (unit[id] >= 0) CHECK(made <= unit[id]);
            if (unit[id] >= 0 && made >= 0 && made != unit[id] && p.dims(in).numel() > 0)
                CHECK(p.place(in).in == Place::In::slab);
        }
        if (p.runs(id) != Runs::assign) continue;
        for (std::size_t u = 0; u < p.units.size(); ++u) // every other reader of the tensor runs before its update
            for (NodeId in : core::freezing::reads(p, p.units[u]))
                if (core::freezing::source(p, in) == p.node(id).inputs[0]) CHECK(int(u) <= unit[id]);
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
        const auto p = freeze(r, {{"d", d.node}});
        CHECK(!p->units.empty());
        best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    return best;
}

} // namespace

TEST_CASE("mlp with adam: fused equals unfused to 1e-6 and the reference to 1e-4 over three steps") {
    const std::int64_t batch = 33, data = 45, hidden = 70;
    Mlp fused(batch, data, hidden), unfused(batch, data, hidden), slow(batch, data, hidden, backend("reference"));
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
        auto now = [&](Mlp& mlp) { return mlp.run.store.find(t->name)->values(); };
        CHECK(difference(now(fused), now(unfused)) <= 1e-6);
        CHECK(difference(now(fused), now(slow)) <= 1e-4);
        CHECK(now(fused) != now(untouched));
    }
}

TEST_CASE("memory plan: values that live at once share no bytes, in fused and unfused programs of any op") {
    for (bool fuse : {true, false}) {
        check_plan(*Mlp(33, 45, 70).freeze(fuse));
        check_plan(*Mlp(20, 256, 512).freeze(fuse));
        for (const Op* op : tried_ops())
            for (const OpCase& c : cases_of(*op)) {
                INFO(label(*op, c));
                Graph g(*op, c);
                check_plan(*g.freeze(g.r.gradient(g.scalar, g.x), fuse));
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

TEST_CASE("claims: product, bias and activation become one unit, by that name") {
    for (const std::string activation : {"relu", "tanh", "sigmoid"}) {
        core::Recording r(ops::table(), nullptr, "test");
        Var b = r.input("b", {7});
        Var h = matmul(r.input("x", {8, 5}), r.input("w", {5, 7})) + b;
        const NodeId y = r.emit(activation, std::array{h.node}, {}, {nullptr, 0});
        const auto p = freeze(r, {{"y", y}});
        CHECK(p->units.size() == 1);
        CHECK(p->units[0].kind == core::Unit::Kind::claim);
        CHECK(p->units[0].label == "matmul + bias + " + activation);
        CHECK(p->units[0].nodes.size() == 3);
        const auto apart = freeze(r, {{"y", y}}, false);
        CHECK(apart->units.size() == 3);
        const auto unclaimed = freeze(r, {{"y", y}}, true, nullptr);
        CHECK(unclaimed->units[0].kind == core::Unit::Kind::kernel);
        for (const auto& u : unclaimed->units) CHECK(u.kind != core::Unit::Kind::claim);
    }
}

TEST_CASE("claims: a product that something else reads too keeps its bias, or its activation, outside") {
    core::Recording r(ops::table(), nullptr, "test");
    Var b = r.input("b", {7}); // a claim takes a bias that stands before its product
    Var product = matmul(r.input("x", {8, 5}), r.input("w", {5, 7}));
    Var h = product + b;
    Values values;
    for (const auto& [name, n] : {std::pair{"x", 40u}, {"w", 35u}, {"b", 7u}}) values[name] = uniforms(n, n, -1, 1);
    for (const std::vector<core::NamedNode>& outputs :
         {std::vector<core::NamedNode>{{"y", relu(h).node}, {"h", h.node}},
          std::vector<core::NamedNode>{{"y", relu(h).node}, {"p", product.node}}}) {
        const auto p = freeze(r, outputs);
        CHECK(p->units[0].kind == core::Unit::Kind::claim);
        CHECK(p->units[0].label == (outputs[1].name == "h" ? "matmul + bias" : "matmul"));
        const auto want = in_f64(*p, values);
        const auto got = in_f32(p, values);
        for (std::size_t o = 0; o < 2; ++o) check_equal({got[o].begin(), got[o].end()}, want[o], 1e-6);
    }
}

TEST_CASE("layouts: rows 1 KiB apart are kept further apart, in memory and in tensors, with the same values") {
    Mlp wide(20, 256, 512), slow(20, 256, 512, backend("reference"));
    const auto p = wide.freeze();
    const auto apart = [&](NodeId id) { return p->layout(id).row_stride > 0; };
    int values = 0;
    for (NodeId id = 0; std::size_t(id) < p->nodes.size(); ++id) values += p->runs(id) != Runs::tensor && apart(id);
    CHECK(values > 0);
    CHECK(wide.run.store.find("w1")->row_stride == 528);
    CHECK(wide.run.store.find("w2")->row_stride == 272);
    CHECK(wide.run.store.find("b1")->row_stride == 0);
    CHECK(slow.run.store.find("w1")->row_stride == 0);
    const auto a = run_steps(wide, "dnnl", true, 20 * 256, 2), b = run_steps(slow, "reference", true, 20 * 256, 2);
    for (std::size_t i = 0; i < a.size(); ++i) CHECK(difference(a[i], b[i]) <= 1e-4);
    for (const char* name : {"w1", "w2", "p0.m", "p2.v"})
        CHECK(difference(wide.run.store.find(name)->values(), slow.run.store.find(name)->values()) <= 1e-4);
}

TEST_CASE("fusion: elementwise chains and row sums become one unit") {
    core::Recording r(ops::table(), nullptr, "test");
    Var x = r.input("x", {8, 5}), t = r.input("t", {8, 5});
    Var nll = sum_rows(softplus(x) - t * x), kl = sum_rows(square(exp(x) - 1) * 0.5);
    const std::vector<core::NamedNode> outputs{{"y", (nll + kl).node}};
    const auto p = freeze(r, outputs);
    CHECK(p->units.size() == 2);
    CHECK(p->units[0].nodes.size() >= 8);
    CHECK(p->slab_bytes <= 3 * 64);
    CHECK(freeze(r, outputs, false)->units.size() >= 9);
}

TEST_CASE("freezing: equal nodes merge, constants fold, what nobody needs is gone") {
    core::Recording r(ops::table(), nullptr, "test");
    Var x = r.input("x", {4}), unused = r.input("unused", {4});
    Var y = exp(x) + exp(x), three = constant(x, 1.0) + 2.0;
    log(unused);
    const auto p = freeze(r, {{"y", (y * three * 1.0 + 0.0).node}});
    CHECK(p->inputs.size() == 1);
    CHECK(p->nodes.size() == 5); // x, exp, add, 3, mul
    CHECK(in_f32(p, {{"x", {0, 0, 0, 0}}})[0] == std::vector<float>(4, 6.f));
}

TEST_CASE("threads: row sums in a fused group have the same bits for 1 and 2 threads") {
    const struct {
        Dims x, b;
        Shape axes;
    } all[] = {{{401, 300}, {300}, {1}},
               {{403, 3, 100}, {3, 1}, {1, 2}},
               {{61, 7, 300}, {7, 1}, {1, 2}},
               {{5001, 17}, {17}, {1}},
               {{301, 5, 100}, {5, 1}, {2}},
               {{40000, 3}, {}, {1}},
               {{20011, 7}, {}, {1}},
               {{77, 1000}, {77, 1}, {1}},
               {{301, 7, 100}, {301, 1, 100}, {1, 2}},
               {{403, 2, 3, 50}, {2, 1, 50}, {1, 2, 3}}};
    for (const auto& one : all) {
        CAPTURE(one.x.text());
        core::Recording r(ops::table(), nullptr, "test");
        Var y = exp(r.input("x", one.x)) * 1.5 + r.input("b", one.b);
        const std::vector<core::NamedNode> outputs{{"s", sum(y * y, one.axes).node}, {"y", y.node}};
        const auto p = freeze(r, outputs);
        CHECK(p->units.size() == 1);
        core::PhiloxSequence draw(1, 1);
        Values values;
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
