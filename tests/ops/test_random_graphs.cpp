// Random graphs, evaluated as recorded and as frozen: unfused and fused, in f64 and in f32. A graph that fails is told
// by its seed and by the fewest steps of it that still fail.
#include <cstring>
#include <set>

#include "tests/bench/checker.hpp"
#include "tests/bench/random_graph.hpp"

using namespace elbo;
using namespace elbo::test;
using core::Program;

namespace {

/// Of all graphs of a test.
struct Tally {
    int graphs = 0, wild = 0, assigning = 0, guarded = 0, stopped = 0, loose = 0, units = 0;
    int largest_group = 0;
    std::set<std::string_view> ops; ///< that were used
};

/// A fused or an unfused program, with what was found wrong.
class Trial {
public:
    Trial(RandomGraph& g, bool fuse, const core::Backend* of, Tally& tally)
        : g_(g), request_(g.request), exact_(g.values()), tally_(tally) {
        request_.fuse = fuse;
        p_ = core::freeze(g.r.tape, request_, of);
        name_ = std::string(fuse ? "fused" : "unfused") + (of ? " for " + of->name() : "");
        for (const auto& u : p_->units)
            if (u.kind == core::Unit::Kind::group)
                tally.largest_group = std::max(tally.largest_group, int(u.nodes.size()));
        tally.units += int(p_->units.size());
    }
    const Program& program() const { return *p_; }

    std::string in_f64() {
        if (const Findings found = look_at(*p_); !found.complaints.empty()) return name_ + ": " + found.text();
        std::vector<Doubles> tensors, inputs;
        for (const auto& t : p_->tensors) tensors.push_back(g_.given.at(t.name));
        for (const auto& in : p_->inputs) inputs.push_back(g_.given.count(in.name) ? g_.given.at(in.name) : Doubles(1));
        const auto all = ops::reference_values(*p_, tensors, inputs, g_.noise);
        auto differs = [&](const std::string& what, NodeId got, NodeId want) {
            const Doubles& values = exact_[want];
            Doubles seen = all[std::size_t(got)];
            // Values that cancel before they meet NaN give 0 where each of them would have met it (a sum moves inside).
            for (std::size_t i = 0; g_.wild() && i < seen.size() && i < values.size(); ++i)
                if (std::isnan(values[i]) && seen[i] == 0) seen[i] = values[i];
            const std::string why = disagreement(seen, values, 1e-9 * scale_of(values));
            return why.empty() ? why : name_ + " in f64, " + what + ": " + why;
        };
        std::string why;
        for (std::size_t i = 0; i < p_->outputs.size() && why.empty(); ++i)
            why = differs(p_->outputs[i].name, p_->outputs[i].node, request_.outputs[i].node);
        if (why.empty() && p_->guard >= 0) why = differs("guard", p_->guard, request_.guard);
        std::map<std::string, NodeId> assigned;
        for (NodeId id = 0; std::size_t(id) < p_->nodes.size(); ++id)
            if (p_->runs(id) == Runs::assign) assigned[p_->node(p_->node(id).inputs[0]).scope] = id;
        for (const auto& a : request_.assignments) {
            const std::string& name = g_.r.tape.name(a.target);
            if (!assigned.count(name)) return name_ + ": '" + name + "' is not assigned";
            if (why.empty()) why = differs(name, assigned.at(name), a.value);
        }
        return why;
    }

    std::string in_f32(Unfrozen& rounded) {
        const auto before = fill_tensors();
        const auto bound = backend("dnnl").bind(p_, g_.run.pointers(*p_));
        std::vector<std::vector<float>> given;
        std::vector<const float*> pointers;
        for (const auto& in : p_->inputs)
            given.push_back(g_.given.count(in.name) ? floats(g_.given.at(in.name)) : std::vector<float>(1));
        for (const auto& v : given) pointers.push_back(v.data());
        const bool finite = bound->run({pointers, g_.noise});
        if (!finite) {
            ++tally_.stopped;
            return same_tensors(before) ? g_.wild() ? "" : "the guard stopped it" : name_ + ": stopped, and assigned";
        }
        if (g_.wild()) return "";
        std::string why;
        for (std::size_t i = 0; i < request_.outputs.size() && why.empty(); ++i) {
            const auto v = bound->output(i);
            why = differs_in_f32(request_.outputs[i].name, {v.begin(), v.end()}, request_.outputs[i].node, rounded);
        }
        for (const auto& a : request_.assignments) {
            const std::string& name = g_.r.tape.name(a.target);
            if (why.empty()) why = differs_in_f32(name, g_.run.values(name), a.value, rounded);
        }
        return why;
    }

private:
    /// How far f32 may be off follows from how far it goes when each node is rounded.
    std::string differs_in_f32(const std::string& what, const Doubles& got, NodeId id, Unfrozen& rounded) {
        const Doubles &want = exact_[id], &near = rounded[id];
        double error = 0;
        for (std::size_t i = 0; i < want.size(); ++i) error = std::max(error, std::fabs(near[i] - want[i]));
        const double allowed = 2e-5 * scale_of(want) + 100 * error;
        if (!(allowed < 0.01 * scale_of(want))) return ++tally_.loose, "";
        const std::string why = disagreement(got, want, allowed);
        return why.empty() ? why : name_ + " in f32, " + what + ": " + why + fmt::format(" (allowed {:.2g})", allowed);
    }

