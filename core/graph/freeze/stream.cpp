// A weight's gradient is made some rows at a time, and each part goes through the weight's update while it lies in the
// cache: it is never written to memory. The unit waits, as every update does, for the guard and for all other readers
// of the old weight (schedule.cpp), and so a run whose loss is not finite assigns nothing.
#include <algorithm>

#include "core/graph/freeze/passes.hpp"

namespace elbo::core::freezing {

namespace {

class Streamer {
public:
    explicit Streamer(Program& program) : p_(program), readers_(program), unit_(unit_of(program)) {
        for (NodeId id = 0; std::size_t(id) < p_.nodes.size(); ++id)
            if (p_.runs(id) == Runs::assign) assigned_.push_back(p_.node(id).inputs[0]);
        std::sort(assigned_.begin(), assigned_.end());
    }

    void run() {
        for (Unit& claim : p_.units)
            if (const int update = update_behind(claim); update >= 0) join(claim, p_.units[std::size_t(update)]);
        std::erase_if(p_.units, [](const Unit& u) { return u.nodes.empty(); });
    }

private:
    // A claim that reads a tensor which is assigned would have to run before another unit that waits for it.
    int update_behind(const Unit& claim) const {
        if (claim.kind != Unit::Kind::claim || !claim.by_rows) return -1;
        const NodeId gradient = claim.nodes.back();
        const auto readers = readers_.of(gradient);
        if (readers.empty() || readers_.pinned(gradient)) return -1;
        const int u = unit_[readers[0]];
        const bool one = std::all_of(readers.begin(), readers.end(), [&](NodeId r) { return unit_[r] == u; });
        if (u < 0 || !one || !is_update(u, p_.dims(gradient))) return -1;
        const bool reads_assigned = std::any_of(claim.operands.begin(), claim.operands.end(), [&](NodeId in) {
            return std::binary_search(assigned_.begin(), assigned_.end(), source(p_, in));
        });
        return reads_assigned ? -1 : u;
    }

    // Nothing of it is seen outside but what it assigns.
    bool is_update(int u, const Dims& space) const {
        const Unit& unit = p_.units[std::size_t(u)];
        if (unit.kind != Unit::Kind::group || unit.nodes.empty() || !(unit.space == space)) return false;
        return std::all_of(unit.nodes.begin(), unit.nodes.end(), [&](NodeId id) {
            if (p_.runs(id) == Runs::assign) return true;
            const auto all = readers_.of(id);
            return p_.runs(id) == Runs::elementwise && !readers_.pinned(id) &&
                   std::all_of(all.begin(), all.end(), [&](NodeId r) { return unit_[r] == u; });
        });
    }

    static void join(Unit& claim, Unit& update) {
        claim.kind = Unit::Kind::streamed;
        claim.claims = claim.nodes.size();
        claim.nodes.insert(claim.nodes.end(), update.nodes.begin(), update.nodes.end());
        claim.space = update.space;
        claim.level = update.level;
        update.nodes.clear();
    }

    Program& p_;
    Readers readers_;
    PerNode<int> unit_;
    std::vector<NodeId> assigned_;
};

} // namespace

void stream(Program& program) { Streamer(program).run(); }

} // namespace elbo::core::freezing
