// What several metrics ask of what they are given: each of these throws an Error that names the metric.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tools/metrics/metric.hpp"

namespace elbo::tools {

/// judged.range(); throws Error (data) where it is 0, since nothing can be measured by it then.
double range_of(Judged& judged, std::string_view metric);

/// Throws Error (diverged) for a row with a value that is not finite. what: "reconstruction", for people.
void must_be_finite(const Matrix& rows, std::string_view metric, std::string_view what);

/// Scores and which rows are anomalies, 1 or 0.
struct Anomalies {
    std::vector<double> scores; ///< a row without a finite score counts as the most anomalous: infinite
    std::vector<int> is;
};
/// labels: those that count as anomalous, "1" or "4+9". Throws Error (usage) for a text that is none, and (data) for a
/// label that no row has and where all rows are anomalies.
Anomalies anomalies_of(Judged& judged, std::string_view metric, const std::string& labels);

} // namespace elbo::tools
