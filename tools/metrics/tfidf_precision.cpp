// What retrieval by codes has to be compared with: the same precision by the cosine between rows of TF-IDF, of the
// words themselves. tf is the count and idf = log((1 + n) / (1 + rows with the word)) + 1 over the training rows.
#include <algorithm>
#include <cmath>

#include "tools/metrics/retrieval.hpp"

namespace elbo::tools {

namespace {

struct Entry {
    std::int64_t value;
    float weight;
};

/// Rows of length 1.
class Weighed {
public:
    Weighed(Judged& judged, const std::vector<double>& idf, Judged::Of of)
        : ids_(judged.field("ids", of)), values_(judged.field("values", of)), lengths_(judged.field("lengths", of)),
          idf_(idf) {}
    std::int64_t rows() const { return ids_.rows; }
    std::vector<Entry> row(std::int64_t i) const {
        std::vector<Entry> out;
        double square = 0;
        for (std::size_t m = 0; m < std::size_t(lengths_.row(i)[0]); ++m) {
            const auto value = std::int64_t(ids_.row(i)[m]);
            const double w = double(values_.row(i)[m]) * idf_.at(std::size_t(value));
            out.push_back({value, float(w)});
            square += w * w;
        }
        for (Entry& e : out) e.weight /= float(std::sqrt(square));
        return out;
    }

private:
    const Matrix &ids_, &values_, &lengths_;
    const std::vector<double>& idf_;
};

std::vector<double> idf_of(Judged& judged) {
    const Matrix& ids = judged.field("ids", Judged::Of::learned_from);
    const Matrix& lengths = judged.field("lengths", Judged::Of::learned_from);
    std::vector<double> with(std::size_t(judged.shape().numel()));
    for (std::int64_t i = 0; i < ids.rows; ++i)
        for (std::size_t m = 0; m < std::size_t(lengths.row(i)[0]); ++m) ++with.at(std::size_t(ids.row(i)[m]));
    for (double& n : with) n = std::log((1 + double(ids.rows)) / (1 + n)) + 1;
    return with;
}

std::vector<Measured> measure(Judged& judged, const std::string& argument) {
    const std::int64_t k = whole_number("tfidf_precision", argument, 1);
    const auto idf = idf_of(judged);
    const Weighed asked(judged, idf, Judged::Of::judged), stored(judged, idf, Judged::Of::learned_from);
    std::vector<std::vector<Entry>> rows_with(idf.size()); // here `value` is a row
    for (std::int64_t i = 0; i < stored.rows(); ++i)
        for (const Entry& e : stored.row(i)) rows_with[std::size_t(e.value)].push_back({i, e.weight});
    const double precision =
        retrieval_precision(judged, "tfidf_precision", k, [&](std::int64_t i, std::vector<float>& scores) {
            std::fill(scores.begin(), scores.end(), 0.f);
            for (const Entry& e : asked.row(i))
                for (const Entry& r : rows_with[std::size_t(e.value)])
                    scores[std::size_t(r.value)] += e.weight * r.weight;
        });
    return {{"tfidf_precision", precision}};
}

const MetricEntry entry({.name = "tfidf_precision",
                         .argument = "K",
                         .fallback = "100",
                         .summary = "retrieval_precision by the cosine of TF-IDF instead of the codes, to compare with",
                         .higher_is_better = true,
                         .measure = measure});

} // namespace

} // namespace elbo::tools
