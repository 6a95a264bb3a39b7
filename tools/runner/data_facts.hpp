// What can be said of a data set before anything is trained on it.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "core/data/rows.hpp"
#include "core/host/registry.hpp"
#include "core/run/config.hpp"
#include "core/run/resolve.hpp"

namespace elbo::tools {

/// Of all values of all rows.
struct ValueFacts {
    double low = 0, high = 0, mean = 0;
    double zeros = 0, ones = 0, whole = 0;   ///< shares of the values
    std::vector<std::int64_t> constant = {}; ///< values of a row that are the same in every training row
    bool binary() const { return zeros + ones >= 1; }
    bool are_whole() const { return whole >= 1; }
};

/// Of what rows have beside the data: labels, say.
struct FieldFacts {
    std::string name;
    std::vector<std::string> names;                        ///< of its classes, or of its values
    std::vector<std::array<std::int64_t, 2>> classes = {}; ///< rows of each class, of train and test; none: no classes
    std::vector<std::array<double, 3>> values = {};        ///< low, mean, high of each value of a row that is none
};

/// Rows that have missing values, and what became of them.
struct Gaps {
    std::int64_t rows;
    std::string how; ///< "mean", "drop", ...
};

struct DataFacts {
    core::Dims dims_in_file;
    ValueFacts in_file, seen; ///< as the file has them, and as a model sees them
    std::vector<FieldFacts> fields;
    std::optional<Gaps> gaps;        ///< nothing where the data set refuses such values
    std::vector<std::string> chosen; ///< "data.standardize true": what training chooses by itself for such data
    std::string likelihood;
    std::vector<std::string> warnings, notes; ///< whether the values suit the likelihood
};

/// A data set opened as training would open it, and what was found.
struct OpenData {
    core::RunConfig config;
    std::unique_ptr<core::Part> part;
    std::unique_ptr<core::Rows> rows;
    DataFacts facts;
};

/// `given` holds a model, whose defaults count. Throws Error as training would.
OpenData open_data(const std::vector<core::GivenSetting>& given, core::Registry& registry);

} // namespace elbo::tools
