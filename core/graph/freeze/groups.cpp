// Grouping nodes into units, in time linear in nodes.
//
// Every unit has a level, 1 + the highest level it reads. An elementwise node may join a group when everything it reads
// is either in that group or of a lower level; no edge then ever goes from a level to a lower one, so there are no
// cycles. Updates of a tensor are held back to a level above all other readers of the old value, so that they can
// write it in place.
#include <algorithm>
#include <map>
#include <unordered_map>

#include "core/graph/program.hpp"

namespace elbo::core::freezing {

namespace {

constexpr std::size_t kMostNodesInGroup = 48;

class Fuser {
public:
    Fuser(Program& program, bool enabled)
        : p_(program), enabled_(enabled), unit_(program.nodes.size(), -1), readers_(program.nodes.size()),
          floor_(program.nodes.size(), 0), held_(program.nodes.size(), 0) {}

    void run() {
        for (std::size_t i = 0; i < p_.nodes.size(); ++i)
            for (NodeId in : p_.nodes[i].inputs) readers_[std::size_t(in)].push_back(NodeId(i));
        for (const auto& o : p_.outputs) pinned_.push_back(o.node);
        if (p_.guard >= 0) pinned_.push_back(p_.guard);
        std::sort(pinned_.begin(), pinned_.end());
        find_held();
        for (std::size_t i = 0; i < p_.nodes.size(); ++i)
            if (!held_[i]) place(NodeId(i));
        if (enabled_) sink();
        set_floors();
        for (std::size_t i = 0; i < p_.nodes.size(); ++i)
            if (held_[i]) place(NodeId(i));
        if (enabled_) sink();
        separate_late_assignments();
        drop_empty_units();
        for (Unit& u : p_.units) std::sort(u.nodes.begin(), u.nodes.end());
    }

private:
    const ProgramNode& node(NodeId id) const { return p_.node(id); }
    bool pinned(NodeId id) const { return std::binary_search(pinned_.begin(), pinned_.end(), id); }
    static bool groups(const ProgramNode& n) { return n.op->runs == Runs::elementwise || n.op->runs == Runs::assign; }
    // The value a node reads, behind views; nothing computes tensors, inputs and constants.
    NodeId behind(NodeId id) const { return source(p_, id); }
    int level(NodeId id) const {
        const int u = unit_[std::size_t(behind(id))];
        return u < 0 ? 0 : p_.units[std::size_t(u)].level;
    }

    // Held: assignments, and elementwise nodes of the tensor's size that lead to assignments only.
    void find_held() {
        for (std::size_t i = p_.nodes.size(); i-- > 0;) {
            const ProgramNode& n = p_.nodes[i];
            if (n.op->runs == Runs::assign) held_[i] = 1;
            if (n.op->runs != Runs::elementwise || pinned(NodeId(i)) || readers_[i].empty()) continue;
            held_[i] = std::all_of(readers_[i].begin(), readers_[i].end(),
                                   [&](NodeId r) { return held_[std::size_t(r)] && node(r).dims == n.dims; });
        }
    }

    void set_floors() {
        const int guard = p_.guard >= 0 ? level(p_.guard) + 1 : 0;
        for (std::size_t i = p_.nodes.size(); i-- > 0;) {
            if (!held_[i]) continue;
            const ProgramNode& n = p_.nodes[i];
            int& floor = floor_[i];
            floor = std::max(floor, guard);
            if (n.op->runs == Runs::assign)
                for (NodeId r : all_readers(n.inputs[0]))
                    if (!held_[std::size_t(r)]) floor = std::max(floor, level(r) + 1);
            for (NodeId in : n.inputs)
                if (held_[std::size_t(in)]) floor_[std::size_t(in)] = std::max(floor_[std::size_t(in)], floor);
        }
        level_update();
    }

    // An update is one group: everything held that hangs together waits for the last of what it reads.
    void level_update() {
        update_.resize(p_.nodes.size());
        for (std::size_t i = 0; i < p_.nodes.size(); ++i) update_[i] = int(i);
        for (std::size_t i = 0; i < p_.nodes.size(); ++i)
            for (NodeId in : p_.nodes[i].inputs)
                if (held_[i] && held_[std::size_t(in)]) update_[std::size_t(update_of(in))] = update_of(NodeId(i));
        std::vector<int> most(p_.nodes.size(), 0);
        auto each_held = [&](auto f) {
            for (std::size_t i = 0; i < p_.nodes.size(); ++i)
                if (held_[i]) f(most[std::size_t(update_of(NodeId(i)))], i);
        };
        each_held([&](int& m, std::size_t i) { m = std::max({m, floor_[i], lowest_level(NodeId(i))}); });
        each_held([&](int& m, std::size_t i) { floor_[i] = m; });
    }

