#include "tools/metrics/retrieval.hpp"

#include <fmt/format.h>

#include "core/base/error.hpp"
#include "tools/metrics/ranking.hpp"

namespace elbo::tools {

double retrieval_precision(Judged& judged, std::string_view metric, std::int64_t k,
                           const std::function<void(std::int64_t, std::vector<float>&)>& near) {
    const auto asked = classes_of(judged, Judged::Of::judged, metric);
    const auto stored = classes_of(judged, Judged::Of::learned_from, metric);
    const bool themselves = &judged.labels(Judged::Of::judged) == &judged.labels(Judged::Of::learned_from);
    const auto there = std::int64_t(stored.size()) - themselves;
    if (k > there)
        throw core::Error(core::Exit::usage,
                          fmt::format("--metrics: {}:{} asks for {} rows, and there are {}", metric, k, k, there));
    std::vector<float> scores(stored.size());
    std::vector<char> left_out(stored.size());
    double sum = 0;
    for (std::size_t i = 0; i < asked.size(); ++i) {
        near(std::int64_t(i), scores);
        if (themselves) left_out[i] = 1;
        for (std::int64_t found : best_of(scores, left_out, k)) sum += stored[std::size_t(found)] == asked[i];
        if (themselves) left_out[i] = 0;
    }
    return sum / double(k) / double(asked.size());
}

} // namespace elbo::tools
