// Numbers that judge a trained model: how well a score separates two classes, and how many latents are in use.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace elbo::core {

/// The area under the ROC curve: the chance that a random example with a label other than 0 scores higher than a random
/// one with label 0, ties counting half (Mann and Whitney 1947, by mid-ranks). Both spans have one entry per example.
/// NaN when only one class is there. Throws Error (failure) when a score is NaN.
double roc_auc(std::span<const double> scores, std::span<const int> labels);

/// The variance of each of `dims` values over all rows seen, in one pass (Welford 1962). Over mean codes it tells the
/// active units of Burda et al. 2016 (arXiv 1509.00519, section 5.2): A_u = Var_x(E_q(u|x)[u]) > 0.01.
class Spread {
public:
    explicit Spread(std::int64_t dims);

    /// [n, dims], row-major.
    void add(std::span<const float> rows);
    std::int64_t count() const { return count_; }
    /// [dims], population variance (divided by n); NaN before the first row and where a value was not finite.
    std::vector<double> variance() const;
    /// How many variances are above the threshold; NaN is not.
    int active(double threshold = 0.01) const;

private:
    std::int64_t count_ = 0;
    std::vector<double> mean_, squares_;
};

} // namespace elbo::core
