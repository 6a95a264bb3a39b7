// What this machine can do at most, by a short measurement.
#pragma once

#include <cstdint>

#include "core/graph/backend.hpp"
#include "core/graph/roofline.hpp"

namespace elbo::ops {

/// Products of about 700 x 700 x 700 through the backend, and a + s b over arrays that no cache holds (of `far_bytes`
/// together) and over some that one may hold, on the team's threads; the best of several times each.
core::Roofline measure_roofline(core::Backend& backend, double seconds = 0.2, std::int64_t far_bytes = 120 << 20);

} // namespace elbo::ops
