// What this machine can do at most, by a short measurement.
#pragma once

#include "core/graph/backend.hpp"
#include "core/graph/roofline.hpp"

namespace elbo::ops {

/// Takes about a quarter of a second: a square product through the backend, and a + s b over arrays that no cache holds
/// and over some that one may hold, on the team's threads; the best of several times each.
core::Roofline measure_roofline(core::Backend& backend);

} // namespace elbo::ops