    int update_of(NodeId id) {
        while (update_[std::size_t(id)] != id)
            id = update_[std::size_t(id)] = update_[std::size_t(update_[std::size_t(id)])];
        return id;
    }

    // Readers of a value, through views too.
    std::vector<NodeId> all_readers(NodeId id) const {
        std::vector<NodeId> out;
        for (NodeId r : readers_[std::size_t(id)]) {
            if (node(r).op->runs == Runs::view) {
                auto more = all_readers(r);
                out.insert(out.end(), more.begin(), more.end());
            } else {
                out.push_back(r);
            }
        }
        return out;
    }

    void place(NodeId id) {
        const ProgramNode& n = node(id);
        if (n.op->runs == Runs::given || n.op->runs == Runs::view) return;
        if (n.op->runs == Runs::constant) {
            if (must_be_filled(id)) new_unit(id, Unit::Kind::group, 1);
            return;
        }
        if (enabled_ && n.op->runs == Runs::elementwise && join_matmul(id)) return;
        if (enabled_ && n.op->runs == Runs::row_sum && join_as_row_sum(id)) return;
        if (enabled_ && groups(n) && join_group(id)) return;
        const auto kind = groups(n)                    ? Unit::Kind::group
                          : n.op->runs == Runs::matmul ? Unit::Kind::matmul
                                                       : Unit::Kind::kernel;
        new_unit(id, kind, std::max(lowest_level(id), floor_[std::size_t(id)]));
    }

    // Elementwise nodes take constants as immediates; anything else needs them in memory.
    bool must_be_filled(NodeId id) const {
        if (pinned(id)) return true;
        auto all = all_readers(id);
        const bool viewed = std::any_of(readers_[std::size_t(id)].begin(), readers_[std::size_t(id)].end(),
                                        [&](NodeId r) { return node(r).op->runs == Runs::view; });
        return viewed || std::any_of(all.begin(), all.end(), [&](NodeId r) { return !groups(node(r)); });
    }

    int lowest_level(NodeId id) const {
        int most = 0;
        for (NodeId in : node(id).inputs) most = std::max(most, level(in));
        return most + 1;
    }

    void new_unit(NodeId id, Unit::Kind kind, int level) {
        p_.units.push_back({kind, {id}, kind == Unit::Kind::group ? node(id).dims : Dims{}, level});
        unit_[std::size_t(id)] = int(p_.units.size() - 1);
        if (held_[std::size_t(id)]) begun_[update_of(id)] = int(p_.units.size() - 1);
        if (kind == Unit::Kind::group) open_[{level, node(id).dims.text()}] = int(p_.units.size() - 1);
    }

    void join(NodeId id, int unit) {
        p_.units[std::size_t(unit)].nodes.push_back(id);
        unit_[std::size_t(id)] = unit;
        if (held_[std::size_t(id)] && !update_.empty()) begun_[update_of(id)] = unit;
    }

    // product + row of biases, then one activation, when nothing else reads what is in between.
    bool join_matmul(NodeId id) {
        const ProgramNode& n = node(id);
        for (std::size_t k = 0; k < n.inputs.size(); ++k) {
            const NodeId before = n.inputs[k];
            const int u = unit_[std::size_t(before)];
            if (u < 0 || p_.units[std::size_t(u)].kind != Unit::Kind::matmul) continue;
            if (readers_[std::size_t(before)].size() != 1 || pinned(before) || !(node(before).dims == n.dims)) continue;
            const Unit& unit = p_.units[std::size_t(u)];
            if (node(node(unit.nodes[0]).inputs[0]).dims.numel() == 0) continue; // an empty sum is not a product
            if (unit.nodes.back() != before || floor_[std::size_t(id)] > unit.level) continue;
            if (unit.nodes.size() == 1 && n.op->name == "add") {
                const NodeId bias = n.inputs[1 - k];
                const Dims& b = node(bias).dims;
                if (b.numel() != n.dims[1] || b.rank == 0 || b[b.rank - 1] != n.dims[1]) continue;
                if (level(bias) >= unit.level || node(bias).op->runs == Runs::constant) continue;
                join(id, u);
                return true;
            }
            if (unit.nodes.size() == 2 && n.op->epilogue) {
                join(id, u);
                return true;
            }
        }
        return false;
    }

