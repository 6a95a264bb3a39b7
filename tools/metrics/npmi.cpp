// Coherence of topics: normalised pointwise mutual information (Bouma 2009) of the pairs among each topic's first K
// words, a mean over pairs and topics, by how many training rows have one, the other, and both. Words that no row has
// together count -1, and words that every row has together 0.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <unordered_map>

#include "tools/metrics/topics.hpp"

namespace elbo::tools {

namespace {

/// In which rows each of some values is there.
class Occurrences {
public:
    Occurrences(Judged& judged, const std::vector<std::vector<std::int64_t>>& topics) {
        for (const auto& topic : topics)
            for (std::int64_t value : topic) rows_[value];
        const Matrix& ids = judged.field("ids", Judged::Of::learned_from);
        const Matrix& lengths = judged.field("lengths", Judged::Of::learned_from);
        all_ = double(ids.rows);
        for (std::int64_t i = 0; i < ids.rows; ++i)
            for (std::size_t m = 0; m < std::size_t(lengths.row(i)[0]); ++m)
                if (const auto it = rows_.find(std::int64_t(ids.row(i)[m])); it != rows_.end()) it->second.push_back(i);
    }
    double npmi(std::int64_t a, std::int64_t b) const {
        const auto &in_a = rows_.at(a), &in_b = rows_.at(b);
        std::vector<std::int64_t> both;
        std::set_intersection(in_a.begin(), in_a.end(), in_b.begin(), in_b.end(), std::back_inserter(both));
        if (both.empty()) return -1;
        const double together = double(both.size()) / all_;
        if (together == 1) return 0;
        return std::log(together / (double(in_a.size()) / all_ * double(in_b.size()) / all_)) / -std::log(together);
    }

private:
    std::unordered_map<std::int64_t, std::vector<std::int64_t>> rows_;
    double all_ = 0;
};

std::vector<Measured> measure(Judged& judged, const std::string& argument) {
    const auto topics = top_values(judged, "npmi", whole_number("npmi", argument, 2));
    const Occurrences seen(judged, topics);
    double sum = 0, pairs = 0;
    for (const auto& topic : topics)
        for (std::size_t i = 0; i < topic.size(); ++i)
            for (std::size_t j = 0; j < i; ++j, ++pairs) sum += seen.npmi(topic[i], topic[j]);
    return {{"npmi", sum / pairs}};
}

const MetricEntry entry(
    {.name = "npmi",
     .argument = "K",
     .fallback = "10",
     .summary = "coherence of topics: how often the K first words of a topic are in one training row",
     .higher_is_better = true,
     .measure = measure});

} // namespace

} // namespace elbo::tools
