#include "tools/metrics/learning.hpp"

#include <fmt/format.h>

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <set>

#include "core/base/error.hpp"

namespace elbo::tools {

namespace {

using Vector = Eigen::VectorXd;
using Table = Eigen::MatrixXd;
using Rows = Eigen::Map<const Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;

/// Softmax regression as a function to be minimised.
struct Loss {
    Rows x;
    std::vector<Eigen::Index> target; ///< the column of each row's class
    Vector weight;                    ///< of each row; they sum to 1
    Eigen::Index classes;

    double operator()(const Vector& at, Vector& gradient) const {
        const Eigen::Map<const Table> w(at.data(), x.cols() + 1, classes);
        Table p = logits(x, w);
        double loss = 0;
        for (Eigen::Index i = 0; i < p.rows(); ++i) {
            const double top = p.row(i).maxCoeff(), right = p(i, target[std::size_t(i)]);
            p.row(i) = (p.row(i).array() - top).exp();
            const double sum = p.row(i).sum();
            loss += weight[i] * (std::log(sum) + top - right);
            p.row(i) *= weight[i] / sum;
            p(i, target[std::size_t(i)]) -= weight[i];
        }
        const double penalty = 1.0 / double(x.rows());
        Eigen::Map<Table> g(gradient.data(), x.cols() + 1, classes);
        g.topRows(x.cols()).noalias() = x.transpose() * p + penalty * w.topRows(x.cols());
        g.row(x.cols()) = p.colwise().sum();
        return loss + penalty / 2 * w.topRows(x.cols()).squaredNorm();
    }
    static Table logits(const Rows& x, const Eigen::Map<const Table>& w) {
        Table p = x * w.topRows(x.cols());
        p.rowwise() += w.row(x.cols());
        return p;
    }
};

/// A step and how it changed the gradient.
struct Step {
    Vector s, y;
};

// The two loops of L-BFGS (Nocedal 1980): the inverse Hessian as the last steps show it, times the gradient.
Vector downhill(const std::deque<Step>& steps, const Vector& gradient) {
    Vector q = gradient;
    std::vector<double> a(steps.size());
    for (std::size_t i = steps.size(); i-- > 0;) {
        a[i] = steps[i].s.dot(q) / steps[i].s.dot(steps[i].y);
        q -= a[i] * steps[i].y;
    }
    if (!steps.empty()) q *= steps.back().s.dot(steps.back().y) / steps.back().y.squaredNorm();
    for (std::size_t i = 0; i < steps.size(); ++i)
        q += (a[i] - steps[i].y.dot(q) / steps[i].s.dot(steps[i].y)) * steps[i].s;
    return -q;
}

// From zero. The loss is strictly convex but for a shift of all biases, so halving a step that does not pay is enough.
Vector minimum(const Loss& loss, Eigen::Index size) {
    constexpr std::size_t kept = 10;
    constexpr double flat = 1e-5, shortest = 1e-10;
    Vector at = Vector::Zero(size), gradient(size), next(size), next_gradient(size);
    double value = loss(at, gradient);
    std::deque<Step> steps;
    for (int i = 0; i < 500 && gradient.cwiseAbs().maxCoeff() > flat; ++i) {
        const Vector direction = downhill(steps, gradient);
        const double slope = direction.dot(gradient);
        double length = steps.empty() ? std::min(1.0, 1 / gradient.norm()) : 1, next_value = 0;
        for (;; length /= 2) {
            if (length < shortest) return at;
            next = at + length * direction;
            next_value = loss(next, next_gradient);
            if (next_value <= value + 1e-4 * length * slope) break;
        }
        Step step{next - at, next_gradient - gradient};
        if (step.s.dot(step.y) > 1e-14 * step.y.squaredNorm()) steps.push_back(std::move(step));
        if (steps.size() > kept) steps.pop_front();
        at.swap(next);
        gradient.swap(next_gradient);
        value = next_value;
    }
    return at;
}

std::vector<std::int64_t> different(const std::vector<std::int64_t>& classes) {
    const std::set<std::int64_t> all(classes.begin(), classes.end());
    return {all.begin(), all.end()};
}

} // namespace

std::vector<std::int64_t> evenly_chosen(std::int64_t n, std::int64_t most) {
    const std::int64_t count = std::min(n, most);
    std::vector<std::int64_t> out;
    for (std::int64_t i = 0; i < count; ++i) out.push_back(i * n / count);
    return out;
}

Matrix rows_of(const Matrix& all, const std::vector<std::int64_t>& chosen) {
    Matrix out{std::int64_t(chosen.size()), all.columns, {}};
    for (std::int64_t i : chosen) out.values.insert(out.values.end(), all.row(i).begin(), all.row(i).end());
    return out;
}

Matrix column_of(const Matrix& all, std::int64_t column) {
    Matrix out{all.rows, 1, {}};
    for (std::int64_t i = 0; i < all.rows; ++i) out.values.push_back(all.row(i)[std::size_t(column)]);
    return out;
}

const Matrix& finite_codes(Judged& judged, Judged::Of of, std::string_view metric) {
    const Matrix& codes = judged.codes(of);
    const char* rows = of == Judged::Of::judged ? "judged" : "training";
    if (codes.rows == 0)
        throw core::Error(core::Exit::data, fmt::format("--metrics: {}: there are no {} rows", metric, rows));
    const auto odd =
        std::find_if_not(codes.values.begin(), codes.values.end(), [](float v) { return std::isfinite(v); });
    if (odd != codes.values.end())
        throw core::Error(core::Exit::data, fmt::format("--metrics: {}: the code of {} row {} is not finite", metric,
                                                        rows, (odd - codes.values.begin()) / codes.columns));
    return codes;
}

Scaling::Scaling(const Matrix& rows) : mean(std::size_t(rows.columns), 0.0), spread(std::size_t(rows.columns), 0.0) {
    const double n = double(rows.rows);
    for (std::int64_t i = 0; i < rows.rows; ++i)
        for (std::size_t j = 0; j < mean.size(); ++j) mean[j] += double(rows.row(i)[j]) / n;
    for (std::int64_t i = 0; i < rows.rows; ++i)
        for (std::size_t j = 0; j < mean.size(); ++j) spread[j] += std::pow(double(rows.row(i)[j]) - mean[j], 2) / n;
    // What the rounding of the mean leaves of a column of equal numbers is no spread.
    for (std::size_t j = 0; j < mean.size(); ++j)
        spread[j] = std::sqrt(spread[j]) > 1e-9 * std::abs(mean[j]) ? std::sqrt(spread[j]) : 0;
}

std::vector<double> Scaling::applied(const Matrix& rows) const {
    std::vector<double> out;
    out.reserve(rows.values.size());
    for (std::int64_t i = 0; i < rows.rows; ++i)
        for (std::size_t j = 0; j < mean.size(); ++j)
            out.push_back(spread[j] > 0 ? (double(rows.row(i)[j]) - mean[j]) / spread[j] : 0);
    return out;
}

SoftmaxClassifier::SoftmaxClassifier(const Matrix& rows, const std::vector<std::int64_t>& classes, Weights weights)
    : scaling_(rows), known_(different(classes)) {
    const std::vector<double> x = scaling_.applied(rows);
    Loss loss{Rows(x.data(), rows.rows, rows.columns), {}, Vector(rows.rows), Eigen::Index(known_.size())};
    Vector counts = Vector::Zero(loss.classes);
    for (std::int64_t c : classes) {
        loss.target.push_back(std::lower_bound(known_.begin(), known_.end(), c) - known_.begin());
        counts[loss.target.back()] += 1;
    }
    for (Eigen::Index i = 0; i < loss.weight.size(); ++i)
        loss.weight[i] = weights == Weights::rows ? 1.0 / double(rows.rows)
                                                  : 1.0 / (double(loss.classes) * counts[loss.target[std::size_t(i)]]);
    const Vector found = minimum(loss, (rows.columns + 1) * loss.classes);
    weights_.assign(found.begin(), found.end());
}

std::vector<std::int64_t> SoftmaxClassifier::classes_of(const Matrix& rows) const {
    const std::vector<double> x = scaling_.applied(rows);
    const Eigen::Map<const Table> w(weights_.data(), rows.columns + 1, Eigen::Index(known_.size()));
    const Table scores = Loss::logits(Rows(x.data(), rows.rows, rows.columns), w);
    std::vector<std::int64_t> out;
    for (Eigen::Index i = 0; i < scores.rows(); ++i) {
        Eigen::Index best = 0;
        scores.row(i).maxCoeff(&best);
        out.push_back(known_[std::size_t(best)]);
    }
    return out;
}

double accuracy(const std::vector<std::int64_t>& found, const std::vector<std::int64_t>& right) {
    double hits = 0;
    for (std::size_t i = 0; i < right.size(); ++i) hits += found[i] == right[i];
    return hits / double(right.size());
}

double balanced_accuracy(const std::vector<std::int64_t>& found, const std::vector<std::int64_t>& right) {
    std::map<std::int64_t, std::pair<double, double>> hits; // and how many there are
    for (std::size_t i = 0; i < right.size(); ++i) {
        hits[right[i]].first += found[i] == right[i];
        hits[right[i]].second += 1;
    }
    double sum = 0;
    for (const auto& [_, of_class] : hits) sum += of_class.first / of_class.second;
    return sum / double(hits.size());
}

} // namespace elbo::tools
