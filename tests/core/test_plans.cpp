// Plans by a checker that knows nothing of the planner: every program of the grid of parts keeps its promises, and a
// program that was broken on purpose is found out.
#include "tests/bench/cases.hpp"
#include "tests/bench/checker.hpp"
#include "tests/bench/grid.hpp"

using namespace elbo;
using namespace elbo::test;
using core::Place;
using core::Program;
using core::Unit;

namespace {

struct Counts {
    int programs = 0, refused = 0;
    long units = 0, values = 0, reads = 0;

    void add(const Program& p) {
        const Findings found = look_at(p);
        ++programs;
        units += found.units;
        values += found.values;
        reads += found.reads;
        CHECK_MESSAGE(found.complaints.empty(), p.purpose << ":\n" << found.text());
    }
};

constexpr const char* kPurposes[] = {"train", "evaluate", "encode", "reconstruct", "score", "sample"};

/// Every purpose of one choice of parts, frozen as the fast backend wants it.
void look_at_all(const std::vector<Chosen>& parts, const Dims& data, std::int64_t rows, bool fuse, Counts& counts) {
    auto session = session_of(parts, data, "dnnl", 0.9);
    for (const std::string purpose : kPurposes) {
        const bool own = purpose == "train" || purpose == "evaluate";
        if (!own && !session->can(purpose)) continue;
        core::Recorded made;
        const std::string why = refusal([&] { made = session->record(purpose, rows); });
        if (!why.empty()) {
            must_be_meaningless(parts, data, why);
            ++counts.refused;
            return;
        }
        made.request.fuse = fuse;
        counts.add(*core::freeze(made.recording->tape, made.request, &backend("dnnl")));
    }
}

bool complains(const Program& p, const std::string& of) {
    const Findings found = look_at(p);
    const bool does = std::any_of(found.complaints.begin(), found.complaints.end(),
                                  [&](const std::string& c) { return c.find(of) != std::string::npos; });
    CHECK_MESSAGE(does, "nothing was said of '" << of << "':\n" << found.text());
    return does;
}

/// A program with a bit of everything, to be broken.
struct Victim {
    explicit Victim(bool fuse = true) : p(*mlp.freeze(fuse)) {}
    Mlp mlp{20, 256, 512};
    Program p;

    std::size_t unit_of(NodeId id) const {
        for (std::size_t u = 0; u < p.units.size(); ++u)
            for (NodeId n : p.units[u].nodes)
                if (n == id) return u;
        return p.units.size();
    }
    template <class F>
    NodeId node_where(F f) const {
        for (NodeId id = 0; std::size_t(id) < p.nodes.size(); ++id)
            if (f(id)) return id;
        REQUIRE_MESSAGE(false, "the program has no such node");
        return -1;
    }
    template <class F>
    std::size_t unit_where(F f) const {
        for (std::size_t u = 0; u < p.units.size(); ++u)
            if (f(p.units[u])) return u;
        REQUIRE_MESSAGE(false, "the program has no such unit");
        return 0;
    }
    bool in_slab(NodeId id) const { return p.place(id).in == Place::In::slab; }
    std::size_t update() const {
        return unit_where([&](const Unit& u) { return p.runs(u.nodes.back()) == Runs::assign; });
    }
    /// Puts a unit elsewhere in the order.
    void move(std::size_t from, std::size_t to) {
        const Unit u = p.units[from];
        p.units.erase(p.units.begin() + std::ptrdiff_t(from));
        p.units.insert(p.units.begin() + std::ptrdiff_t(to), u);
    }
};

} // namespace

TEST_CASE("plans: every program of every combination of parts keeps what a plan promises") {
    Counts counts;
    for (const std::string& model : plugins().names("model"))
        for (const auto& parts : sparse_grid(model, 256))
            for (const Dims& data : {Dims{256}, Dims{8, 8, 4}})
                for (std::int64_t rows : {6, 64}) {
                    const std::string what = text(parts) + data.text() + " in batches of " + std::to_string(rows);
                    CAPTURE(what);
                    look_at_all(parts, data, rows, true, counts);
                }
    MESSAGE(counts.programs << " programs, " << counts.units << " units, " << counts.values << " values, "
                            << counts.reads << " reads checked; " << counts.refused << " recordings were refused");
    CHECK(counts.programs >= 300);
}

