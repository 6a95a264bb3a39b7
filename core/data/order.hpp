// Orders of rows, drawn. Four bytes a row: a file of 20 GB of small rows has orders of hundreds of megabytes.
#pragma once

#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "core/base/philox.hpp"

namespace elbo::core {

/// A permutation of 0 .. order.size() - 1 (Fisher and Yates), at most 2^32 - 1 of them.
template <class Index>
void shuffle(std::vector<Index>& order, PhiloxSequence draw) {
    std::iota(order.begin(), order.end(), Index(0));
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[draw.below(std::uint32_t(i))]);
}

/// The order of the training rows in an epoch.
template <class Index>
void shuffle_rows(std::uint64_t seed, std::uint64_t epoch, std::vector<Index>& order) {
    shuffle(order, PhiloxSequence(seed, stream_of("shuffle"), epoch));
}

} // namespace elbo::core
