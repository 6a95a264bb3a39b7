// The picture of a sweep: loss against each swept key, as one SVG that needs nothing else and follows the reader's
// light or dark theme.
#pragma once

#include <set>
#include <string>

#include "tools/runner/sweep/outcome.hpp"

namespace elbo::tools {

/// A panel for each swept key. `logarithmic`: keys drawn on a log scale, since they were drawn from such a range.
std::string svg_of(const Outcome& outcome, const std::set<std::string>& logarithmic);

} // namespace elbo::tools
