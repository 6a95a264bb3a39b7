// The rows a run works on: a data set's values, split, scaled and checked. Scaling is never silent: `description` says
// what was done, and what a model sees lies in `range`.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/dims.hpp"
#include "core/data/scaling.hpp"
#include "core/data/transforms.hpp"
#include "core/host/data_options.hpp"
#include "core/host/part.hpp"

namespace elbo::core {

enum class Split { train = ELBO_TRAIN, test = ELBO_TEST };

struct KeptRows;

/// Something every row has: x, the data itself, or what goes with it.
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
    /// Opens the data set. Throws Error (data). What an earlier run standardized with is used again, when it is not
    /// empty; else it is taken from the training rows.
    Rows(Part& data, const DataOptions& options, const Scaler& earlier = {});
    /// Of data that cannot be opened, and why: what a run kept says what they are. Whatever would read a row throws
    /// that error.
    Rows(Part& data, const KeptRows& kept, const Scaler& earlier, const Error& why);
    /// The same data with other options, from the beginning.
    void prepare(const DataOptions& options, const Scaler& earlier = {});

    const Dims& dims() const { return dims_; } ///< of one row
    std::int64_t values() const { return dims_.numel(); }
    std::int64_t count(Split split) const { return count_[int(split)]; }
    /// Smallest and largest value after scaling, of the training rows.
    double low() const { return low_; }
    double high() const { return high_; }
    /// The same of all rows.
    std::pair<double, double> reach() const { return reach_; }
    /// log p of a row in its own units is log p in those of the model and this, in nats.
    double log_scale() const { return scaling_.log_scale(std::size_t(values())); }
    /// Whether x is what the data set gives, value for value.
    bool as_given() const { return scaling_.changes_nothing() && !transforms_.before() && !transforms_.after(); }
    /// Row i of a split, as the data set counts them: of its own split where it has one, else of all its rows.
    /// Throws std::out_of_range for a row that is not there.
    std::int64_t number_in_set(Split split, std::int64_t i) const;
    /// Whether the test rows are the set's own, not drawn from its rows by the host.
    bool has_own_test_rows() const { return from_[ELBO_TEST] == ELBO_TEST; }
    /// False where the data could not be opened.
    bool are_there() const { return !why_absent_; }
    /// x as the data set gives it.
    const Field& x() const { return x_; }
    bool are_tokens() const { return x_.kind == ELBO_TOKENS; }
    /// What rows have besides x.
    const std::vector<Field>& fields() const { return fields_; }
    /// The distribution that suits each column, as the likelihood `mixed` writes it; empty where the data does not say.
    const std::string& columns() const { return columns_; }
    /// nullptr when rows have none of that name. Besides `fields` there is "row", the number of a row in its split.
    const Field* find(const std::string& field) const;

    /// Writes n rows to `out`, scaled and transformed as in an epoch of training, from 1; 0: as everywhere else. Throws
    /// Error (data) for a value that is not finite. Several threads may call it.
    void read(Split split, std::span<const std::int64_t> rows, float* out, std::uint64_t epoch = 0) const;
    /// The same of another field, as it is.
    void read(const Field& field, Split split, std::span<const std::int64_t> rows, float* out) const;

    /// One line for people: "mnist: 60000 train and 10000 test rows of [28, 28, 1], values 0..255 scaled to 0..1".
    const std::string& description() const { return description_; }
    /// What the data set says of how it was read, a line each: rows that were cut, say.
    std::vector<std::string> notes() const;
    /// SHA-256 over the files, or over the values where there are none; empty where the rows are not there.
    std::string hash() const;
    /// What was read; none when the data is generated.
    std::vector<std::string> files() const;
    const Scaler& scaler() const { return scaling_.scaler(); }

private:
    void take_fields();
    void split_rows();
    void draw_test_rows(std::size_t n, std::size_t n_test);
    std::int64_t row_values() const { return std::max(values(), transforms_.from().numel()); }
    void choose_scale();
    void fit_standardize(const Scaler& earlier);
    void find_reach();
    template <class Statistic>
    Statistic over_training(Statistic out) const;
    template <class F>
    void in_pieces(Split split, std::span<const std::int64_t> rows, std::int64_t row_values, F f) const;
    template <class Value>
    void raw(std::uint32_t field, Split split, const std::int64_t* rows, std::int64_t n, Value* out) const;
    template <class Value>
    void must_be_finite(std::span<const Value> x, const std::int64_t* rows) const;
    void read_f64(Split split, const std::int64_t* which, std::int64_t n, std::span<double> out,
                  std::uint64_t epoch) const;
    void read_f32(Split split, const std::int64_t* which, std::int64_t n, std::span<float> out,
                  std::uint64_t epoch) const;
    void choose_transforms();
    template <class F>
    void each_row(Split split, const std::int64_t* which, std::int64_t n, std::uint64_t epoch, F f) const;

    Part& part_;
    DataOptions options_;
    elbo_rows info_{};
    Dims dims_;
    std::int64_t count_[ELBO_SPLITS] = {};
    std::vector<std::uint32_t> index_[ELBO_SPLITS]; ///< our row -> row of the set's split `from_`; empty: the same
    int from_[ELBO_SPLITS] = {ELBO_TRAIN, ELBO_TEST};
    double low_ = 0, high_ = 1;
    std::pair<double, double> reach_;
    bool gives_f64_ = false; ///< the set gives its values in f64 too
    bool precise_ = false;   ///< and f32 would round some of them
    Scaling scaling_;
    Transforms transforms_;
    bool binarizing_ = false; ///< once it is known that values lie in 0..1
    Field x_{};
    std::vector<Field> fields_;
    std::shared_ptr<const Error> why_absent_;
    Field row_{"row", {1}, ELBO_COUNTS, 0, 0, {}};
    std::string columns_, description_;
};

} // namespace elbo::core
