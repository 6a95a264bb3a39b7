// A frozen program against what it promises, from the program alone: nothing here asks the passes that made it. Units
// are replayed in order over a map of the slab that says which value each byte holds.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/graph/freeze/passes.hpp"
#include "tests/bench/slab.hpp"

namespace elbo::test {

/// What a look at one program found.
struct Findings {
    std::vector<std::string> complaints; ///< empty: the program keeps its promises
    int units = 0, values = 0, reads = 0;
    std::string text() const {
        std::string all;
        for (const std::string& c : complaints) all += c + "\n";
        return all;
    }
};

class PlanChecker {
public:
    explicit PlanChecker(const core::Program& program)
        : p_(program), made_by_(program.nodes.size(), kNobody), needed_(program.nodes.size(), 0),
          assigned_(program.nodes.size(), kNobody), done_(program.nodes.size(), 0) {}

    Findings look() {
        check_nodes();
        count_makers();
        find_needed();
        for (std::size_t u = 0; u < p_.units.size(); ++u) run(int(u));
        check_end();
        found_.units = int(p_.units.size());
        return std::move(found_);
    }

private:
    using NodeId = core::NodeId;
    using Unit = core::Unit;
    using In = core::Place::In;
    using Runs = core::Runs;
    static constexpr int kNobody = -1;

    /// What a unit reads: the value as it is named, what a view of it shows, and the one whose memory that is.
    struct Read {
        NodeId as, shown, origin;
        bool operator<(const Read& o) const { return as < o.as; }
    };

    template <class... Args>
    void complain(fmt::format_string<Args...> what, Args&&... args) {
        found_.complaints.push_back(fmt::format(what, std::forward<Args>(args)...));
    }
    bool given(NodeId id) const { return p_.runs(id) == Runs::tensor || p_.runs(id) == Runs::input; }
    bool known(NodeId id) const { return id >= 0 && std::size_t(id) < p_.nodes.size(); }
    NodeId shown(NodeId id) const {
        while (p_.runs(id) == Runs::view) id = p_.node(id).inputs.at(0);
        return id;
    }
    NodeId origin(NodeId id) const {
        for (id = shown(id); p_.windows.contains(id);) id = shown(p_.windows.at(id).of);
        return id;
    }
    bool is_part(NodeId id) const { return p_.windows.contains(id) && made_by_[id] == kNobody; }
    /// What is joined of values that are made where they belong in it.
    bool is_joined(NodeId id) const {
        const core::ProgramNode& n = p_.node(id);
        return n.op->joins && std::all_of(n.inputs.begin(), n.inputs.end(), [&](NodeId in) {
                   return p_.dims(in).numel() == 0 ||
                          (p_.windows.contains(shown(in)) && p_.windows.at(shown(in)).of == id);
               });
    }
    Read read_of(NodeId id) const { return {id, shown(id), origin(id)}; }
    static bool within(const Unit& u, NodeId id) {
        return std::find(u.nodes.begin(), u.nodes.end(), id) != u.nodes.end();
    }
    std::int64_t size(NodeId id) const {
        const core::Dims& d = p_.dims(id);
        const core::Layout& l = p_.layout(id);
        if (l.form) return l.form->bytes;
        if (l.row_stride == 0 || d.numel() == 0) return d.numel() * 4;
        return d.numel() / d[d.rank - 1] * l.row_stride * 4;
    }
    Span bytes(NodeId id) const {
        const core::Dims& d = p_.dims(id);
        const std::int64_t gap = p_.windows.contains(id) && p_.layout(id).row_stride != 0
                                     ? p_.layout(id).row_stride - d[d.rank - 1]
                                     : 0; // behind the last row other values may lie
        return {p_.place(id).at, p_.place(id).at + size(id) - 4 * gap};
    }
    /// The bytes of a window row by row, of anything else from its first to its last.
    std::vector<Span> spans(NodeId id) const {
        const std::int64_t apart = p_.layout(id).row_stride;
        if (!p_.windows.contains(id) || apart == 0) return {bytes(id)};
        std::vector<Span> out;
        const std::int64_t width = p_.dims(id)[p_.dims(id).rank - 1], rows = p_.dims(id).numel() / width;
        for (std::int64_t r = 0; r < rows; ++r)
            out.push_back({p_.place(id).at + 4 * r * apart, p_.place(id).at + 4 * (r * apart + width)});
        return out;
    }
    static bool overlap_any(const std::vector<Span>& a, const std::vector<Span>& b) {
        for (const Span& x : a)
            for (const Span& y : b)
                if (overlap(x, y)) return true;
        return false;
    }
    NodeId holder_other_than(const Slab& slab, NodeId lies, NodeId id) const {
        for (const Span& s : spans(lies))
            if (const NodeId other = slab.holder_other_than(s, id); other != id) return other;
        return id;
    }

