// A frozen recording: dead nodes pruned, constants folded, equal nodes merged, what a backend claims and elementwise
// chains made into units, units ordered, and every value given its layout and its place in one slab. Nothing edits a
// Program.
//
//     tape --simplify--> nodes --claim--> nodes with packs --groups, stream--> units --schedule--> order --plan-->
//     places
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/dims.hpp"
#include "core/graph/tape.hpp"

namespace elbo::core {

/// A form of a value that only the backend can read: blocked weights.
struct Form {
    std::string name; ///< for people: "OIhw8i8o"
    std::int64_t bytes = 0;
    virtual ~Form() = default;
    /// Whether two forms lay the same value out alike: then it is packed once.
    virtual bool same(const Form& other) const = 0;
};

/// How a value lies in memory. Plain: row-major without gaps.
struct Layout {
    std::int64_t row_stride = 0;      ///< values from one row to the next, a row being the last dimension; 0: no gaps
    std::shared_ptr<const Form> form; ///< or a form of the backend's own
    bool plain() const { return row_stride == 0 && !form; }
    bool operator==(const Layout&) const = default;
    /// Bytes a value of that size takes.
    std::int64_t bytes(const Dims& dims) const;
};

/// A value that lies within another: a part of it, or one of those it is joined of.
struct Window {
    NodeId of;
    std::int64_t offset; ///< in values, from where that one begins
};

/// Where a value lives during a run.
struct Place {
    enum class In : std::uint8_t {
        nowhere,   ///< inside a unit only
        slab,      ///< at byte `at` of the slab
        tensor,    ///< tensor number `at` of the program
        input,     ///< input number `at` of the program
        immediate, ///< a constant, written into the unit that reads it
    };
    In in = In::nowhere;
    std::int64_t at = 0;
    bool operator==(const Place&) const = default;
};

/// What a backend remembers of a unit it has claimed, from claiming to binding.
class Claimed {
public:
    virtual ~Claimed() = default;
    /// Bytes it needs while it runs. Asked once layouts are fixed and before memory is planned.
    virtual std::int64_t scratch(const class Program&, const struct Unit&) { return 0; }
    /// What the library chose, for the dump; "" when there is nothing to say.
    virtual std::string chosen() const { return ""; }
};

/// Something that runs in one go.
struct Unit {
    enum class Kind : std::uint8_t {
        group,    ///< elementwise nodes over one space, read and written tile by tile; sums may end it
        claim,    ///< what a backend took: only the last node's value is seen outside
        streamed, ///< a claim whose value goes, some rows at a time, into a group: a weight's gradient into its update
        kernel,   ///< one node
    };
    Kind kind = Kind::kernel;
    std::vector<NodeId> nodes; ///< of the program, in order; of a streamed unit: the claim's, then the group's
    Dims space;                ///< of a group: the size of its elementwise nodes
    int level = 0;             ///< units of one level do not depend on each other
    // Of a claim:
    std::string label;            ///< "matmul + bias + relu"
    std::vector<NodeId> operands; ///< what it reads, in the backend's order
    bool takes_strides = false;   ///< rows of operands and result may lie apart
    bool by_rows = false;         ///< the result can be had some rows at a time
    std::shared_ptr<Claimed> claimed;
    std::int64_t scratch_bytes = 0, scratch_at = 0; ///< in the slab
    std::size_t claims = 0;                         ///< of a streamed unit: how many of its nodes are the claim's
    /// Of a claim or a streamed unit: the node whose value the backend makes.
    NodeId claimed_value() const { return nodes[(kind == Kind::streamed ? claims : nodes.size()) - 1]; }
    /// The two sides of a streamed unit, as units.
    Unit claim_side() const;
    Unit group_side() const;
};

struct ProgramNode {
    const Op* op;
    std::vector<NodeId> inputs;
    std::vector<Attribute> attributes;
    Dims dims;
    std::string where, scope;                      ///< who asked for it; of a tensor or an input: its name
    std::int64_t given = -1;                       ///< of a tensor or an input: its number
    std::shared_ptr<const Expanded> expanded = {}; ///< of a composite that a backend keeps whole
};

/// A tensor or an input, by name.
struct NamedDims {
    std::string name;
    Dims dims;
    std::int64_t row_stride = 0; ///< as Layout's; of tensors
};

class Program {
public:
    std::string purpose;
    const Op* pack = nullptr;       ///< the op of packs
    std::vector<ProgramNode> nodes; ///< in an order that satisfies every input
    std::vector<NamedDims> tensors, inputs;
    std::vector<NamedNode> outputs;
    NodeId guard = -1;       ///< when this value is not finite, a run stops before it assigns anything
    std::vector<Unit> units; ///< in the order they run
    PerNode<Place> places;
    PerNode<Layout> layouts;
    std::unordered_map<NodeId, Window> windows; ///< of the nodes that lie within others
    std::int64_t slab_bytes = 0;
    std::int64_t live_bytes = 0; ///< most that is alive at once: what the slab would need without gaps

    const ProgramNode& node(NodeId id) const { return nodes[std::size_t(id)]; }
    const Place& place(NodeId id) const { return places[id]; }
    const Layout& layout(NodeId id) const { return layouts[id]; }
    Runs runs(NodeId id) const { return node(id).op->runs; }
    const Dims& dims(NodeId id) const { return node(id).dims; }
    /// Floating point operations of one unit, as its ops count them.
    double flops(const Unit& unit) const;
    /// Bytes a unit reads and writes outside itself.
    double bytes(const Unit& unit) const;
    /// The value of a constant node.
    double constant(NodeId id) const;
};

class Backend;

struct FreezeRequest {
    std::string purpose;
    std::vector<NamedNode> outputs;
    std::vector<Assignment> assignments;
    NodeId guard = -1;
    bool fuse = true; ///< off: one unit per node, to compare with
};

/// Freezes what the outputs and assignments need of a tape, for a backend; nullptr: for none in particular.
std::shared_ptr<const Program> freeze(const Tape& tape, const FreezeRequest& request, const Backend* backend = nullptr);

/// For people: one line per unit with its nodes, sizes, FLOPs, bytes and places; totals at the end.
std::string dump_text(const Program& program);
/// What a unit is: "matmul + bias + relu", "group: mul add exp and 3 more", "kernel: concat".
std::string unit_text(const Program& program, const Unit& unit);
/// Graphviz: units as boxes, values as arrows.
std::string dump_dot(const Program& program);

namespace freezing {
/// Which unit produces each node; -1 for nodes nothing computes.
PerNode<int> unit_of(const Program& program);
/// The node whose memory a node shows: itself, or what it is a view of or a window in.
NodeId source(const Program& program, NodeId id);
/// Values between where that memory begins and where the node does.
std::int64_t offset_in_source(const Program& program, NodeId id);
/// Which axes of its operand a sum goes over, behind one another: the last ones, or the first ones (all of them count
/// as these).
enum class SummedAxes : std::uint8_t { trailing, leading, others };
SummedAxes summed_axes(const Program& program, NodeId sum);
/// Nodes outside the unit that it reads, each once.
std::vector<NodeId> reads(const Program& program, const Unit& unit);
} // namespace freezing

} // namespace elbo::core
