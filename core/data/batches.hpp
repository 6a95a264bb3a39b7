// Walking through rows in order, in batches: for whatever looks at a whole split.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "core/base/memory.hpp"
#include "core/data/rows.hpp"

namespace elbo::core {

/// Calls f(at, n, x) for rows first .. first + count of the split, at most `batch` of them at a time: `at` is the first
/// row of n, and x [n, values] holds them, aligned, until f returns.
template <class F>
void for_batches(const Rows& rows, Split split, std::int64_t first, std::int64_t count, std::int64_t batch, F f) {
    if (count <= 0) return;
    batch = std::min(batch, count);
    const AlignedFloats x = aligned_floats(batch * rows.values());
    std::vector<std::int64_t> which(static_cast<std::size_t>(batch));
    for (std::int64_t at = first; at < first + count; at += batch) {
        const std::int64_t n = std::min(batch, first + count - at);
        std::iota(which.begin(), which.end(), at);
        rows.read(split, {which.data(), std::size_t(n)}, x.get());
        f(at, n, std::span<const float>(x.get(), std::size_t(n * rows.values())));
    }
}

} // namespace elbo::core