    // The nodes by themselves: every operand comes before, places and layouts are ones there can be.
    void check_nodes() {
        for (NodeId id = 0; known(id); ++id) {
            const core::ProgramNode& n = p_.node(id);
            for (NodeId in : n.inputs)
                if (!known(in) || in >= id) complain("node {} reads node {}, which does not come before it", id, in);
            if (const std::int64_t apart = p_.layout(id).row_stride; apart != 0)
                if (n.dims.rank < 1 || apart < n.dims[n.dims.rank - 1])
                    complain("node {}: rows {} apart are too near for {}", id, apart, n.dims.text());
            if (n.op->runs == Runs::view && !(p_.place(id) == p_.place(shown(id))))
                complain("node {} is a view and does not lie where its value lies", id);
            if (n.op->runs == Runs::tensor &&
                p_.layout(id).row_stride != p_.tensors.at(std::size_t(n.given)).row_stride)
                complain("node {}: the rows of tensor '{}' lie otherwise", id, n.scope);
            if (n.op->runs == Runs::tensor && !(p_.place(id) == core::Place{In::tensor, n.given}))
                complain("node {} is tensor '{}' and lies elsewhere", id, n.scope);
            if (n.op->runs == Runs::input && !(p_.place(id) == core::Place{In::input, n.given}))
                complain("node {} is input '{}' and lies elsewhere", id, n.scope);
            if (p_.place(id).in != In::slab || size(id) == 0) continue;
            if (p_.windows.contains(id)) check_window(id);
            else if (n.op->runs != Runs::view) check_place(fmt::format("node {}", id), bytes(id));
        }
    }

    // It lies where the op says, and within what it is a window of.
    void check_window(NodeId id) {
        const core::Window& w = p_.windows.at(id);
        const Span all = bytes(w.of), mine = bytes(id);
        if (mine.begin < all.begin || mine.end > all.end) complain("node {} lies outside node {}", id, w.of);
        if (mine.begin != all.begin + 4 * w.offset)
            complain("node {} lies elsewhere in node {} than it says", id, w.of);
        if (!p_.layout(w.of).plain()) complain("node {} is a window of node {}, whose rows lie apart", id, w.of);
    }

    void check_place(const std::string& what, Span s) {
        if (s.begin % 64 != 0) complain("{} lies at {}, which is not aligned", what, s.begin);
        if (s.begin < 0 || s.end > p_.slab_bytes) complain("{} lies outside the slab", what);
    }

    void count_makers() {
        for (std::size_t u = 0; u < p_.units.size(); ++u) {
            if (p_.units[u].nodes.empty()) complain("unit {} is empty", u);
            for (NodeId id : p_.units[u].nodes) {
                if (!known(id)) {
                    complain("unit {} names node {}, which there is not", u, id);
                    continue;
                }
                if (made_by_[id] != kNobody)
                    complain("node {} is computed twice, by units {} and {}", id, made_by_[id], u);
                made_by_[id] = int(u);
                if (given(id) || p_.runs(id) == Runs::view) complain("node {} is nothing to compute", id);
            }
        }
    }

    // Whatever leads to an output, the guard or an assignment; a claim's operands besides what its nodes read.
    void find_needed() {
        for (const auto& o : p_.outputs) needed_[o.node] = 1;
        if (p_.guard >= 0) needed_[p_.guard] = 1;
        for (NodeId id = NodeId(p_.nodes.size()); id-- > 0;) {
            if (p_.runs(id) == Runs::assign) needed_[id] = 1;
            if (!needed_[id]) {
                complain("node {} ({}) is needed by nobody", id, p_.node(id).op->name);
                continue;
            }
            for (NodeId in : p_.node(id).inputs) needed_[in] = 1;
            if (const int u = made_by_[id]; u != kNobody)
                for (NodeId in : p_.units[std::size_t(u)].operands) needed_[in] = 1;
            const bool may_be_written_in =
                p_.runs(id) == Runs::constant || p_.runs(id) == Runs::view || given(id) || is_part(id) || is_joined(id);
            if (made_by_[id] == kNobody && !may_be_written_in)
                complain("node {} ({}) is computed by no unit", id, p_.node(id).op->name);
        }
    }

