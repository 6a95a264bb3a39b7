// Chains: runs of ops that many programs have in common (an Adam update, a likelihood with its slope), computed in one
// pass with all values between in registers. A chain is one file in ops/chains: the ops as they stand in a program, and
// a loop that gives the same. Where a fused group holds these ops, the loop takes their place; everything else stays
// as it is.
#pragma once

#include <string_view>

#include "ops/backend/tile_code.hpp"

namespace elbo::ops {

struct Chain {
    /// In the order of ChainCall::in. '#' behind a name: one number for all values.
    std::string_view inputs; ///< "b1# m g"
    /// Results in the order of ChainCall::out; the last one is found first. Operands of add and mul may be swapped.
    std::string_view results; ///< "m1 = add(mul(b1, m), g); y = sqrt(m1)"
    ChainFn run;
};

/// A static of a file in ops/chains.
struct ChainRule {
    explicit ChainRule(const Chain& chain);
};

/// Puts chains where their ops stand. Before products are merged and registers allocated.
void join_chains(TileCode& code);

} // namespace elbo::ops
