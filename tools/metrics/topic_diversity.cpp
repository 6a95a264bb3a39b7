// How many different words there are among the first K of all topics, as a share of all (Dieng et al. 2020).
#include <set>

#include "tools/metrics/topics.hpp"

namespace elbo::tools {

namespace {

std::vector<Measured> measure(Judged& judged, const std::string& argument) {
    std::set<std::int64_t> different;
    double all = 0;
    for (const auto& topic : top_values(judged, "topic_diversity", whole_number("topic_diversity", argument, 1))) {
        different.insert(topic.begin(), topic.end());
        all += double(topic.size());
    }
    return {{"topic_diversity", double(different.size()) / all}};
}

const MetricEntry entry({.name = "topic_diversity",
                         .argument = "K",
                         .fallback = "25",
                         .summary = "share of different words among the K first words of all topics",
                         .higher_is_better = true,
                         .measure = measure});

} // namespace

} // namespace elbo::tools