    // A sum over trailing axes of a group's value is taken while its tiles are at hand.
    bool join_as_row_sum(NodeId id) {
        const ProgramNode& n = node(id);
        const NodeId in = n.inputs[0];
        const int u = unit_[std::size_t(in)];
        if (u < 0 || p_.units[std::size_t(u)].kind != Unit::Kind::group || node(in).dims.numel() == 0) return false;
        Unit& unit = p_.units[std::size_t(u)];
        if (!(unit.space == node(in).dims) || unit.nodes.size() >= kMostNodesInGroup) return false;
        if (node(in).op->runs == Runs::row_sum || node(in).op->runs == Runs::assign) return false;
        const Dims& axes = Attributes(n.attributes).integers("axes");
        int trailing = 0;
        for (int i = node(in).dims.rank - 1; i >= 0; --i, ++trailing) {
            bool summed = false;
            for (int a = 0; a < axes.rank; ++a) summed |= axes[a] == i || axes[a] + node(in).dims.rank == i;
            if (!summed) break;
        }
        if (trailing != axes.rank || trailing == node(in).dims.rank) return false;
        for (NodeId other : unit.nodes) // all sums of a group end at the same rows
            if (node(other).op->runs == Runs::row_sum && node(other).dims.numel() != n.dims.numel()) return false;
        join(id, u);
        return true;
    }

    bool can_join(NodeId id, int u) const {
        const Unit& unit = p_.units[std::size_t(u)];
        if (unit.kind != Unit::Kind::group || !(unit.space == node(id).dims)) return false;
        if (unit.nodes.size() >= kMostNodesInGroup || unit.level < floor_[std::size_t(id)]) return false;
        for (NodeId in : node(id).inputs) {
            if (unit_[std::size_t(in)] == u && node(in).op->runs == Runs::elementwise) continue;
            if (unit_[std::size_t(behind(in))] == u || level(in) >= unit.level) return false;
        }
        return true;
    }

    bool join_group(NodeId id) {
        const ProgramNode& n = node(id);
        for (NodeId in : n.inputs) {
            const int u = unit_[std::size_t(in)];
            if (u >= 0 && can_join(id, u)) {
                join(id, u);
                return true;
            }
        }
        if (held_[std::size_t(id)]) {
            auto begun = begun_.find(update_of(id));
            if (begun != begun_.end() && can_join(id, begun->second)) {
                join(id, begun->second);
                return true;
            }
        }
        const int level = std::max(lowest_level(id), floor_[std::size_t(id)]);
        auto it = open_.find({level, n.dims.text()});
        if (it == open_.end() || !can_join(id, it->second) || !shares_an_operand(id, it->second)) return false;
        join(id, it->second);
        return true;
    }

    bool shares_an_operand(NodeId id, int u) const {
        for (NodeId mine : node(id).inputs)
            for (NodeId r : readers_[std::size_t(mine)])
                if (unit_[std::size_t(r)] == u && !(node(mine).dims.numel() == 1)) return true;
        return false;
    }

    // A node that could be computed early, but is only read by one group, moves there: its value then stays in a tile.
    void sink() {
        for (std::size_t i = p_.nodes.size(); i-- > 0;) {
            const NodeId id = NodeId(i);
            const int from = unit_[i], to = readers_[i].empty() ? -1 : unit_[std::size_t(readers_[i][0])];
            if (from < 0 || to < 0 || from == to || pinned(id) || node(id).op->runs != Runs::elementwise) continue;
            if (p_.units[std::size_t(from)].kind != Unit::Kind::group || !can_join(id, to)) continue;
            const bool only = std::all_of(readers_[i].begin(), readers_[i].end(),
                                          [&](NodeId r) { return unit_[std::size_t(r)] == to; });
            if (!only) continue;
            std::erase(p_.units[std::size_t(from)].nodes, id);
            join(id, to);
        }
    }

    void drop_empty_units() {
        std::erase_if(p_.units, [](const Unit& u) { return u.nodes.empty(); });
    }

    // Safety net: an assignment that some other unit of its level or a later one still reads the target of.
    void separate_late_assignments() {
        int last = 0;
        for (const Unit& u : p_.units) last = std::max(last, u.level);
        const std::size_t n = p_.units.size();
        for (std::size_t u = 0; u < n; ++u) {
            auto nodes = p_.units[u].nodes;
            for (NodeId id : nodes) {
                if (node(id).op->runs != Runs::assign || p_.units[u].nodes.size() == 1) continue;
                for (NodeId r : all_readers(node(id).inputs[0])) {
                    const int other = unit_[std::size_t(r)];
                    if (other == int(u) || p_.units[std::size_t(other)].level < p_.units[u].level) continue;
                    std::erase(p_.units[u].nodes, id);
                    new_unit(id, Unit::Kind::group, last + 1);
                    break;
                }
            }
        }
    }

    Program& p_;
    bool enabled_;
    std::vector<int> unit_;
    std::vector<std::vector<NodeId>> readers_;
    std::vector<int> floor_;
    std::vector<char> held_;
    std::vector<NodeId> pinned_;
    std::map<std::pair<int, std::string>, int> open_;
    std::vector<int> update_;            // union-find over held nodes: which update each belongs to
    std::unordered_map<int, int> begun_; // the unit that update is being put into
};

} // namespace

void fuse(Program& program, bool enabled) { Fuser(program, enabled).run(); }

} // namespace elbo::core::freezing
