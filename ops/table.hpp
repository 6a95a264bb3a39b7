// The vocabulary: every op elbo has.
#pragma once

#include "core/graph/op.hpp"

namespace elbo::ops {

const core::OpTable& table();

} // namespace elbo::ops
