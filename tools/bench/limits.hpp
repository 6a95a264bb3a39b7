// What this machine can do at most, by the same backend and team that the workloads run on: the measure of a step.
#pragma once

#include <cstdint>

#include "core/graph/backend.hpp"

namespace elbo::bench {

struct Limits {
    double gflops = 0;    ///< products of about 1000 x 1000 x 1000, the best of several sizes and tries
    double near_gb_s = 0; ///< a[i] = b[i] + s c[i] over 8 MB
    double far_gb_s = 0;  ///< over 256 MB
};

/// seconds: about how long to try. Uses the team of the backend.
Limits limits_of(core::Backend& backend, double seconds);

} // namespace elbo::bench
