// Running a Program. There are two executors, behind one face: `dnnl` (f32, fast) and `reference` (f64, slow and
// plain).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/graph/program.hpp"

namespace elbo::core {

/// What changes from run to run.
struct Feed {
    std::span<const float* const> inputs; ///< in the program's order
    Noise noise;
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
};

/// What a replay for diagnosis found.
struct NonFinite {
    NodeId node = -1;
    std::int64_t index = 0;
    double value = 0;
};

class Executor {
public:
    virtual ~Executor() = default;
    virtual std::string name() const = 0;
    /// tensors: one pointer per tensor of the program, alive as long as the result.
    virtual std::unique_ptr<Bound> bind(std::shared_ptr<const Program> program, std::vector<float*> tensors) = 0;
    /// Runs node by node, rounding each to f32, assigns nothing, and finds the first value that is not finite.
    virtual NonFinite find_non_finite(const Program& program, const std::vector<float*>& tensors, const Feed& feed) = 0;
};

} // namespace elbo::core
