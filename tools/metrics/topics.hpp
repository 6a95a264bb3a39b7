// Topics as metrics see them: the values that are likeliest where one latent is alone.
#pragma once

#include <string_view>
#include <vector>

#include "tools/metrics/metric.hpp"

namespace elbo::tools {

/// The `count` likeliest values of each latent, of a code that is large there and 0 elsewhere. Throws Error (usage)
/// where rows have fewer values.
std::vector<std::vector<std::int64_t>> top_values(Judged& judged, std::string_view metric, std::int64_t count);

} // namespace elbo::tools
