// A frozen recording: dead nodes pruned, constants folded, equal nodes merged, elementwise chains and matmul epilogues
// fused into units, units ordered, and every value given its place in one slab. Nothing edits a Program.
//
//     tape --prune, simplify--> nodes --fuse--> units --schedule--> order --plan--> places
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/dims.hpp"
#include "core/graph/tape.hpp"

namespace elbo::core {

/// Where a value lives during a run.
struct Place {
    enum class In : std::uint8_t {
        nowhere,   ///< inside a fused unit only
        slab,      ///< at byte `at` of the slab
        tensor,    ///< tensor number `at` of the program
        input,     ///< input number `at` of the program
        immediate, ///< a constant, written into the unit that reads it
    };
    In in = In::nowhere;
    std::int64_t at = 0;
    bool operator==(const Place&) const = default;
};

/// Something that runs in one go.
struct Unit {
    enum class Kind : std::uint8_t {
        group,  ///< elementwise nodes over one space, read and written tile by tile; row sums may end it
        matmul, ///< a product, then perhaps a bias, then perhaps an activation
        kernel, ///< one node
    };
    Kind kind = Kind::kernel;
    std::vector<NodeId> nodes; ///< of the program, in order
    Dims space;                ///< of a group: the size of its elementwise nodes
    int level = 0;             ///< units of one level do not depend on each other
};

struct ProgramNode {
    const Op* op;
    std::vector<NodeId> inputs;
    std::vector<Attribute> attributes;
    Dims dims;
    std::string where, scope; ///< who asked for it
};

/// A tensor or an input, by name.
struct NamedDims {
    std::string name;
    Dims dims;
};

class Program {
public:
    std::string purpose;
    std::vector<ProgramNode> nodes; ///< in an order that satisfies every input
    std::vector<NamedDims> tensors, inputs;
    std::vector<NamedNode> outputs;
    NodeId guard = -1;         ///< when this value is not finite, a run stops before it assigns anything
    std::vector<Unit> units;   ///< in the order they run
    std::vector<Place> places; ///< per node
    std::int64_t slab_bytes = 0;
    std::int64_t live_bytes = 0; ///< most that is alive at once: what the slab would need without gaps

    const ProgramNode& node(NodeId id) const { return nodes[std::size_t(id)]; }
    const Place& place(NodeId id) const { return places[std::size_t(id)]; }
    /// Floating point operations of one unit: 2 m n k for a product, one per value and op elsewhere.
    double flops(const Unit& unit) const;
    /// Bytes a unit reads and writes outside itself.
    double bytes(const Unit& unit) const;
    /// The value of a `constant` node.
    double constant(NodeId id) const;
};

struct FreezeRequest {
    std::string purpose;
    std::vector<NamedNode> outputs;
    std::vector<Assignment> assignments;
    NodeId guard = -1;
    bool fuse = true; ///< off: one unit per node, to compare with
};

/// Freezes what the outputs and assignments need of a tape.
std::shared_ptr<const Program> freeze(const Tape& tape, const FreezeRequest& request);

/// For people: one line per unit with its nodes, sizes, FLOPs, bytes and places; totals at the end.
std::string dump_text(const Program& program);
/// Graphviz: units as boxes, values as arrows.
std::string dump_dot(const Program& program);

namespace freezing {
/// The passes, in order; each leaves the program ready for the next.
void simplify(const Tape& tape, const FreezeRequest& request, Program& program);
void fuse(Program& program, bool enabled);
void schedule(Program& program);
void plan(Program& program);
/// Which unit produces each node; -1 for nodes nothing computes.
std::vector<int> unit_of(const Program& program);
/// The node whose memory a node shows: itself, or what it is a view of.
NodeId source(const Program& program, NodeId id);
/// Nodes outside the unit that it reads, each once.
std::vector<NodeId> reads(const Program& program, const Unit& unit);
} // namespace freezing

} // namespace elbo::core