    void run(int u) {
        const Unit& unit = p_.units[std::size_t(u)];
        std::set<Read> all;
        const bool streamed = unit.kind == Unit::Kind::streamed;
        if (streamed) check_streamed(u);
        if (unit.kind == Unit::Kind::claim || streamed) {
            for (NodeId in : unit.operands) all.insert(read_of(in));
            check_claim(u, streamed ? unit.claim_side() : unit);
        }
        if (unit.kind != Unit::Kind::claim)
            for (NodeId id : streamed ? unit.group_side().nodes : unit.nodes)
                for (NodeId in : p_.node(id).inputs)
                    if (!within(unit, in)) all.insert(read_of(in));
        if (unit.kind == Unit::Kind::group || streamed) check_group(u, streamed ? unit.group_side() : unit);
        if (unit.kind == Unit::Kind::kernel) check_kernel(u);
        for (const Read& r : all) read(u, r);
        write(u, all);
        for (NodeId id : unit.nodes) done_[id] = 1;
    }

    // The value that is made by rows is read by the update and nowhere else, and nothing of the update is seen outside.
    void check_streamed(int u) {
        const Unit& unit = p_.units[std::size_t(u)];
        if (unit.claims == 0 || unit.claims >= unit.nodes.size() || !unit.by_rows)
            return complain("unit {}: no claim by rows with something behind it", u);
        if (!(p_.dims(unit.claimed_value()) == unit.space)) complain("unit {}: its two sides differ in size", u);
        for (NodeId id : unit.nodes) {
            if (p_.place(id).in != In::nowhere && p_.runs(id) != Runs::assign)
                complain("unit {}: node {} of a streamed unit lies in memory", u, id);
            for (NodeId reader = id + 1; known(reader); ++reader)
                for (NodeId in : p_.node(reader).inputs)
                    if (in == id && !within(unit, reader)) complain("node {} of unit {} is read outside", id, u);
        }
        for (NodeId in : unit.operands)
            for (NodeId id : unit.nodes)
                if (p_.runs(id) == Runs::assign && origin(in) == p_.node(id).inputs.at(0))
                    complain("unit {} assigns tensor '{}', which its claim reads", u, p_.node(origin(in)).scope);
    }

    void check_claim(int u, const Unit& unit) {
        std::set<NodeId> wanted, offered;
        for (NodeId in : unit.operands) offered.insert(p_.runs(in) == Runs::pack ? p_.node(in).inputs[0] : in);
        for (std::size_t i = 0; i < unit.nodes.size(); ++i) {
            const NodeId id = unit.nodes[i];
            for (NodeId in : p_.node(id).inputs) {
                if (within(unit, in)) continue;
                wanted.insert(p_.runs(in) == Runs::pack ? p_.node(in).inputs[0] : in);
            }
            if (p_.runs(id) == Runs::assign) complain("unit {}: a claim holds assignment {}", u, id);
            if (i > 0) {
                const auto& in = p_.node(id).inputs;
                if (std::find(in.begin(), in.end(), unit.nodes[i - 1]) == in.end())
                    complain("unit {}: node {} of a claim does not follow the one before", u, id);
            }
            if (id == unit.nodes.back()) continue;
            for (NodeId reader = id + 1; known(reader); ++reader)
                for (NodeId in : p_.node(reader).inputs)
                    if (in == id && !within(unit, reader)) complain("node {} of claim {} is read outside", id, u);
        }
        if (wanted != offered) complain("unit {}: the operands of a claim are not what its nodes read", u);
    }

    void check_kernel(int u) {
        const Unit& unit = p_.units[std::size_t(u)];
        if (unit.nodes.size() != 1) complain("unit {}: a kernel of {} nodes", u, unit.nodes.size());
        if (p_.runs(unit.nodes[0]) == Runs::assign) complain("unit {}: a kernel assigns", u);
    }

    // Elementwise nodes of one size, sums of values of that size to the same rows and to the same columns, assignments
    // of that size; nothing reads what is only there when the group is done.
    void check_group(int u, const Unit& unit) {
        if (unit.nodes.size() > core::freezing::kMostNodesInGroup)
            complain("unit {}: a group of {} nodes", u, unit.nodes.size());
        std::set<NodeId> before;
        std::map<bool, std::int64_t> sums; // over the last axes, or over the first
        for (NodeId id : unit.nodes) {
            const core::ProgramNode& n = p_.node(id);
            const bool row_sum = n.op->runs == Runs::row_sum;
            for (NodeId in : n.inputs) {
                if (!within(unit, shown(in))) continue;
                if (!before.count(in)) complain("unit {}: node {} reads node {} before it is there", u, id, in);
                if (p_.runs(in) != Runs::elementwise) complain("unit {}: node {} reads the end of its group", u, id);
            }
            before.insert(id);
            if (row_sum) {
                const bool first = summed_at_an_end(id, true), last = summed_at_an_end(id, false);
                if (!(first || last) || !(p_.dims(n.inputs[0]) == unit.space))
                    complain("unit {}: node {} is no sum over the first or the last axes of its group", u, id);
                const auto [it, fresh] = sums.emplace(!first, n.dims.numel());
                if (it->second != n.dims.numel()) complain("unit {}: sums over different rows", u);
                continue;
            }
            if (n.op->runs != Runs::elementwise && n.op->runs != Runs::assign && n.op->runs != Runs::constant)
                complain("unit {}: node {} ({}) is nothing for a group", u, id, n.op->name);
            if (!(n.dims == unit.space)) complain("unit {}: node {} is not of its group's size", u, id);
        }
    }

