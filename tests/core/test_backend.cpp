// What freezing asks a backend, and what it does with the answers: composites kept whole, claims, packs, rows apart;
// and that long recordings stay cheap.
#include <chrono>

#include "tests/bench/workbench.hpp"

using namespace elbo;
using namespace elbo::test;
using core::Program;
using core::Runs;
using core::Unit;

namespace {

/// Keeps the composite of a name whole, and lays matrices out with a gap.
class Whole : public core::Backend {
public:
    std::string name() const override { return "whole"; }
    bool keeps(const core::Op& op, std::span<const Dims>) const override { return op.name == "lstm_cell"; }
    std::optional<core::Claim> claim(const core::Candidates& from, NodeId head) const override {
        const auto& n = from.program().node(head);
        if (n.op->name != "lstm_cell") return {};
        return core::Claim{"lstm_cell", {head}, n.inputs, {}, false, std::make_shared<core::Claimed>()};
    }
    std::unique_ptr<core::Bound> bind(Frozen, std::vector<float*>) override { return nullptr; }
    core::NonFinite find_non_finite(const Program&, const std::vector<float*>&, const core::Feed&) override {
        return {};
    }
};

struct Swish : Composite {
    Var expand(const Vars& in) const override { return in[0] * sigmoid(in[0]); }
};
struct Noisy : Composite {
    Var expand(const Vars& in) const override { return in[0] + normal_like(in[0]); }
};
struct Keeping : Composite {
    Var expand(const Vars& in) const override { return in[0] + parameter(in[0], "w", {1}); }
};
struct Itself : Composite {
    Var expand(const Vars& in) const override { return composite("itself", {in[0]}); }
};

/// A bench with composites that a plugin brought.
class WithComposites : public Workbench {
public:
    using Workbench::Workbench;
    template <class T>
    void bring(const char* name) {
        composites_[name] = std::make_unique<core::PartComposite>(make_own<T>(name));
    }
    const core::Op* composite(std::string_view name) override {
        const auto it = composites_.find(std::string(name));
        return it == composites_.end() ? nullptr : &it->second->op();
    }

private:
    std::map<std::string, std::unique_ptr<core::PartComposite>> composites_;
};

} // namespace

TEST_CASE(
    "composites: a backend that knows one keeps it whole, every other program writes it out, to the same values") {
    Workbench bench;
    Study study(bench);
    Var x = study.input("x", {3, 4}, normals(12, 1)), z = study.input("z", {3, 10}, normals(30, 2));
    Var next = lstm(x, z, "cell");
    core::FreezeRequest request{.purpose = "test", .outputs = {{"y", next.node}}, .assignments = {}};
    Whole whole;
    const auto kept = core::freeze(study.r.tape, request, &whole), written = core::freeze(study.r.tape, request);
    int composites = 0;
    for (const auto& u : kept->units) composites += u.label == "lstm_cell";
    CHECK(composites == 1);
    for (const auto& n : written->nodes) CHECK(n.op->runs != Runs::composite);
    Values values = study.values;
    for (const auto& t : kept->tensors) values[t.name] = bench.values(t.name);
    check_equal(in_f64(*kept, values)[0], in_f64(*written, values)[0], 1e-14);
    CHECK(core::dump_text(*kept).find("lstm_cell") != std::string::npos);
}

TEST_CASE("composites: one of a plugin's own is an op, with a gradient, and an unknown name says so") {
    WithComposites bench;
    bench.bring<Swish>("swish");
    Study study(bench);
    Var x = study.input("x", {7}, normals(7, 3));
    Var y = composite("swish", {x});
    Doubles want;
    for (double v : study.values["x"]) want.push_back(v / (1 + std::exp(-v)));
    check_equal(study.evaluate(y), want, 1e-12);
    study.check_gradient(y);
    study.check_gradient(composite("swish", {composite("swish", {x})}));
    must_say(refusal([&] {
                 study.r.emit("swosh", std::vector<NodeId>{x.node}, {}, {"here.cpp", 3});
             }),
             {"this elbo has no op 'swosh'", "here.cpp:3"});
}

TEST_CASE("composites: they draw no noise, make no tensors and do not hold themselves") {
    WithComposites bench;
    bench.bring<Noisy>("noisy");
    bench.bring<Keeping>("keeping");
    bench.bring<Itself>("itself");
    Study study(bench);
    Var x = study.input("x", {7}, normals(7, 3));
    auto told = [&](const char* name) {
        return refusal([&] { study.r.emit(name, std::vector<NodeId>{x.node}, {}, {nullptr, 0}); });
    };
    must_say(told("noisy"), {"a composite draws no noise"});
    must_say(told("keeping"), {"a composite makes no tensors"});
    must_say(told("itself"), {"itself"});
}

