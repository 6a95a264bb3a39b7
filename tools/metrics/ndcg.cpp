// Normalised discounted cumulative gain of what was held out, among the first K values that a row lacks (Järvelin and
// Kekäläinen 2002, with yes and no as the gain): a find at place r counts 1 / log2(r + 1), and all finds at the first
// places count 1 together.
#include <cmath>

#include "tools/metrics/ranking.hpp"

namespace elbo::tools {

namespace {

double gain(std::size_t place) { return 1 / std::log2(double(place) + 2); }

std::vector<Measured> measure(Judged& judged, const std::string& argument) {
    const std::int64_t k = whole_number("ndcg", argument, 1);
    const auto all = rankings(judged, "ndcg", k);
    double sum = 0;
    for (const Ranking& r : all) {
        double found = 0, best = 0;
        for (std::size_t i = 0; i < r.found.size(); ++i) found += r.found[i] ? gain(i) : 0;
        for (std::size_t i = 0; i < std::size_t(std::min(r.held, k)); ++i) best += gain(i);
        sum += found / best;
    }
    return {{"ndcg", sum / double(all.size())}};
}

const MetricEntry entry({.name = "ndcg",
                         .argument = "K",
                         .fallback = "100",
                         .summary = "of what was held out of each row, among the K likeliest values it lacks",
                         .higher_is_better = true,
                         .measure = measure});

} // namespace

} // namespace elbo::tools
