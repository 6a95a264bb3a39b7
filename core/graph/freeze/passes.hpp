// The passes of freezing, in order; each leaves the program ready for the next, and each is linear in its nodes
// (packing sorts).
#pragma once

#include "core/graph/backend.hpp"

namespace elbo::core::freezing {

/// An interpreter of groups can count on no more (ops/backend/tiles).
inline constexpr std::size_t kMostNodesInGroup = 48;

/// Which nodes read each node; views read too. With a node's value outside of units counted as pinned.
class Readers {
public:
    explicit Readers(const Program& program);
    std::span<const NodeId> of(NodeId id) const {
        return {all_.data() + begin_[std::size_t(id)], begin_[std::size_t(id) + 1] - begin_[std::size_t(id)]};
    }
    /// An output or the guard: its value is needed whole.
    bool pinned(NodeId id) const { return pinned_[id] != 0; }
    /// Readers of the value, behind views too.
    std::vector<NodeId> through_views(const Program& program, NodeId id) const;

private:
    std::vector<std::size_t> begin_;
    std::vector<NodeId> all_;
    PerNode<char> pinned_;
};

/// Updates are held back until everything else has read the old value: the nodes that lead to assignments only, in sets
/// that hang together.
class Updates {
public:
    Updates(const Program& program, const Readers& readers);
    bool held(NodeId id) const { return held_[id] != 0; }
    /// Number of the update a held node belongs to.
    NodeId update(NodeId id);

private:
    PerNode<char> held_;
    PerNode<NodeId> joined_; ///< union-find
};

/// Pruning and simplification: from the tape's nodes to the few that matter. Composites that the backend does not keep
/// are written out.
void simplify(const Tape& tape, const FreezeRequest& request, const Backend* backend, Program& program);
/// Makes one product, or one joined value, of sums that unrolled loops leave.
void join_sums(const OpTable& ops, Program& program);
/// Asks the backend what it takes; claimed units are made, and packs put before what wants another layout.
void claim(const Backend* backend, bool fuse, Program& program);
/// Everything else becomes units: elementwise nodes grouped, other nodes alone.
void group(Program& program, bool enabled);
/// Puts the update of a weight behind the claim that makes its gradient, where the backend can go by rows.
void stream(Program& program);
/// Orders the units.
void schedule(Program& program);
/// Rows of matrices in the slab are put as far apart as the backend likes, where all their units can follow.
void choose_layouts(const Backend* backend, Program& program);
/// Parts are read where the whole lies, and joined values made where they belong.
void open_windows(Program& program);
/// Gives every value that crosses units its place.
void plan(Program& program);

} // namespace elbo::core::freezing
