// Improved precision and recall (Kynkaanniemi et al. 2019) in the model's own code space. A sample is precise when it
// lies in the ball of a row: no farther than that row's K-th nearest other row. Recall is the same of rows among
// samples.
#include <fmt/format.h>

#include <Eigen/Core>

#include <algorithm>

#include "core/base/error.hpp"
#include "tools/metrics/checks.hpp"

namespace elbo::tools {

using core::Error;
using core::Exit;

namespace {

/// All distances are looked at: time goes with the square of it.
constexpr std::int64_t kMostRows = 5000;

/// [n, L], each latent of all points side by side.
using Points = Eigen::ArrayXXd;

/// `count` of the rows, spread evenly over them: data is often sorted by class.
Points spread_over(const Matrix& codes, std::int64_t count) {
    Points out(count, codes.columns);
    for (std::int64_t i = 0; i < count; ++i)
        for (std::int64_t j = 0; j < codes.columns; ++j) out(i, j) = codes.row(i * codes.rows / count)[std::size_t(j)];
    return out;
}

/// Squared, of one point to all. Not by |a|^2 + |b|^2 - 2ab: a point's distance to its equal has to be 0.
void distances(const Points& all, const Points& from, Eigen::Index row, Eigen::ArrayXd& out) {
    out.setZero(all.rows());
    for (Eigen::Index j = 0; j < all.cols(); ++j) out += (all.col(j) - from(row, j)).square();
}

/// Of each point, to its k-th nearest other one.
Eigen::ArrayXd radii(const Points& points, std::int64_t k) {
    Eigen::ArrayXd out(points.rows()), d;
    for (Eigen::Index i = 0; i < points.rows(); ++i) {
        distances(points, points, i, d);
        // The point itself is the nearest: the k-th other one comes at k.
        std::nth_element(d.data(), d.data() + k, d.data() + d.size());
        out[i] = d[k];
    }
    return out;
}

/// The share of `points` that lie in the ball of one of `among`.
double covered(const Points& points, const Points& among, std::int64_t k) {
    const Eigen::ArrayXd radius = radii(among, k);
    Eigen::ArrayXd d;
    Eigen::Index inside = 0;
    for (Eigen::Index i = 0; i < points.rows(); ++i) {
        distances(among, points, i, d);
        inside += (d <= radius).any();
    }
    return double(inside) / double(points.rows());
}

std::vector<Measured> measure(Judged& judged, const std::string& argument) {
    const std::int64_t k = whole_number("precision_recall", argument, 1);
    const Matrix& real = judged.codes(Judged::Of::judged);
    const std::int64_t count = std::min(real.rows, kMostRows);
    if (k >= count)
        throw Error(Exit::data,
                    fmt::format("--metrics: precision_recall:{}: {} rows have no {} other ones each", k, count, k));
    const Matrix made = judged.codes_of("", judged.samples(count));
    must_be_finite(real, "precision_recall", "the code of row");
    must_be_finite(made, "precision_recall", "the code of sample");
    const Points rows = spread_over(real, count), samples = spread_over(made, count);
    return {{"precision", covered(samples, rows, k)}, {"recall", covered(rows, samples, k)}};
}

const MetricEntry entry({.name = "precision_recall",
                         .argument = "K",
                         .fallback = "3",
                         .summary = "of as many samples as rows, at most 5000, by K neighbours in the model's own code",
                         .higher_is_better = true,
                         .measure = measure});

} // namespace

} // namespace elbo::tools