TEST_CASE("plans: unfused programs and those of single ops keep what a plan promises") {
    Counts counts;
    for (const std::string& model : plugins().names("model"))
        look_at_all(sparse_grid(model, 256).front(), {8, 8, 4}, 6, false, counts);
    for (bool fuse : {true, false}) {
        counts.add(*Mlp(33, 45, 70).freeze(fuse));
        counts.add(*Mlp(20, 256, 512).freeze(fuse));
        for (const Op* op : tried_ops())
            for (const OpCase& c : cases_of(*op)) {
                INFO(label(*op, c));
                const Graph g(*op, c);
                auto outputs = const_cast<Graph&>(g).r.gradient(g.scalar, g.x);
                outputs.push_back(g.y);
                counts.add(*g.freeze(outputs, fuse));
            }
    }
    MESSAGE(counts.programs << " programs, " << counts.units << " units, " << counts.values << " values checked");
}

TEST_CASE("plans: programs of thousands of values keep what a plan promises too") {
    const std::int64_t sizes[] = {16, 400, 48, 4000, 130, 1000, 16, 700};
    Workbench run({}, {3}, 2, &backend("dnnl"));
    core::Recording r(ops::table(), &run, "test");
    std::vector<std::vector<Var>> made;
    for (std::size_t k = 0; k < std::size(sizes); ++k) made.push_back({r.input("x" + std::to_string(k), {sizes[k]})});
    std::uint64_t state = 1; // which chain goes on, and how far back it reads
    for (int i = 0; i < 6000; ++i) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        auto& chain = made[(state >> 33) % std::size(sizes)];
        const std::size_t back = (state >> 40) % std::min<std::size_t>(chain.size(), 9);
        Var last = chain.back(), earlier = chain[chain.size() - 1 - back];
        const std::int64_t n = elbo::shape(last)[0];
        // Sums are taken value by value; what is moved by one is not.
        chain.push_back(i % 3 ? last * 0.5 + sin(earlier) : pad(slice(last, 0, 1, n), 0, 0, 1) - earlier);
    }
    std::vector<core::NamedNode> outputs;
    for (const auto& chain : made) outputs.push_back({"y", chain.back().node});
    Counts counts;
    for (bool fuse : {true, false}) counts.add(*freeze(r, outputs, fuse));
    CHECK(counts.values > 6000);
}

TEST_CASE("plans: the checker finds units out of order, missing, doubled and overfull") {
    const Victim whole;
    REQUIRE(look_at(whole.p).text() == "");
    Victim late;
    late.move(0, late.p.units.size() - 1);
    complains(late.p, "which has not been computed");
    Victim missing;
    missing.p.units.erase(missing.p.units.begin());
    complains(missing.p, "is computed by no unit");
    Victim doubled;
    doubled.p.units.push_back(doubled.p.units.front());
    complains(doubled.p, "is computed twice");
    Victim full;
    Unit& group = full.p.units[full.unit_where([](const Unit& u) { return u.kind == Unit::Kind::group; })];
    while (group.nodes.size() <= core::freezing::kMostNodesInGroup) group.nodes.push_back(group.nodes.back());
    complains(full.p, "a group of 49 nodes");
    Victim turned;
    Unit& update = turned.p.units[turned.update()];
    std::reverse(update.nodes.begin(), update.nodes.end());
    complains(turned.p, "before it is there");
    Victim unread;
    unread.p.outputs.pop_back();
    unread.p.guard = -1;
    unread.p.outputs.pop_back();
    complains(unread.p, "is needed by nobody");
}

