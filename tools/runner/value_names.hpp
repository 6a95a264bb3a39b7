// Names of the values of a row, where the data set has some: titles of items, words.
#pragma once

#include <string>
#include <vector>

#include "tools/runner/open_run.hpp"

namespace elbo::tools {

/// One for each value of a row; empty where the data set names none. Throws Error (data) for too few or too many.
std::vector<std::string> value_names(const OpenRun& open);
/// The name of a value, or its number.
std::string name_of_value(const std::vector<std::string>& names, std::int64_t value);

} // namespace elbo::tools
