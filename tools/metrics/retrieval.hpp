// Retrieval: for each row the training rows that are nearest to it by some measure, and how many of them have its
// class.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "tools/metrics/metric.hpp"

namespace elbo::tools {

/// `near(i, scores)` writes how near each training row is to row i. A mean over the rows, of the share of the k nearest
/// that have the row's class; as near ones in their order. Where the training rows themselves are judged, a row is not
/// found by itself. Throws Error (usage) where there are fewer than k.
double retrieval_precision(Judged& judged, std::string_view metric, std::int64_t k,
                           const std::function<void(std::int64_t, std::vector<float>&)>& near);

} // namespace elbo::tools
