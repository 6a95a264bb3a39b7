// Who runs a Program. A backend is asked while a tape is frozen (what it takes as one unit, how it wants values to
// lie), then binds the program to memory and runs it. There are two, behind one face: `dnnl` (f32, fast) and
// `reference` (f64, slow and plain).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/graph/program.hpp"

namespace elbo::core {

/// What a backend takes as one unit: a product or a convolution with what follows it, a composite whole.
struct Claim {
    std::string label;            ///< "matmul + bias + relu"
    std::vector<NodeId> nodes;    ///< in order; the last one's value is the result, the others are seen by nobody else
    std::vector<NodeId> operands; ///< what it reads, in the backend's order
    /// Per operand: the form it is wanted in, nullptr for as it is. The same form of the same value is made once.
    std::vector<std::shared_ptr<const Form>> forms;
    bool takes_strides = false; ///< rows of operands and result may lie apart
    std::shared_ptr<Claimed> claimed;
    bool by_rows = false; ///< the result can be had some rows at a time, by a unit with an update behind it
};

/// What a backend may look at while it decides.
class Candidates {
public:
    virtual ~Candidates() = default;
    virtual const Program& program() const = 0;
    /// The one node that reads `id`, when nothing else needs its value; else -1.
    virtual NodeId only_reader(NodeId id) const = 0;
    /// Whether a node is there to be taken: in no claim yet, and no part of an update.
    virtual bool free(NodeId id) const = 0;
};

/// What changes from run to run.
struct Feed {
    std::span<const float* const> inputs; ///< in the program's order
    Noise noise;
};

/// Is told of each unit once it has run; times are seconds_now()'s.
class UnitWatcher {
public:
    virtual ~UnitWatcher() = default;
    virtual void unit(std::size_t number, double began, double ended) = 0;
};

/// A program bound to the tensors it reads and writes. Used by one thread at a time.
class Bound {
public:
    virtual ~Bound() = default;
    /// Runs it once; allocates nothing of ours. False: the guard was not finite, and nothing was assigned.
    virtual bool run(const Feed& feed) = 0;
    /// Output number i of the program; valid until the next run.
    virtual std::span<const float> output(std::size_t i) const = 0;
    virtual const Program& program() const = 0;
    /// Who is told of the units of the runs that follow; nullptr: nobody.
    void watch(UnitWatcher* watcher) { watcher_ = watcher; }

protected:
    UnitWatcher* watcher_ = nullptr;
};

/// What a replay for diagnosis found.
struct NonFinite {
    NodeId node = -1;
    std::int64_t index = 0;
    double value = 0;
};

class Backend {
public:
    virtual ~Backend() = default;
    virtual std::string name() const = 0;

    /// Whether a composite stays whole in a program, to be claimed.
    virtual bool keeps(const Op&, std::span<const Dims>) const { return false; }
    /// What it takes as one unit that begins with `head`.
    virtual std::optional<Claim> claim(const Candidates&, NodeId) const { return {}; }
    /// How far apart the rows of a matrix of that size lie best, in values; 0: without gaps. Holds for all matrices of
    /// a program and for kept tensors, so it may depend on the size alone.
    virtual std::int64_t row_stride(const Dims&) const { return 0; }

    /// tensors: one pointer per tensor of the program, alive as long as the result.
    virtual std::unique_ptr<Bound> bind(std::shared_ptr<const Program> program, std::vector<float*> tensors) = 0;
    /// Runs node by node, rounding each to f32, assigns nothing, and finds the first value that is not finite.
    virtual NonFinite find_non_finite(const Program& program, const std::vector<float*>& tensors, const Feed& feed) = 0;
};

} // namespace elbo::core
