// What the kinds of parts promise of the sizes they give back. Checked after every call, so that the part that breaks
// its promise is the one that is named.
#pragma once

#include <span>
#include <string>

#include "core/graph/tape.hpp"
#include "core/host/part.hpp"

namespace elbo::core {

class Environment;

/// Throws Error (plugin) naming the part, the size it gave, the size it owes and the line of the result. Methods of
/// kinds that are not known pass.
void check_contract(const Tape& tape, Environment& environment, const ComponentInfo& part, const std::string& method,
                    std::span<const NodeId> in, std::span<const NodeId> out);

} // namespace elbo::core
