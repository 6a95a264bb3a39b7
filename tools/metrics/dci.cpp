// Disentanglement, completeness, informativeness (Eastwood and Williams 2018), in their variant with the lasso: each
// factor is predicted from the standardised mean codes of the training rows by linear regression with an L1 penalty,
// and the weights' magnitudes are the latents' importances. Disentanglement: 1 less the entropy, in base number of
// factors, of what a latent is important for, weighted by how important the latent is. Completeness: 1 less the
// entropy, in base number of latents, of what is important for a factor, weighted likewise as in disentanglement_lib.
// Informativeness: R^2 of the predictions over the judged rows, where the paper gives the error.
//
// The penalty is the largest of five whose error over every fifth training row, kept aside, comes within 0.01 of the
// best. Of classes each class's indicator is predicted and their importances averaged, so that the order of the class
// numbers means nothing. A small ridge makes latents that are the same share their weight instead of the first taking
// all of it.
#include <Eigen/Core>
#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "tools/metrics/factors.hpp"
#include "tools/metrics/learning.hpp"

namespace elbo::tools {

namespace {

using Table = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;
using Rows = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

constexpr std::array kPenalties{0.1, 0.03, 0.01, 0.003, 0.001}; // of columns with variance 1
constexpr double kRidge = 0.01;

// Every fifth training row is kept aside.
bool is_aside(std::size_t i) { return i % 5 == 0; }

Vector some_of(const std::vector<double>& values, bool aside) {
    std::vector<double> out;
    for (std::size_t i = 0; i < values.size(); ++i)
        if (is_aside(i) == aside) out.push_back(values[i]);
    return Eigen::Map<const Vector>(out.data(), Eigen::Index(out.size()));
}

/// Codes, and what of them is the same for each target.
struct Codes {
    Rows fit, aside, judged;
    Table gram;

    Codes(const Matrix& learned, const Matrix& to_judge) {
        std::vector<std::int64_t> kept, put_aside;
        for (std::int64_t i = 0; i < learned.rows; ++i) (is_aside(std::size_t(i)) ? put_aside : kept).push_back(i);
        const Matrix chosen = rows_of(learned, kept);
        const Scaling scaling(chosen);
        auto scaled = [&](const Matrix& m) {
            const std::vector<double> values = scaling.applied(m);
            return Rows(Eigen::Map<const Rows>(values.data(), m.rows, m.columns));
        };
        fit = scaled(chosen);
        aside = scaled(rows_of(learned, put_aside));
        judged = scaled(to_judge);
        gram = fit.transpose() * fit / double(fit.rows());
        gram.diagonal().array() += kRidge;
    }
};

/// What a factor, or one class of it, is predicted by.
struct Line {
    double mean = 0, spread = 0; ///< of the target
    Vector weights;              ///< of the standardised target

