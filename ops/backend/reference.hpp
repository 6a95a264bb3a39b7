// The slow backend: f64, one node after the other, by each op's reference. For gradient checks, differential tests and
// finding where a number stopped being finite.
#pragma once

#include <vector>

#include "core/graph/backend.hpp"

namespace elbo::ops {

using Doubles = std::vector<double>;

/// Values of every node of a program for the given tensors and inputs. round: to f32 after each node.
/// Assignments are evaluated and written nowhere. With a watcher, unit after unit.
std::vector<Doubles> reference_values(const core::Program& program, const std::vector<Doubles>& tensors,
                                      const std::vector<Doubles>& inputs, core::Noise noise, bool round = false,
                                      core::UnitWatcher* watcher = nullptr);

/// One node for given operands; a composite that was kept whole is written out.
Doubles reference_value(const core::ProgramNode& node, const std::vector<Doubles>& in,
                        const std::vector<core::Dims>& dims, core::Noise noise);

core::NonFinite first_non_finite(const core::Program& program, const std::vector<float*>& tensors,
                                 const core::Feed& feed);

} // namespace elbo::ops
