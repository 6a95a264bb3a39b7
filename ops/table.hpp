// The vocabulary: every op elbo has.
#pragma once

#include "core/op.hpp"

namespace elbo::ops {

const core::OpTable& table();

}  // namespace elbo::ops
