// Held back: assignments, and elementwise nodes of the tensor's size that lead to assignments only. They wait for a
// level above all other readers of the old value, so that they can write it in place.
#include <algorithm>

#include "core/graph/freeze/passes.hpp"

namespace elbo::core::freezing {

Updates::Updates(const Program& p, const Readers& readers) : held_(p.nodes.size(), 0), joined_(p.nodes.size(), 0) {
    for (NodeId id = NodeId(p.nodes.size()); id-- > 0;) {
        if (p.runs(id) == Runs::assign) held_[id] = 1;
        if (p.runs(id) != Runs::elementwise || readers.pinned(id) || readers.of(id).empty()) continue;
        held_[id] = std::all_of(readers.of(id).begin(), readers.of(id).end(),
                                [&](NodeId r) { return held_[r] && p.dims(r) == p.dims(id); });
    }
    for (NodeId id = 0; std::size_t(id) < p.nodes.size(); ++id) joined_[id] = id;
    for (NodeId id = 0; std::size_t(id) < p.nodes.size(); ++id)
        for (NodeId in : p.node(id).inputs)
            if (held_[id] && held_[in]) joined_[update(in)] = update(id);
}

NodeId Updates::update(NodeId id) {
    while (joined_[id] != id) id = joined_[id] = joined_[joined_[id]];
    return id;
}

} // namespace elbo::core::freezing
