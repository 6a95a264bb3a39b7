// Grouping nodes into units, in time linear in nodes.
//
// Every unit has a level, 1 + the highest level it reads. An elementwise node may join a group when everything it reads
// is either in that group or of a lower level; no edge then ever goes from a level to a lower one, so there are no
// cycles. Updates (updates.cpp) get a level above all other readers of the old value and above the guard.
#include <algorithm>
#include <unordered_map>

#include "core/graph/freeze/passes.hpp"

namespace elbo::core::freezing {

namespace {

constexpr std::size_t kMostReadersLookedAt = 32; // for an operand in common: more would make long recurrences quadratic

struct Space {
    int level;
    Dims dims;
    bool operator==(const Space&) const = default;
};
struct HashSpace {
    std::size_t operator()(const Space& s) const {
        std::size_t h = std::size_t(s.level);
        for (int i = 0; i < s.dims.rank; ++i) h = h * 1000003 + std::size_t(s.dims[i]);
        return h;
    }
};

class Grouper {
public:
    Grouper(Program& program, bool enabled)
        : p_(program), enabled_(enabled), readers_(program), updates_(program, readers_), unit_(unit_of(program)),
          floor_(program.nodes.size(), 0), begun_(program.nodes.size(), -1) {}

    void run() {
        each([&](NodeId id) {
            if (!updates_.held(id)) place(id);
        });
        if (enabled_) sink();
        set_floors();
        each([&](NodeId id) {
            if (updates_.held(id)) place(id);
        });
        if (enabled_) sink();
        separate_assignments_read_elsewhere();
        std::erase_if(p_.units, [](const Unit& u) { return u.nodes.empty(); });
        for (Unit& u : p_.units) std::sort(u.nodes.begin(), u.nodes.end());
    }

private:
    template <class F>
    void each(F f) {
        for (NodeId id = 0; std::size_t(id) < p_.nodes.size(); ++id) f(id);
    }
    Unit& unit(int u) { return p_.units[std::size_t(u)]; }
    const Unit& unit(int u) const { return p_.units[std::size_t(u)]; }
    bool groups(NodeId id) const { return p_.runs(id) == Runs::elementwise || p_.runs(id) == Runs::assign; }
    // Of the unit that makes a value, behind views; nothing makes tensors, inputs and constants.
    int level(NodeId id) const {
        const int u = unit_[source(p_, id)];
        return u < 0 ? 0 : unit(u).level;
    }
    int lowest_level(std::span<const NodeId> reads) const {
        int most = 0;
        for (NodeId in : reads) most = std::max(most, level(in));
        return most + 1;
    }

    void set_floors() {
        const int guard = p_.guard >= 0 ? level(p_.guard) + 1 : 0;
        for (NodeId id = NodeId(p_.nodes.size()); id-- > 0;) {
            if (!updates_.held(id)) continue;
            floor_[id] = std::max(floor_[id], guard);
            if (p_.runs(id) == Runs::assign)
                for (NodeId r : readers_.through_views(p_, p_.node(id).inputs[0]))
                    if (!updates_.held(r)) floor_[id] = std::max(floor_[id], level(r) + 1);
            for (NodeId in : p_.node(id).inputs)
                if (updates_.held(in)) floor_[in] = std::max(floor_[in], floor_[id]);
        }
        level_updates();
    }

    // An update is one group: everything held that hangs together waits for the last of what it reads.
    void level_updates() {
        PerNode<int> most(p_.nodes.size(), 0);
        each([&](NodeId id) {
            if (!updates_.held(id)) return;
            int& m = most[updates_.update(id)];
            m = std::max({m, floor_[id], lowest_level(p_.node(id).inputs)});
        });
        each([&](NodeId id) {
            if (updates_.held(id)) floor_[id] = most[updates_.update(id)];
        });
    }

