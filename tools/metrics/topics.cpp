#include "tools/metrics/topics.hpp"

#include <fmt/format.h>

#include "core/base/error.hpp"
#include "tools/metrics/checks.hpp"
#include "tools/metrics/ranking.hpp"

namespace elbo::tools {

std::vector<std::vector<std::int64_t>> top_values(Judged& judged, std::string_view metric, std::int64_t count) {
    constexpr double kAlone = 30; // a softmax of such a code is one latent
    const Matrix& topics = judged.latents_decoded(kAlone);
    must_be_finite(topics, metric, "decoded latent");
    if (count > topics.columns)
        throw core::Error(core::Exit::usage,
                          fmt::format("--metrics: {}:{} is asked of rows of {} values", metric, count, topics.columns));
    const std::vector<char> none(std::size_t(topics.columns));
    std::vector<std::vector<std::int64_t>> out;
    for (std::int64_t k = 0; k < topics.rows; ++k) out.push_back(best_of(topics.row(k), none, count));
    return out;
}

} // namespace elbo::tools
