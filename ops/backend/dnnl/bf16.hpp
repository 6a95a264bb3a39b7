// Operands in bf16: each is converted by a pack, which all claims share that read the same value.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>

#include "core/graph/program.hpp"
#include "ops/backend/dnnl/library.hpp"

namespace elbo::ops {

/// Whether a product of m x k and k x n gains more than the conversion of its operands costs: a value of the first
/// meets n others, one of the second m, and in the gradients k. They have the same three sizes and share what is
/// converted, so by the smallest of these they are all in bf16 or none is. Below about 100 rows, or so few inputs or
/// outputs, a converted value is used too few times. Of a convolution: how many others a weight, a value of the
/// result's gradient and one of the image meet.
inline bool pays_in_bf16(std::int64_t m, std::int64_t k, std::int64_t n) {
    constexpr std::int64_t kLeast = 96;
    return std::min({m, k, n}) >= kLeast;
}

/// A value as it lies, in bf16 and without gaps.
std::shared_ptr<const core::Form> as_bf16(const core::Program& program, core::NodeId id);

} // namespace elbo::ops
