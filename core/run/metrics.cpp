#include "core/run/metrics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/base/error.hpp"

namespace elbo::core {

double roc_auc(std::span<const double> scores, std::span<const int> labels) {
    assert(scores.size() == labels.size());
    for (std::size_t i = 0; i < scores.size(); ++i)
        if (std::isnan(scores[i]))
            throw Error(Exit::failure, fmt::format("roc_auc: the score of example {} is NaN", i));
    std::vector<std::size_t> order(scores.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return scores[a] < scores[b]; });

    double wins = 0, negatives = 0, positives = 0;
    for (std::size_t i = 0; i < order.size();) {
        double tied_positives = 0, tied = 0;
        const double score = scores[order[i]];
        for (; i < order.size() && scores[order[i]] == score; ++i, ++tied) tied_positives += labels[order[i]] != 0;
        const double tied_negatives = tied - tied_positives;
        wins += tied_positives * (negatives + tied_negatives / 2);
        positives += tied_positives;
        negatives += tied_negatives;
    }
    if (positives == 0 || negatives == 0) return std::numeric_limits<double>::quiet_NaN();
    return wins / (positives * negatives);
}

Spread::Spread(std::int64_t dims) : mean_(std::size_t(dims)), squares_(std::size_t(dims)) { assert(dims > 0); }

void Spread::add(std::span<const float> rows) {
    const std::size_t width = mean_.size();
    assert(rows.size() % width == 0);
    for (std::size_t at = 0; at < rows.size(); at += width) {
        const double n = double(++count_);
        for (std::size_t j = 0; j < width; ++j) {
            const double x = rows[at + j], from_old = x - mean_[j];
            mean_[j] += from_old / n;
            squares_[j] += from_old * (x - mean_[j]);
        }
    }
}

std::vector<double> Spread::variance() const {
    std::vector<double> v(squares_);
    for (double& x : v) x = count_ ? x / double(count_) : std::numeric_limits<double>::quiet_NaN();
    return v;
}

int Spread::active(double threshold) const {
    const auto v = variance();
    return int(std::count_if(v.begin(), v.end(), [&](double x) { return x > threshold; }));
}

} // namespace elbo::core