    double squared_error(const Rows& codes, const Vector& right) const {
        return ((right.array() - mean).matrix() - spread * (codes * weights)).squaredNorm();
    }
};

// Coordinate descent (Friedman et al. 2010) from where `w` is. `rest` is what of the covariances is not explained.
void descend(const Table& gram, const Vector& covariance, double penalty, Vector& w) {
    Vector rest = covariance - gram * w;
    for (int sweep = 0; sweep < 2000; ++sweep) {
        double largest = 0;
        for (Eigen::Index j = 0; j < w.size(); ++j) {
            const double pull = rest[j] + gram(j, j) * w[j], size = std::max(0.0, std::abs(pull) - penalty);
            const double change = std::copysign(size, pull) / gram(j, j) - w[j];
            if (change == 0) continue;
            w[j] += change;
            rest -= change * gram.col(j);
            largest = std::max(largest, std::abs(change));
        }
        if (largest < 1e-7) return;
    }
}

Line lasso(const Codes& codes, const std::vector<double>& learned) {
    const Vector fit = some_of(learned, false), aside = some_of(learned, true);
    Line line{fit.mean(), 0, Vector::Zero(codes.gram.cols())};
    line.spread = std::sqrt((fit.array() - line.mean).square().mean());
    if (line.spread == 0) return line; // all that vary were put aside
    const Vector target = (fit.array() - line.mean) / line.spread;
    const Vector covariance = codes.fit.transpose() * target / double(fit.size());
    std::array<Vector, kPenalties.size()> weights;
    std::array<double, kPenalties.size()> errors{};
    for (std::size_t i = 0; i < weights.size(); ++i) {
        descend(codes.gram, covariance, kPenalties[i], line.weights);
        weights[i] = line.weights;
        errors[i] = line.squared_error(codes.aside, aside) / (double(aside.size()) * line.spread * line.spread);
    }
    const double best = *std::min_element(errors.begin(), errors.end());
    const auto chosen = std::find_if(errors.begin(), errors.end(), [&](double e) { return e <= best + 0.01; });
    line.weights = weights[std::size_t(chosen - errors.begin())];
    return line;
}

/// Numbers to predict instead of a factor: itself, or an indicator of each class.
struct Target {
    std::vector<double> learned, judged;
};

std::vector<Target> targets_of(const Factor& f) {
    if (!f.classes) return {{f.learned, f.judged}};
    std::vector<Target> out;
    for (double value : std::set<double>(f.learned.begin(), f.learned.end())) {
        Target t;
        for (double v : f.learned) t.learned.push_back(v == value);
        for (double v : f.judged) t.judged.push_back(v == value);
        out.push_back(std::move(t));
    }
    return out;
}

/// Of one factor.
struct Predicted {
    Vector importances;
    double informativeness = 0;
};

Predicted predicted(const Codes& codes, const Factor& factor) {
    Predicted out{Vector::Zero(codes.gram.cols())};
    const std::vector<Target> targets = targets_of(factor);
    int judged = 0;
    for (const Target& t : targets) {
        const Line line = lasso(codes, t.learned);
        out.importances += line.weights.cwiseAbs() / double(targets.size());
        const Eigen::Map<const Vector> right(t.judged.data(), Eigen::Index(t.judged.size()));
        const double all = (right.array() - right.mean()).square().sum();
        if ((right.array() == right[0]).all()) continue; // a class that no judged row has
        out.informativeness += 1 - line.squared_error(codes.judged, right) / all;
        ++judged;
    }
    out.informativeness /= std::max(judged, 1); // none: the judged rows are of classes that were not learned
    return out;
}

// 1 less the entropy in base of how many there are: 1 where one has all, 0 where all have the same or nothing.
double concentration(const Vector& importances) {
    const double sum = importances.sum();
    if (sum == 0) return 0;
    double h = 0;
    for (double v : importances)
        if (v > 0) h -= v / sum * std::log(v / sum);
    return importances.size() > 1 ? 1 - h / std::log(double(importances.size())) : 1;
}

// A mean over columns, each weighted by its sum.
double weighted_concentration(const Table& importances) {
    if (importances.sum() == 0) return 0;
    double sum = 0;
    for (Eigen::Index j = 0; j < importances.cols(); ++j)
        sum += importances.col(j).sum() * concentration(importances.col(j));
    return sum / importances.sum();
}

std::vector<Measured> measure(Judged& judged, const std::string&) {
    const std::vector<Factor> factors = factors_of(judged, "dci");
    const Matrix& learned = finite_codes(judged, Judged::Of::learned_from, "dci");
    const Codes codes(learned, finite_codes(judged, Judged::Of::judged, "dci"));
    Table importances(learned.columns, Eigen::Index(factors.size()));
    double informativeness = 0;
    std::vector<Measured> each;
    for (std::size_t k = 0; k < factors.size(); ++k) {
        const Predicted p = predicted(codes, factors[k]);
        importances.col(Eigen::Index(k)) = p.importances;
        informativeness += p.informativeness / double(factors.size());
        each.push_back({"completeness " + factors[k].name, concentration(p.importances)});
        each.push_back({"informativeness " + factors[k].name, p.informativeness});
    }
    std::vector<Measured> out{{"disentanglement", weighted_concentration(importances.transpose())},
                              {"completeness", weighted_concentration(importances)},
                              {"informativeness", informativeness}};
    out.insert(out.end(), each.begin(), each.end());
    return out;
}

const MetricEntry entry({.name = "dci",
                         .summary = "disentanglement, completeness, informativeness by lasso weights of known factors",
                         .measure = measure});

} // namespace

} // namespace elbo::tools
