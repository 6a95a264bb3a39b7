// How values are changed before a model sees them: to 0..1, and to mean 0 and deviation 1. What that takes is found
// over the training rows alone, and applied in f64, before a value is rounded to f32: a time stamp in seconds keeps its
// seconds.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace elbo::core {

/// What standardizing takes, one number per value of a row; both empty for none. It is kept with the weights.
struct Scaler {
    std::vector<double> center, spread;
};

/// Smallest and largest value, of each column or of all.
struct Ranges {
    std::vector<double> low, high; ///< one entry for all values, or one per column
    explicit Ranges(std::size_t columns);
    /// [n, values]
    void add(std::span<const double> rows);

private:
    void add_to_one(std::span<const double> rows);
};

/// The mean and deviation of each column (Welford 1962).
class Moments {
public:
    explicit Moments(std::size_t columns) : mean_(columns), squares_(columns) {}
    void add(std::span<const double> rows);
    /// A column that does not vary, beyond what f64 rounds, keeps its values: its spread is 1.
    Scaler scaler() const;

private:
    double seen_ = 0;
    std::vector<double> mean_, squares_;
};

/// Of an f64 result to f32. `up` keeps on which side of any f32 a value lies: v > t exactly where its f32 is.
enum class Rounding { nearest, up };

class Scaling {
public:
    /// Values to 0..1 over these ranges.
    void to_unit(const Ranges& over, bool clip);
    void standardize(Scaler scaler) { scaler_ = std::move(scaler); }
    const Scaler& scaler() const { return scaler_; }

    bool changes_nothing() const { return offset_.empty() && scaler_.center.empty(); }
    /// One offset and one factor for all values, and no more: f32 is good enough.
    bool is_plain() const { return offset_.size() <= 1 && scaler_.center.empty() && !clip_; }
    /// Sum over `values` values of log d(scaled)/d(as it was), in nats.
    double log_scale(std::size_t values) const;
    void apply_plain(std::span<float> values) const;
    /// [n, values]
    void apply(std::span<double> rows, std::size_t values) const;
    /// The same of values that f32 holds, in place; each is rounded once, at the end.
    void apply(std::span<float> rows, std::size_t values, Rounding to) const;

private:
    std::vector<double> offset_, factor_; ///< (x - offset) * factor; empty for none, one for all, or one per column
    bool clip_ = false;
    Scaler scaler_;
};

} // namespace elbo::core
