// Charts as inline SVG, in the page's colours. Values that are not finite are left out.
#pragma once

#include <array>
#include <string>
#include <vector>

namespace elbo::tools::report {

struct Series {
    std::string name;
    std::vector<double> y; ///< at x = 1, 2, 3, ...
};

/// Lines over epochs, with their names and last values.
std::string line_chart(const std::string& title, const std::string& x_label, const std::vector<Series>& series);
/// A bar for each value, in the order given; names below.
std::string bar_chart(const std::string& title, const std::vector<std::string>& names,
                      const std::vector<double>& values, const std::string& unit);
/// Shares of each group in equal steps of the values, one over the other.
std::string histogram(const std::string& title, const std::vector<Series>& groups);

struct Point {
    double x = 0, y = 0;
    int group = 0;
};
/// Points in the colours of their groups, whose names stand below; a group of -1 has none.
std::string map(const std::string& title, const std::vector<Point>& points, const std::vector<std::string>& groups);

} // namespace elbo::tools::report