    void place(NodeId id) {
        const Runs runs = p_.runs(id);
        if (runs == Runs::tensor || runs == Runs::input || runs == Runs::view) return;
        if (const int u = unit_[id]; u >= 0) { // claimed
            if (unit(u).level == 0) unit(u).level = lowest_level(unit(u).operands);
            return;
        }
        if (runs == Runs::constant) {
            if (must_be_filled(id)) new_unit(id, Unit::Kind::group, 1);
            return;
        }
        const bool sum = enabled_ && ends_a_group(id);
        if (sum && join_as_sum(id)) return;
        if (enabled_ && groups(id) && join_group(id)) return;
        new_unit(id, sum || groups(id) ? Unit::Kind::group : Unit::Kind::kernel,
                 std::max(lowest_level(p_.node(id).inputs), floor_[id]));
    }

    // Elementwise nodes take constants as immediates; anything else needs them in memory.
    bool must_be_filled(NodeId id) const {
        if (readers_.pinned(id)) return true;
        for (NodeId r : readers_.of(id)) {
            const int u = unit_[r];
            if (!groups(r) || (u >= 0 && unit(u).kind == Unit::Kind::claim)) return true;
        }
        return false;
    }

    void new_unit(NodeId id, Unit::Kind kind, int level) {
        Unit u;
        u.kind = kind;
        u.level = level;
        if (kind == Unit::Kind::group) u.space = space_of(id);
        p_.units.push_back(std::move(u));
        join(id, int(p_.units.size() - 1));
        if (kind == Unit::Kind::group) open_[{level, space_of(id)}] = unit_[id];
    }

    /// What a group that begins with a node goes through: a sum's operand.
    const Dims& space_of(NodeId id) const { return p_.dims(p_.runs(id) == Runs::row_sum ? p_.node(id).inputs[0] : id); }

    void join(NodeId id, int u) {
        unit(u).nodes.push_back(id);
        unit_[id] = u;
        if (updates_.held(id)) begun_[updates_.update(id)] = u;
    }

    bool ends_a_group(NodeId id) const {
        return p_.runs(id) == Runs::row_sum && space_of(id).numel() > 0 && summed_axes(p_, id) != SummedAxes::others;
    }

    // A sum of a group's value is taken while its tiles are at hand, or beside a group that reads the same value.
    bool join_as_sum(NodeId id) {
        const NodeId in = p_.node(id).inputs[0];
        const int u = unit_[in];
        if (u >= 0 && p_.runs(in) == Runs::elementwise && sum_can_join(id, u)) return join(id, u), true;
        const auto it = open_.find({lowest_level(p_.node(id).inputs), space_of(id)});
        if (it == open_.end() || !sum_can_join(id, it->second) || !shares_an_operand(id, it->second)) return false;
        join(id, it->second);
        return true;
    }

    // All sums of a group over trailing axes end at the same rows, and those over leading axes leave the same columns.
    bool sum_can_join(NodeId id, int u) const {
        if (unit(u).kind != Unit::Kind::group || !(unit(u).space == space_of(id))) return false;
        if (unit(u).nodes.size() >= kMostNodesInGroup) return false;
        return std::none_of(unit(u).nodes.begin(), unit(u).nodes.end(), [&](NodeId other) {
            return p_.runs(other) == Runs::row_sum && summed_axes(p_, other) == summed_axes(p_, id) &&
                   p_.dims(other).numel() != p_.dims(id).numel();
        });
    }

    bool can_join(NodeId id, int u) const {
        if (unit(u).kind != Unit::Kind::group || !(unit(u).space == p_.dims(id))) return false;
        if (unit(u).nodes.size() >= kMostNodesInGroup || unit(u).level < floor_[id]) return false;
        for (NodeId in : p_.node(id).inputs) {
            if (unit_[in] == u && p_.runs(in) == Runs::elementwise) continue;
            if (unit_[source(p_, in)] == u || level(in) >= unit(u).level) return false;
        }
        return true;
    }

