// Numbers for other programs: NumPy's .npy and CSV, each file written whole or not at all.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "core/base/dims.hpp"

namespace elbo::core {

/// `values` of the shape `dims` (row-major) as '<f4' in NumPy's format 1.0. Throws Error (failure) as AtomicFile does.
void write_npy(const std::filesystem::path& path, std::span<const float> values, const Dims& dims);

/// A line of column names, then `rows`, row-major with as many values per row as there are columns. Numbers are as
/// short as they can be and still read back the same; "nan", "inf" and "-inf" for the rest. Throws as write_npy.
void write_csv(const std::filesystem::path& path, const std::vector<std::string>& columns,
               std::span<const double> rows);

} // namespace elbo::core
