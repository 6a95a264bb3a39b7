// Why a program has as many units as it has: what kept each from being one with a unit that makes what it reads.
#pragma once

#include <string>
#include <vector>

#include "core/graph/program.hpp"

namespace elbo::core {

/// One unit reads what another has made, and they are two.
struct Seam {
    int maker = -1, reader = -1;
    NodeId value = -1; ///< as it is read: a view of what was made, or that itself
    std::string why;   ///< "a sum ends the group", "sizes differ: [128, 400] and [400]"
};

/// All seams of a program that was frozen with fusion, by reader; each pair of units once, for the largest value
/// between them.
std::vector<Seam> seams(const Program& program);

/// For people, one note for each unit: why it is not one with the unit that makes its largest operand, or, where
/// nothing makes what it reads, with the first that reads its result. "" for a unit without neighbours.
std::vector<std::string> why_apart(const Program& program);

} // namespace elbo::core
