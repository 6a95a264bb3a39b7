// Numbers for other programs: NumPy's .npy and CSV, each file written whole or not at all.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "core/base/dims.hpp"
#include "core/files/atomic.hpp"

namespace elbo::core {

/// Values of the shape `dims` (row-major), written as they come: as .npy where the path ends so, else as CSV with a
/// line of column names, `column` and a number. Throws as AtomicFile; without commit() nothing is left.
class ArrayFile {
public:
    ArrayFile(const std::filesystem::path& path, const Dims& dims, const std::string& column);
    /// Whole rows.
    void add(std::span<const float> values);
    /// As many values as `dims` says must have been added.
    void commit();

private:
    AtomicFile file_;
    Dims dims_;
    bool csv_;
    std::int64_t given_ = 0;
};

/// `values` of the shape `dims` (row-major) as '<f4' in NumPy's format 1.0. Throws Error (failure) as AtomicFile does.
void write_npy(const std::filesystem::path& path, std::span<const float> values, const Dims& dims);

/// A line of column names, then `rows`, row-major with as many values per row as there are columns. Numbers are as
/// short as they can be and still read back the same; "nan", "inf" and "-inf" for the rest. Throws as write_npy.
void write_csv(const std::filesystem::path& path, const std::vector<std::string>& columns,
               std::span<const double> rows);

} // namespace elbo::core
