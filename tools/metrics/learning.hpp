// What metrics that learn from codes share: which rows, columns brought to one scale, and a linear classifier.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "tools/metrics/metric.hpp"

namespace elbo::tools {

/// Of rows 0..n-1 at most `most`, evenly spread and in order.
std::vector<std::int64_t> evenly_chosen(std::int64_t n, std::int64_t most);

Matrix rows_of(const Matrix& all, const std::vector<std::int64_t>& chosen);
Matrix column_of(const Matrix& all, std::int64_t column);

template <class T>
std::vector<T> values_of(const std::vector<T>& all, const std::vector<std::int64_t>& chosen) {
    std::vector<T> out;
    for (std::int64_t i : chosen) out.push_back(all[std::size_t(i)]);
    return out;
}

/// The mean codes. Throws Error (data), naming the metric, where there are no rows or a code is not finite.
const Matrix& finite_codes(Judged& judged, Judged::Of of, std::string_view metric);

/// Mean and standard deviation of columns; learned from some rows, applied to others too.
struct Scaling {
    std::vector<double> mean, spread;

    explicit Scaling(const Matrix& rows);
    /// Row-major. A column that did not vary becomes 0.
    std::vector<double> applied(const Matrix& rows) const;
};

/// Multinomial logistic regression on standardised columns, with the penalty |w|^2 / 2 on the sum of the rows' losses
/// (scikit-learn's LogisticRegression at C = 1), by L-BFGS: no draws, so the same numbers give the same classes.
class SoftmaxClassifier {
public:
    enum class Weights { rows, classes }; ///< what counts the same: each row, or all rows of each class together
    SoftmaxClassifier(const Matrix& rows, const std::vector<std::int64_t>& classes, Weights weights);
    std::vector<std::int64_t> classes_of(const Matrix& rows) const;

private:
    Scaling scaling_;
    std::vector<std::int64_t> known_; ///< in order
    std::vector<double> weights_;     ///< [columns + 1, classes], column after column; the last row is the bias
};

/// The share of rows whose class was found.
double accuracy(const std::vector<std::int64_t>& found, const std::vector<std::int64_t>& right);
/// The same for each class on its own, and a mean over the classes: chance is 1 / classes however many rows each has.
double balanced_accuracy(const std::vector<std::int64_t>& found, const std::vector<std::int64_t>& right);

} // namespace elbo::tools