    bool summed_at_an_end(NodeId id, bool at_first) const {
        const core::Dims in = p_.dims(p_.node(id).inputs[0]);
        const core::Dims& axes = core::Attributes(p_.node(id).attributes).integers("axes");
        std::set<std::int64_t> summed;
        for (int i = 0; i < axes.rank; ++i) summed.insert(axes[i] < 0 ? axes[i] + in.rank : axes[i]);
        for (int i = 0; i < int(summed.size()); ++i)
            if (!summed.count(at_first ? i : in.rank - 1 - i)) return false;
        return true;
    }

    void read(int u, const Read& r) {
        ++found_.reads;
        const Unit& unit = p_.units[std::size_t(u)];
        const bool streamed = unit.kind == Unit::Kind::streamed, group = unit.kind == Unit::Kind::group || streamed;
        const core::Layout& l = p_.layout(r.shown);
        if (r.as != r.shown && !l.plain())
            complain("unit {} sees node {} through a view, and its rows lie apart", u, r.shown);
        const bool packs = unit.kind == Unit::Kind::kernel && p_.runs(unit.nodes[0]) == Runs::pack;
        if (streamed && l.row_stride != 0 && !unit.takes_strides) complain("unit {} cannot take rows apart", u);
        const bool strides = group || packs || (unit.kind == Unit::Kind::claim && unit.takes_strides);
        if (l.row_stride != 0 && !strides) complain("unit {} reads node {} plain, and its rows lie apart", u, r.origin);
        if (l.form && unit.kind != Unit::Kind::claim)
            complain("unit {} reads node {}, which is in the library's form", u, r.origin);
        if (p_.runs(r.origin) == Runs::input) return;
        if (p_.runs(r.origin) == Runs::tensor) {
            if (assigned_[r.origin] != kNobody)
                complain("unit {} reads tensor '{}' after unit {} assigned it", u, p_.node(r.origin).scope,
                         assigned_[r.origin]);
            return;
        }
        if (p_.runs(r.origin) == Runs::constant && made_by_[r.origin] == kNobody) {
            if (!group || r.as != r.origin)
                complain("unit {} reads constant {}, which is nowhere in memory", u, r.origin);
            return;
        }
        if (made_by_[r.shown] != kNobody && !done_[r.shown])
            complain("unit {} reads node {}, which has not been computed", u, r.shown);
        if (size(r.shown) == 0) return;
        if (p_.place(r.shown).in != In::slab) complain("unit {} reads node {}, which has no place", u, r.shown);
        else if (const NodeId other = holder_other_than(slab_, r.shown, r.origin); other != r.origin)
            complain("unit {} reads node {}, and its place holds {}", u, r.shown, Slab::name(other));
    }

    void write(int u, const std::set<Read>& all) {
        const Unit& unit = p_.units[std::size_t(u)];
        Slab fresh; // what this unit writes
        if (unit.scratch_bytes > 0) {
            const Span scratch{unit.scratch_at, unit.scratch_at + unit.scratch_bytes};
            check_place(fmt::format("the scratch of unit {}", u), scratch);
            for (const Read& r : all)
                if (p_.place(r.shown).in == In::slab && overlap(scratch, bytes(r.shown)))
                    complain("unit {}: its scratch lies over node {}, which it reads", u, r.shown);
            fresh.put(scratch, Slab::kScratch);
        }
        for (NodeId id : unit.nodes) {
            if (p_.runs(id) == Runs::assign) {
                assign(u, id);
                continue;
            }
            if (unit.kind == Unit::Kind::claim && id != unit.nodes.back()) continue;
            if (p_.place(id).in != In::slab) {
                if (unit.kind == Unit::Kind::streamed) continue;
                if (p_.place(id).in != In::nowhere) complain("node {} is computed and lies in no slab", id);
                if (unit.kind != Unit::Kind::group && size(id) > 0)
                    complain("node {} is computed and has no place", id);
                continue;
            }
            if (size(id) == 0) continue;
            ++found_.values;
            check_written_layout(u, id);
            for (const Read& r : all)
                if (p_.place(r.shown).in == In::slab && overlap_any(spans(id), spans(r.shown)) &&
                    !in_place(unit, id, r) && !already_there(id, r))
                    complain("unit {}: node {} is written over node {}, which it reads", u, id, r.shown);
            if (const NodeId other = holder_other_than(fresh, id, Slab::kNothing); other != Slab::kNothing)
                complain("unit {}: node {} is written over {}", u, id, Slab::name(other));
            for (const Span& s : spans(id)) fresh.put(s, origin(id));
        }
        slab_.put(fresh);
    }

