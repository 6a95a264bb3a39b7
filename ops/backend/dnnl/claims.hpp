// What oneDNN takes: each file of this folder that runs an op ends with a ClaimRule for it. A claim becomes a Step when
// its program is bound.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/graph/backend.hpp"
#include "ops/backend/precision.hpp"
#include "ops/backend/tiles.hpp"

namespace elbo::ops {

/// Something that runs in one go on the memory of a program.
class Step {
public:
    virtual ~Step() = default;
    virtual void run(const Memory& memory) = 0;
};

/// Makes the value of a claim some rows at a time, each thread of the team for itself.
class RowMaker {
public:
    virtual ~RowMaker() = default;
    /// Rows number first and those after it, at most block(), as they lie in the value's layout, to `to`.
    virtual void make(const Memory& memory, std::int64_t first, int thread, float* to) = 0;
    /// Rows that are made at a time, whatever the number of threads.
    virtual std::int64_t block() const = 0;
};

/// A claim of this backend, from claiming to binding.
class DnnlClaimed : public core::Claimed {
public:
    virtual std::unique_ptr<Step> bind(const core::Program& program, const core::Unit& unit) const = 0;
    /// Of one that can be had by rows.
    virtual std::unique_ptr<RowMaker> bind_rows(const core::Program&, const core::Unit&) const { return nullptr; }
};

/// A unit with its update behind it (Unit::Kind::streamed).
std::unique_ptr<Step> bind_streamed(const core::Program& program, const core::Unit& unit, const DnnlClaimed& claimed);

/// What may begin with an op of that name, its operands in that precision where it pays.
struct ClaimRule {
    using Claim = std::optional<core::Claim> (*)(const core::Candidates&, core::NodeId head, Precision precision);
    ClaimRule(std::string_view op, Claim claim);
};
/// The rule for an op; nullptr when oneDNN does not run it.
ClaimRule::Claim claim_rule(std::string_view op);

/// What can follow a product or a convolution in the same unit: a row of biases, then one activation. oneDNN applies
/// both, or our own tile does the activation while the result is in the cache.
struct Epilogue {
    core::NodeId bias = -1; ///< [N], or [1, ..., N]
    std::string activation; ///< oneDNN's post-op: "tanh", "sigmoid" or ""
    core::TileFn own = nullptr;
    core::TileFn tile = nullptr; ///< the activation as our own loops apply it, whoever does it here
};
/// Extends a claim by what follows its last node along a result whose last dimension is `width`.
Epilogue claim_epilogue(const core::Candidates& from, core::Claim& claim, std::int64_t width);

/// A reorder into a form that oneDNN asked for.
class PackStep;
std::unique_ptr<Step> bind_pack(const core::Program& program, core::NodeId pack);

/// "oneDNN 2.6.3"
std::string dnnl_version();

} // namespace elbo::ops
