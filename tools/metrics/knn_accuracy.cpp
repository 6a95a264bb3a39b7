// How often the K training rows of the nearest codes tell a row's class (Cover and Hart 1967): Euclidean distance
// between mean codes as they are, the class that most of the K have, and of those that as many have the one of the
// nearest. Neighbours are looked for among at most 10,000 training rows, evenly chosen. Where the training rows
// themselves are judged, a row is no neighbour of itself.
#include <fmt/format.h>

#include <Eigen/Core>
#include <algorithm>
#include <limits>
#include <map>
#include <numeric>

#include "core/base/error.hpp"
#include "core/base/notice.hpp"
#include "tools/metrics/learning.hpp"

namespace elbo::tools {

namespace {

constexpr std::int64_t kMost = 10000, kChunk = 128;

using Rows = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

Rows doubles(const Matrix& m, std::int64_t first, std::int64_t n) {
    using Floats = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    return Eigen::Map<const Floats>(m.values.data() + first * m.columns, n, m.columns).cast<double>();
}

// By distance, and by row where the distance is the same.
std::vector<std::size_t> nearest(const double* distances, std::size_t n, std::size_t k) {
    std::vector<std::size_t> order(n);
    std::iota(order.begin(), order.end(), 0u);
    std::partial_sort(order.begin(), order.begin() + std::ptrdiff_t(k), order.end(), [&](std::size_t a, std::size_t b) {
        return distances[a] != distances[b] ? distances[a] < distances[b] : a < b;
    });
    order.resize(k);
    return order;
}

std::int64_t majority(const std::vector<std::size_t>& neighbours, const std::vector<std::int64_t>& classes) {
    std::map<std::int64_t, int> votes;
    int most = 0;
    for (std::size_t i : neighbours) most = std::max(most, ++votes[classes[i]]);
    for (std::size_t i : neighbours)
        if (votes[classes[i]] == most) return classes[i];
    return -1; // without neighbours, which are at least one
}

/// What neighbours are looked for among.
struct Known {
    Rows codes;
    Eigen::VectorXd square; ///< of each code's length
    Eigen::RowVectorXd centre;
    std::vector<std::int64_t> rows, classes;

    Known(const Matrix& all, const std::vector<std::int64_t>& of_all) : rows(evenly_chosen(all.rows, kMost)) {
        const Matrix chosen = rows_of(all, rows);
        codes = doubles(chosen, 0, chosen.rows);
        // Far from zero, the difference of squares below would lose its digits.
        centre = codes.colwise().mean();
        codes.rowwise() -= centre;
        square = codes.rowwise().squaredNorm();
        classes = values_of(of_all, rows);
    }
    /// The class of each row by its k nearest. A row's own square is left out of the distances: it orders nothing.
    std::vector<std::int64_t> tell(const Matrix& asked, std::int64_t k, bool themselves) const {
        std::vector<std::int64_t> out;
        for (std::int64_t first = 0; first < asked.rows; first += kChunk) {
            Rows some = doubles(asked, first, std::min(kChunk, asked.rows - first));
            some.rowwise() -= centre;
            Rows distances = -2 * some * codes.transpose();
            distances.rowwise() += square.transpose();
            for (Eigen::Index i = 0; i < some.rows(); ++i) {
                const auto self = std::lower_bound(rows.begin(), rows.end(), first + i);
                if (themselves && self != rows.end() && *self == first + i)
                    distances(i, self - rows.begin()) = std::numeric_limits<double>::infinity();
                out.push_back(majority(nearest(distances.row(i).data(), rows.size(), std::size_t(k)), classes));
            }
        }
        return out;
    }
};

std::vector<Measured> measure(Judged& judged, const std::string& argument) {
    const std::int64_t k = whole_number("knn_accuracy", argument, 1);
    const auto right = classes_of(judged, Judged::Of::judged, "knn_accuracy");
    const auto learned = classes_of(judged, Judged::Of::learned_from, "knn_accuracy");
    const Matrix& codes = finite_codes(judged, Judged::Of::judged, "knn_accuracy");
    const Matrix& all = finite_codes(judged, Judged::Of::learned_from, "knn_accuracy");
    const bool themselves = &codes == &all;
    const Known known(all, learned);
    const std::int64_t there = std::int64_t(known.rows.size()) - themselves;
    if (k > there)
        throw core::Error(core::Exit::usage, fmt::format("--metrics: knn_accuracy:{} asks for {} neighbours, and there "
                                                         "are {} to choose from",
                                                         k, k, there));
    if (all.rows > kMost)
        core::tell(
            fmt::format("knn_accuracy: neighbours are looked for among {} of the {} training rows", kMost, all.rows));
    return {{"knn_accuracy", accuracy(known.tell(codes, k, themselves), right)}};
}

const MetricEntry entry({.name = "knn_accuracy",
                         .argument = "K",
                         .fallback = "5",
                         .summary = "class by the K nearest codes of at most 10,000 training rows",
                         .measure = measure});

} // namespace

} // namespace elbo::tools