    void check_written_layout(int u, NodeId id) {
        const Unit& unit = p_.units[std::size_t(u)];
        const core::Layout& l = p_.layout(id);
        if (l.form && p_.runs(id) != Runs::pack) complain("unit {} makes node {} in the library's form", u, id);
        if (l.row_stride == 0) return;
        const bool walks = unit.kind == Unit::Kind::group && p_.runs(id) == Runs::elementwise;
        if (!walks && !(unit.kind == Unit::Kind::claim && unit.takes_strides))
            complain("unit {} makes node {}, and cannot put its rows apart", u, id);
    }

    // What joins others leaves those alone that were made where they belong.
    bool already_there(NodeId id, const Read& r) const {
        return p_.node(id).op->joins && p_.windows.contains(r.shown) && p_.windows.at(r.shown).of == id;
    }

    // A tile is read and written back: the operand must be seen value by value, at that very place, by its own name.
    bool in_place(const Unit& unit, NodeId id, const Read& r) const {
        return unit.kind == Unit::Kind::group && p_.runs(id) == Runs::elementwise && r.as == r.shown &&
               p_.place(id) == p_.place(r.shown) && p_.dims(r.shown) == unit.space && p_.dims(id) == unit.space &&
               p_.layout(id) == p_.layout(r.shown);
    }

    void assign(int u, NodeId id) {
        const Unit& unit = p_.units[std::size_t(u)];
        const NodeId target = p_.node(id).inputs.at(0);
        if (p_.runs(target) != Runs::tensor) return complain("unit {} assigns node {}, which is no tensor", u, target);
        if (assigned_[target] != kNobody) complain("tensor '{}' is assigned twice", p_.node(target).scope);
        assigned_[target] = u;
        for (NodeId n : unit.nodes)
            for (NodeId in : p_.node(n).inputs)
                if (origin(in) == target && !within(unit, in) && (in != target || !(p_.dims(in) == unit.space)))
                    complain("unit {} assigns tensor '{}' and reads it otherwise than value by value", u,
                             p_.node(target).scope);
        if (p_.guard < 0) return;
        const NodeId guard = origin(p_.guard);
        const bool computed = !given(guard) && made_by_[guard] != kNobody;
        if (computed && (!done_[guard] || made_by_[guard] == u))
            complain("unit {} assigns tensor '{}' before the guard is known", u, p_.node(target).scope);
    }

    void check_end() {
        std::vector<std::pair<std::string, NodeId>> kept;
        for (const auto& o : p_.outputs) kept.emplace_back("output '" + o.name + "'", o.node);
        if (p_.guard >= 0) kept.emplace_back("the guard", p_.guard);
        for (const auto& [what, id] : kept) {
            const NodeId from = origin(id);
            if (!p_.layout(from).plain()) complain("{} does not lie plain", what);
            if (p_.runs(from) == Runs::tensor && assigned_[from] != kNobody && what != "the guard")
                complain("{} is tensor '{}', which was assigned", what, p_.node(from).scope);
            if (given(from) || size(from) == 0) continue;
            if (p_.place(from).in != In::slab) complain("{} has no place", what);
            else if (made_by_[from] != kNobody && !done_[from]) complain("{} is never computed", what);
            else if (const NodeId other = slab_.holder_other_than(bytes(from), from); other != from)
                complain("{} is no longer there: its place holds {}", what, Slab::name(other));
        }
    }

    const core::Program& p_;
    core::PerNode<int> made_by_;
    core::PerNode<char> needed_;
    core::PerNode<int> assigned_; ///< of a tensor: the unit that overwrote it
    core::PerNode<char> done_;
    Slab slab_;
    Findings found_;
};

inline Findings look_at(const core::Program& program) { return PlanChecker(program).look(); }

} // namespace elbo::test