TEST_CASE("rows apart: matrices of 1 KiB rows get a gap, values are the same, files and outputs hold none") {
    auto& dnnl = backend("dnnl");
    CHECK(dnnl.row_stride({8, 256}) == 272);
    CHECK(dnnl.row_stride({8, 300}) == 0);
    CHECK(dnnl.row_stride({1, 256}) == 0);
    Workbench bench({}, {3}, 2, &dnnl);
    core::Recording r(ops::table(), &bench, "train", 6);
    Var x = r.input("x", {6, 256});
    Var w = parameter(x, "w", {256, 512}, Init::normal(0, 0.1)), b = parameter(x, "b", {512}, Init::normal(0, 1));
    Var h = tanh(matmul(x, w) + b), back = matmul(square(h) + 0.5 * h, w, false, true);
    Var s = state(x, "s", {256, 512});
    assign(s, s + 2 * w);
    const auto p = freeze(r, {{"back", back.node}, {"w", w.node}, {"column", sum(w, {0}).node}, {"h", h.node}});
    const auto plain = core::freeze(
        r.tape, {.purpose = "train",
                 .outputs = {{"back", back.node}, {"w", w.node}, {"column", sum(w, {0}).node}, {"h", h.node}},
                 .assignments = r.assignments()});
    bool apart = false;
    for (NodeId id = 0; std::size_t(id) < p->nodes.size(); ++id)
        apart |= p->layout(id).row_stride != 0 && p->runs(id) != Runs::tensor;
    CHECK(apart);
    CHECK(core::dump_text(*p).find("rows 528 apart") != std::string::npos);
    const Doubles given = normals(6 * 256, 4);
    Values values{{"x", given}};
    for (const char* name : {"w", "b", "s"}) values[name] = bench.values(name);
    const auto want = in_f64(*plain, values);
    const auto bound = dnnl.bind(p, bench.pointers(*p));
    const auto input = floats(given);
    const float* inputs[] = {input.data()};
    const auto got = outputs_of(*bound, {inputs, {}});
    for (std::size_t o = 0; o < want.size(); ++o) check_equal({got[o].begin(), got[o].end()}, want[o], 2e-4);
    const Doubles kept = bench.values("s"), twice = bench.values("w");
    for (std::size_t i = 0; i < kept.size(); ++i) CHECK(kept[i] == 2 * twice[i]);
}

TEST_CASE("claims: what oneDNN takes, and what it chose, is a golden list without its slow ones") {
    Workbench bench;
    core::Recording r(ops::table(), &bench, "test");
    Var x = r.input("x", {8, 12, 12, 16}), k = r.input("k", {3, 3, 16, 32}), b = r.input("b", {32});
    Var y = relu(conv2d(x, k, {2, 2}, {0, 1, 0, 1}) + b);
    Var scalar = sum_all(square(y));
    const auto d = gradient(scalar, {x, k, b});
    const auto p = freeze(r, {{"y", y.node}, {"dx", d[0].node}, {"dk", d[1].node}});
    std::map<std::string, std::string> chosen;
    int packs = 0;
    for (const Unit& u : p->units) {
        if (u.claimed) chosen[u.label] = u.claimed->chosen();
        packs += p->runs(u.nodes[0]) == Runs::pack;
    }
    REQUIRE(chosen.count("conv2d + bias + relu"));
    REQUIRE(chosen.count("conv2d_input"));
    REQUIRE(chosen.count("conv2d_weights"));
    CHECK(packs >= 1);
    for (const auto& [label, implementation] : chosen) {
        CHECK_MESSAGE(implementation.find("ref") == std::string::npos, label << ": " << implementation);
        CHECK_MESSAGE(implementation.find("gemm:jit") == std::string::npos, label << ": " << implementation);
        CHECK_MESSAGE(!implementation.empty(), label);
    }
}

TEST_CASE(
    "long recordings: ten times the steps make ten times the nodes and units, and the time a node takes is told") {
    auto units = [](int steps) {
        const auto began = std::chrono::steady_clock::now();
        Workbench bench;
        core::Recording r(ops::table(), &bench, "train", 4);
        Var x = r.input("x", {4, 8}), s = constant(x, 0, {4, 16});
        for (int i = 0; i < steps; ++i) s = lstm(x, s, "cell");
        Var loss = sum_all(square(s));
        std::vector<NodeId> weights = r.tensors();
        const auto gradients = r.gradient(loss.node, weights);
        std::vector<core::NamedNode> outputs{{"loss", loss.node}};
        for (std::size_t i = 0; i < gradients.size(); ++i) outputs.push_back({"g" + std::to_string(i), gradients[i]});
        const auto p = freeze(r, outputs);
        const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
        MESSAGE(steps << " steps: " << r.tape.size() << " nodes on the tape, " << p->units.size() << " units, "
                      << took * 1e6 / double(r.tape.size()) << " us a node");
        return double(p->units.size());
    };
    units(20); // primitives of these sizes are made once
    CHECK(units(300) == doctest::Approx(10 * units(30)).epsilon(0.05));
}