    bool join_group(NodeId id) {
        for (NodeId in : p_.node(id).inputs)
            if (const int u = unit_[in]; u >= 0 && can_join(id, u)) return join(id, u), true;
        if (updates_.held(id)) {
            const int u = begun_[updates_.update(id)];
            if (u >= 0 && can_join(id, u)) return join(id, u), true;
        }
        const int level = std::max(lowest_level(p_.node(id).inputs), floor_[id]);
        auto it = open_.find({level, p_.dims(id)});
        if (it == open_.end() || !can_join(id, it->second) || !shares_an_operand(id, it->second)) return false;
        join(id, it->second);
        return true;
    }

    bool shares_an_operand(NodeId id, int u) const {
        for (NodeId mine : p_.node(id).inputs) {
            if (p_.dims(mine).numel() == 1) continue;
            if (read_in(mine, u)) return true;
            if (!p_.node(mine).op->part) continue;
            for (NodeId other : looked_at(p_.node(mine).inputs[0])) // parts of one value: gates of a cell
                if (p_.node(other).op->part && read_in(other, u)) return true;
        }
        return false;
    }
    std::span<const NodeId> looked_at(NodeId id) const {
        const auto all = readers_.of(id);
        return all.first(std::min(all.size(), kMostReadersLookedAt));
    }
    bool read_in(NodeId id, int u) const {
        const auto all = looked_at(id);
        return std::any_of(all.begin(), all.end(), [&](NodeId r) { return unit_[r] == u; });
    }

    // A node that could be computed early, but is only read by one group, moves there: its value then stays in a tile.
    void sink() {
        for (NodeId id = NodeId(p_.nodes.size()); id-- > 0;) {
            const int from = unit_[id], to = sinks_to(id);
            if (from < 0 || to < 0 || from == to || readers_.pinned(id) || p_.runs(id) != Runs::elementwise) continue;
            if (unit(from).kind != Unit::Kind::group || !can_join(id, to)) continue;
            std::erase(unit(from).nodes, id);
            join(id, to);
        }
    }

    // The only unit that reads a value. What is drawn is drawn by the first that reads it; the others come later.
    int sinks_to(NodeId id) const {
        const auto all = readers_.of(id);
        const bool drawn = p_.node(id).op->draw;
        int to = all.empty() ? -1 : unit_[all[0]];
        for (NodeId r : all) {
            if (unit_[r] < 0) return -1;
            if (drawn && unit(unit_[r]).level < unit(to).level) to = unit_[r];
        }
        auto can_wait = [&](int u) { return drawn && unit(u).level > unit(to).level; };
        return std::all_of(all.begin(), all.end(), [&](NodeId r) { return unit_[r] == to || can_wait(unit_[r]); }) ? to
                                                                                                                   : -1;
    }

    // Two updates may read each other's targets (a swap): then the value is kept and written when all have read.
    void separate_assignments_read_elsewhere() {
        int last = 0;
        for (const Unit& u : p_.units) last = std::max(last, u.level);
        const int n = int(p_.units.size());
        for (int u = 0; u < n; ++u) {
            const auto nodes = unit(u).nodes;
            for (NodeId id : nodes) {
                if (p_.runs(id) != Runs::assign || unit(u).nodes.size() == 1) continue;
                const auto readers = readers_.through_views(p_, p_.node(id).inputs[0]);
                const bool late = std::any_of(readers.begin(), readers.end(), [&](NodeId r) {
                    return unit_[r] != u && unit(unit_[r]).level >= unit(u).level;
                });
                if (!late) continue;
                std::erase(unit(u).nodes, id);
                new_unit(id, Unit::Kind::group, last + 1);
            }
        }
    }

    Program& p_;
    bool enabled_;
    Readers readers_;
    Updates updates_;
    PerNode<int> unit_;
    PerNode<int> floor_;                             ///< lowest level an update may have
    PerNode<int> begun_;                             ///< by update: the unit it is being put into
    std::unordered_map<Space, int, HashSpace> open_; ///< the newest group of a level and size
};

} // namespace

void group(Program& program, bool enabled) { Grouper(program, enabled).run(); }

} // namespace elbo::core::freezing