TEST_CASE("plans: the checker finds values written over others that are still needed") {
    Victim output;
    const NodeId nll = output.p.outputs[1].node;
    const NodeId later = output.node_where([&](NodeId id) {
        return output.in_slab(id) && output.unit_of(id) > output.unit_of(nll) + 1 &&
               output.unit_of(id) < output.p.units.size();
    });
    output.p.places[later] = output.p.place(nll);
    complains(output.p, "output 'nll' is no longer there");

    Victim live;
    const std::size_t first = live.unit_where([](const Unit& u) { return u.kind == Unit::Kind::claim; });
    const NodeId hidden = live.p.units[first].nodes.back();
    const NodeId next = live.p.units[first + 1].nodes.back();
    live.p.places[next] = live.p.place(hidden);
    complains(live.p, "and its place holds");

    Victim scratch;
    Unit& claim = scratch.p.units[first];
    claim.scratch_bytes = 256;
    claim.scratch_at = scratch.p.place(claim.nodes.back()).at;
    complains(scratch.p, "is written over scratch");
    const NodeId read =
        *std::find_if(claim.operands.begin(), claim.operands.end(), [&](NodeId id) { return scratch.in_slab(id); });
    claim.scratch_at = scratch.p.place(read).at;
    complains(scratch.p, "its scratch lies over node");

    Victim outside;
    outside.p.slab_bytes = 64;
    complains(outside.p, "lies outside the slab");
    Victim crooked;
    crooked.p.places[hidden].at += 4;
    complains(crooked.p, "is not aligned");
    Victim nowhere;
    nowhere.p.places[hidden] = {};
    complains(nowhere.p, "has no place");
}

TEST_CASE("plans: the checker finds updates before the guard, before a reader, of nothing, and twice") {
    Victim early;
    early.p.guard = early.node_where([&](NodeId id) { return early.unit_of(id) + 1 == early.p.units.size(); });
    complains(early.p, "before the guard is known");
    Victim before;
    const std::size_t update = before.update();
    before.move(update, 0);
    complains(before.p, "assigned it");
    complains(before.p, "which has not been computed");
    complains(before.p, "before the guard is known");
    Victim no_tensor;
    const NodeId assign = no_tensor.p.units[update].nodes.back();
    no_tensor.p.nodes[std::size_t(assign)].inputs[0] = no_tensor.p.nodes[std::size_t(assign)].inputs[1];
    complains(no_tensor.p, "which is no tensor");
    Victim shown;
    shown.p.outputs[1].node = shown.p.node(assign).inputs[0];
    complains(shown.p, "which was assigned");
}

TEST_CASE("plans: the checker finds operands in a layout that their reader cannot follow") {
    Victim claim;
    const std::size_t first = claim.unit_where([](const Unit& u) { return u.kind == Unit::Kind::claim; });
    std::swap(claim.p.units[first].operands[1], claim.p.units[first + 1].operands[1]);
    complains(claim.p, "the operands of a claim are not what its nodes read");
    Victim plain(false); // sums by kernels
    const std::size_t kernel = plain.unit_where(
        [&](const Unit& u) { return u.kind == Unit::Kind::kernel && plain.p.runs(u.nodes[0]) == Runs::row_sum; });
    const NodeId summed = plain.p.node(plain.p.units[kernel].nodes[0]).inputs[0];
    plain.p.layouts[summed].row_stride = plain.p.dims(summed)[1] + 16;
    complains(plain.p, "and its rows lie apart");
    Victim near(false);
    near.p.layouts[summed].row_stride = 1;
    complains(near.p, "are too near");
    Victim immediate(false);
    const NodeId constant = immediate.node_where([&](NodeId id) {
        return immediate.p.runs(id) == Runs::constant && immediate.unit_of(id) == immediate.p.units.size();
    });
    immediate.p.nodes[std::size_t(immediate.p.units[kernel].nodes[0])].inputs[0] = constant;
    complains(immediate.p, "which is nowhere in memory");
}

TEST_CASE("plans: the checker lets a group write over an operand only where it reads it value by value") {
    for (const bool row : {false, true}) {
        core::Recording r(ops::table(), nullptr, "test");
        Var x = r.input("x", {4, 8});
        Var first = max_over(reshape(x, {4, 8, 1}), {2}); // by a kernel: a value in the slab
        Var y = exp(row ? sum(first, {0}) + first : reshape(reshape(first, {32}), {4, 8}) + x);
        Program p = *freeze(r, {{"y", y.node}});
        const NodeId out = p.outputs[0].node;
        REQUIRE(look_at(p).text() == "");
        for (NodeId id = 0; id < out; ++id)
            if (p.place(id).in == Place::In::slab && !(p.dims(id) == p.dims(out))) p.places[out] = p.place(id);
        complains(p, "is written over node");
    }
}
