// Ordering units: whatever is ready and came first on the tape, but an update as soon as it can run, so that its
// gradient's memory is free again.
#include <algorithm>
#include <queue>
#include <stdexcept>

#include "core/graph/freeze/passes.hpp"

namespace elbo::core::freezing {

namespace {

class Scheduler {
public:
    explicit Scheduler(Program& program)
        : p_(program), unit_(unit_of(program)), after_(program.units.size()), waits_(program.units.size(), 0) {}

    void run() {
        for (std::size_t u = 0; u < p_.units.size(); ++u) {
            for (NodeId in : reads(p_, p_.units[u])) depend(u, unit_[source(p_, in)]);
        }
        updates_last();
        order();
    }

private:
    void depend(std::size_t unit, int on) {
        if (on < 0 || std::size_t(on) == unit) return;
        after_[std::size_t(on)].push_back(int(unit));
        ++waits_[unit];
    }

    // A tensor is overwritten only when everything else has read it and the guard has been checked.
    void updates_last() {
        PerNode<std::vector<int>> readers(p_.nodes.size());
        for (std::size_t u = 0; u < p_.units.size(); ++u)
            for (NodeId in : reads(p_, p_.units[u])) readers[source(p_, in)].push_back(int(u));
        for (std::size_t u = 0; u < p_.units.size(); ++u)
            for (NodeId id : p_.units[u].nodes) {
                if (p_.runs(id) != Runs::assign) continue;
                for (int r : readers[p_.node(id).inputs[0]]) depend(u, r);
                if (p_.guard >= 0) depend(u, unit_[source(p_, p_.guard)]);
            }
    }

    std::int64_t urgency(int u) const {
        const Unit& unit = p_.units[std::size_t(u)];
        for (NodeId id : unit.nodes)
            if (p_.runs(id) == Runs::assign) return -1;
        return unit.nodes.front();
    }

    void order() {
        using Entry = std::pair<std::int64_t, int>;
        std::priority_queue<Entry, std::vector<Entry>, std::greater<>> ready;
        for (std::size_t u = 0; u < p_.units.size(); ++u)
            if (waits_[u] == 0) ready.emplace(urgency(int(u)), int(u));
        std::vector<Unit> ordered;
        while (!ready.empty()) {
            const int u = ready.top().second;
            ready.pop();
            ordered.push_back(std::move(p_.units[std::size_t(u)]));
            for (int next : after_[std::size_t(u)])
                if (--waits_[std::size_t(next)] == 0) ready.emplace(urgency(next), next);
        }
        if (ordered.size() != p_.units.size())
            throw std::logic_error("schedule: units depend on each other in a circle");
        p_.units = std::move(ordered);
    }

    Program& p_;
    PerNode<int> unit_;
    std::vector<std::vector<int>> after_;
    std::vector<int> waits_;
};

} // namespace

void schedule(Program& program) { Scheduler(program).run(); }

} // namespace elbo::core::freezing
