// What a machine can do at most, and how near a piece of work comes to it (Williams, Waterman and Patterson 2009).
#pragma once

#include <algorithm>

namespace elbo::core {

/// Measured on the team's threads: operations and bytes per second.
struct Roofline {
    double flops = 0;        ///< of a large product
    double bytes = 0;        ///< of arrays that no cache holds
    double cached_bytes = 0; ///< of arrays that together have `cache` bytes
    double cache = 0;

    /// The least time that work can take. What moves no more than `cache` bytes may have found them in a cache.
    double seconds(double f, double b) const {
        return std::max(f / flops, b / (b <= cache ? std::max(bytes, cached_bytes) : bytes));
    }
};

} // namespace elbo::core
