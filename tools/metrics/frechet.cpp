// Frechet distance between Gaussians fitted to rows and to as many samples, in the code of another run's model:
// |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)). FID is the same in the features of one downloaded network; there is none
// here, so that numbers compare only where RUN is the same, and not with FID.
#include <fmt/format.h>

#include <Eigen/Eigenvalues>

#include <algorithm>

#include "core/base/error.hpp"
#include "tools/metrics/checks.hpp"

namespace elbo::tools {

using core::Error;
using core::Exit;

namespace {

struct Gaussian {
    Eigen::RowVectorXd mean;
    Eigen::MatrixXd covariance;
};

Gaussian fitted(const Matrix& codes) {
    using Rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    Eigen::MatrixXd x = Eigen::Map<const Rows>(codes.values.data(), codes.rows, codes.columns).cast<double>();
    const Eigen::RowVectorXd mean = x.colwise().mean();
    x.rowwise() -= mean;
    return {mean, x.transpose() * x / double(codes.rows - 1)};
}

/// Rounding makes eigenvalues that are 0 a little negative.
Eigen::VectorXd roots(const Eigen::VectorXd& eigenvalues) { return eigenvalues.cwiseMax(0).cwiseSqrt(); }

/// C1 C2 has the eigenvalues of S C2 S, where S S is C1, and that is symmetric: so its root is safe to take.
double trace_of_root(const Eigen::MatrixXd& c1, const Eigen::MatrixXd& c2) {
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> first(c1);
    const Eigen::MatrixXd s =
        first.eigenvectors() * roots(first.eigenvalues()).asDiagonal() * first.eigenvectors().transpose();
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> both(s * c2 * s, Eigen::EigenvaluesOnly);
    return roots(both.eigenvalues()).sum();
}

std::vector<Measured> measure(Judged& judged, const std::string& run) {
    const Matrix& rows = judged.data(Judged::Of::judged);
    if (rows.rows < 2) throw Error(Exit::data, "--metrics: frechet needs at least 2 rows");
    const Matrix real = judged.codes_of(run, rows), made = judged.codes_of(run, judged.samples(rows.rows));
    must_be_finite(real, "frechet", "the code of row");
    must_be_finite(made, "frechet", "the code of sample");
    const Gaussian a = fitted(real), b = fitted(made);
    const double spread = a.covariance.trace() + b.covariance.trace() - 2 * trace_of_root(a.covariance, b.covariance);
    return {{"frechet", std::max(0.0, (a.mean - b.mean).squaredNorm() + spread)}};
}

const MetricEntry entry(
    {.name = "frechet",
     .argument = "RUN",
     .summary = "distance of as many samples to the rows, in the code of RUN: not comparable with FID",
     .higher_is_better = false,
     .measure = measure});

} // namespace

} // namespace elbo::tools
