#include "core/base/error.hpp"

#include <algorithm>
#include <utility>

namespace elbo::core {

Error::Error(Exit code, std::string what, std::string where)
    : code_(code), message_(std::move(what)), where_(std::move(where)) {
    render();
}

Error& Error::note(std::string line) {
    notes_.push_back(std::move(line));
    render();
    return *this;
}

void Error::set_where(std::string where) {
    where_ = std::move(where);
    render();
}

void Error::render() {
    text_ = message_;
    if (!where_.empty()) text_ += "\n  at " + where_;
    for (const auto& n : notes_) text_ += "\n  " + n;
}

namespace {

// Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours cost 1 each.
std::size_t distance(const std::string& a, const std::string& b) {
    std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
    for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
    for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i)
        for (std::size_t j = 1; j <= b.size(); ++j) {
            d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[a.size()][b.size()];
}

} // namespace

std::string did_you_mean(const std::string& given, const std::vector<std::string>& known) {
    const std::string* best = nullptr;
    std::size_t best_distance = std::max<std::size_t>(2, given.size() / 3) + 1;
    for (const auto& k : known) {
        std::size_t d = distance(given, k);
        bool prefix = !given.empty() && k.starts_with(given);
        if (prefix) d = std::min<std::size_t>(d, 1);
        if (d < best_distance) best = &k, best_distance = d;
    }
    return best ? "; did you mean '" + *best + "'?" : "";
}

} // namespace elbo::core