    std::vector<std::vector<float>> fill_tensors() {
        std::vector<std::vector<float>> all;
        for (const auto& t : g_.run.store.all()) {
            all.push_back(floats(g_.given.at(t->name)));
            t->set(all.back().data());
        }
        return all;
    }
    bool same_tensors(const std::vector<std::vector<float>>& before) {
        for (std::size_t i = 0; i < before.size(); ++i) {
            const auto now = g_.run.store.all()[i]->values();
            if (std::memcmp(now.data(), before[i].data(), now.size() * sizeof(float)) != 0) return false;
        }
        return true;
    }

    RandomGraph& g_;
    core::FreezeRequest request_;
    Unfrozen exact_;
    Tally& tally_;
    Frozen p_;
    std::string name_;
};

std::string listing(const RandomGraph& g) {
    const core::Tape& t = g.r.tape;
    std::string out;
    for (NodeId id = 0; std::size_t(id) < t.size(); ++id) {
        out += fmt::format("  %{} = {} {} {}(", id, t.dims(id).text(), t.node(id).op->name, t.name(id));
        for (NodeId in : t.inputs(id)) out += fmt::format(" %{}", in);
        for (const auto& a : t.attributes(id).all())
            out += fmt::format(" {}={}", a.key,
                               a.type == AttributeType::integers ? a.integers.text()
                               : a.type == AttributeType::real   ? fmt::format("{}", a.real)
                                                                 : fmt::format("{}", a.integer));
        out += " )\n";
    }
    for (const auto& o : g.request.outputs) out += fmt::format("  output {} = %{}\n", o.name, o.node);
    for (const auto& a : g.request.assignments) out += fmt::format("  %{} <- %{}\n", a.target, a.value);
    return out + fmt::format("  guard %{}, {}\n", g.request.guard, g.wild() ? "wild" : "tame");
}

/// "" when all ways to evaluate the graph agree.
std::string disagreement_of(RandomGraph& g, Tally& tally) {
    ++tally.graphs;
    for (NodeId id = 0; std::size_t(id) < g.r.tape.size(); ++id) tally.ops.insert(g.r.tape.node(id).op->name);
    tally.wild += g.wild();
    tally.assigning += !g.request.assignments.empty();
    tally.guarded += g.request.guard >= 0;
    Trial plain(g, true, nullptr, tally);
    std::string why = plain.in_f64();
    Unfrozen rounded = g.values(true);
    for (bool fuse : {false, true}) {
        if (!why.empty()) return why;
        Trial trial(g, fuse, &backend("dnnl"), tally);
        why = trial.in_f64();
        if (why.empty()) why = trial.in_f32(rounded);
        if (!why.empty()) why += "\n" + core::dump_text(trial.program());
    }
    return why;
}

/// What is wrong with the graph of a seed, in as few of its steps as show it; "" when nothing is.
std::string fault_of(std::uint64_t seed, Tally& tally) {
    const auto attempt = [&](int steps, Tally& count) {
        std::string text;
        int made = steps;
        try {
            RandomGraph g(seed, steps);
            made = g.steps();
            text = disagreement_of(g, count);
            if (!text.empty()) text += "\n" + listing(g);
        } catch (const std::exception& e) {
            text = std::string("threw: ") + e.what() + "\n";
        }
        return std::pair{text, made};
    };
    const auto [whole, made] = attempt(1000, tally);
    if (whole.empty()) return "";
    Tally ignored;
    for (int steps = 0; steps < made; ++steps)
        if (const auto [text, n] = attempt(steps, ignored); !text.empty())
            return fmt::format("seed {}, {} of {} steps: {}", seed, steps, made, text);
    return fmt::format("seed {}: {}", seed, whole);
}

void try_seeds(std::uint64_t first, int n) {
    Tally tally;
    int wrong = 0;
    for (int i = 0; i < n && wrong < 5; ++i) {
        const std::string why = fault_of(first + std::uint64_t(i), tally);
        CHECK_MESSAGE(why.empty(), why);
        wrong += !why.empty();
    }
    MESSAGE(tally.graphs << " graphs in " << tally.units << " units: " << tally.wild << " wild, " << tally.assigning
                         << " assign, " << tally.guarded << " have a guard, " << tally.stopped << " runs were stopped, "
                         << tally.loose << " values too loose to compare; the largest group has " << tally.largest_group
                         << " nodes");
    for (const Op* op : tried_ops()) CHECK_MESSAGE(tally.ops.count(op->name), op->name);
    CHECK(tally.stopped > 0);
    CHECK(tally.largest_group == int(core::freezing::kMostNodesInGroup));
    CHECK(tally.loose < tally.graphs / 10);
}

} // namespace

TEST_CASE("random graphs: as recorded, unfused and fused, in f64 and in f32 they give the same") { try_seeds(1, 400); }

TEST_CASE("deep: random graphs: twenty thousand of them give the same however they are run") {
    try_seeds(100000, 20000);
}
