// Rankings of what a row lacks: the values of a row that are not there yet, the most likely first, and which of them
// are those that were held out of it (the fields `held` and `held_lengths`).
#pragma once

#include <string_view>
#include <vector>

#include "tools/metrics/metric.hpp"

namespace elbo::tools {

struct Ranking {
    std::vector<char> found; ///< of the first k places: whether what stands there was held out
    std::int64_t held = 0;   ///< how many were held out
};
/// Of each row from which something was held out. Values of equal likelihood stand in the order of their numbers.
/// Throws Error (data) where nothing was held out of any row, (usage) where rows have fewer than k values.
std::vector<Ranking> rankings(Judged& judged, std::string_view metric, std::int64_t k);

/// The numbers of the first k of n scores that are not left out, best first.
std::vector<std::int64_t> best_of(std::span<const float> scores, const std::vector<char>& left_out, std::int64_t k);

} // namespace elbo::tools
