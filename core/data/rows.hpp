// The rows a run works on: a data set's values, split, scaled and checked. Scaling is never silent: `description` says
// what was done, and what a model sees lies in `range`.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/base/dims.hpp"
#include "core/host/part.hpp"
#include "core/host/settings.hpp"

namespace elbo::core {

enum class Split { train = ELBO_TRAIN, test = ELBO_TEST };

/// Options that any data set takes.
struct DataOptions {
    std::string scale = "auto";
    bool standardize = false;
    double test_fraction = 0.1;
    std::int64_t split_seed = 1;

    void parameters(auto& p) {
        p("scale", scale, "unit: the set's range to 0..1; auto: unit for images, none otherwise",
          one_of("auto|unit|none"));
        p("standardize", standardize, "each value to mean 0 and deviation 1 over the training rows");
        p("test_fraction", test_fraction, "of a set without a test split", fraction);
        p("split_seed", split_seed, "chooses these rows", not_negative);
    }
};

/// Something every row has beside the data itself.
struct Field {
    std::string name;
    Dims dims;
    std::uint32_t kind; ///< ELBO_CLASSES, ...
    double low, high;
    std::vector<std::string> names; ///< of its values
    /// How many classes it tells apart; 0 when it is none.
    std::int64_t classes() const;
};

class Rows {
public:
    /// Opens the data set. Throws Error (data). `center` and `spread`, when not empty, are those of an earlier run
    /// (standardize); else they are taken from the training rows.
    Rows(Part& data, const DataOptions& options, std::vector<float> center = {}, std::vector<float> spread = {});

    const Dims& dims() const { return dims_; } ///< of one row
    std::int64_t values() const { return dims_.numel(); }
    std::int64_t count(Split split) const { return std::int64_t(index_[int(split)].size()); }
    /// Smallest and largest value after scaling.
    double low() const { return low_; }
    double high() const { return high_; }
    /// What rows have besides x.
    const std::vector<Field>& fields() const { return fields_; }
    /// nullptr when rows have none of that name.
    const Field* find(const std::string& field) const;

    /// Writes n rows to `out`, scaled. Throws Error (data) for a value that is not finite. Several threads may call it.
    void read(Split split, std::span<const std::int64_t> rows, float* out) const;
    /// The same of another field, as it is.
    void read(const Field& field, Split split, std::span<const std::int64_t> rows, float* out) const;

    /// One line for people: "mnist: 60000 train and 10000 test rows of [28, 28, 1], values 0..255 scaled to 0..1".
    const std::string& description() const { return description_; }
    /// SHA-256 over the files, or over the values where there are none.
    std::string hash() const;
    const std::vector<float>& center() const { return center_; }
    const std::vector<float>& spread() const { return spread_; }

private:
    void take_fields();
    void split_rows();
    void choose_scale();
    void fit_standardize();
    void raw(std::uint32_t field, Split split, const std::int64_t* rows, std::int64_t n, float* out) const;

    Part& part_;
    DataOptions options_;
    elbo_rows info_{};
    Dims dims_;
    std::vector<std::int64_t> index_[ELBO_SPLITS]; ///< our row -> row of the set's split `from_`
    int from_[ELBO_SPLITS] = {ELBO_TRAIN, ELBO_TEST};
    double low_ = 0, high_ = 1, offset_ = 0, factor_ = 1;
    std::vector<float> center_, spread_;
    std::vector<Field> fields_;
    std::string description_;
};

} // namespace elbo::core
