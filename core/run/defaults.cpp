#include "core/run/defaults.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/text.hpp"

namespace elbo::core {

namespace {

constexpr std::int64_t kFewestSteps = 100;

bool is_given(const std::vector<GivenSetting>& given, const std::string& key) {
    return std::any_of(given.begin(), given.end(), [&](const GivenSetting& g) {
        std::string name = g.key;
        std::replace(name.begin(), name.end(), '-', '_');
        return name == key;
    });
}

} // namespace

std::vector<GivenSetting> defaults_for(const Rows& rows, const RunConfig& config,
                                       const std::vector<GivenSetting>& given) {
    std::vector<GivenSetting> out;
    if (rows.dims().rank != 1) return out;
    auto choose = [&](const std::string& key, const std::string& value) {
        if (!is_given(given, key)) out.push_back({key, value, "the choice for tables"});
    };
    // Who scales the data, or names a likelihood, knows what suits it.
    const bool free = !is_given(given, "likelihood") && !is_given(given, "data.scale") &&
                      !is_given(given, "data.standardize") && !is_given(given, "data.binarize");
    const bool uses_likelihood = std::any_of(config.parts.begin(), config.parts.end(),
                                             [](const PartChoice& p) { return p.role == "likelihood"; });
    if (free && uses_likelihood) choose("likelihood", "gaussian"), choose("data.standardize", "true");
    // A likelihood with a distribution for each column takes those that the data tells.
    const auto takes_columns = [](const PartChoice& p) {
        return p.role == "likelihood" &&
               std::any_of(p.values.begin(), p.values.end(), [](const NamedValue& v) { return v.name == "columns"; });
    };
    if (!rows.columns().empty() && !is_given(given, "likelihood.columns") && !is_given(given, "data.scale") &&
        std::any_of(config.parts.begin(), config.parts.end(), takes_columns)) {
        choose("likelihood.columns", rows.columns());
        choose("data.standardize", "true");
        choose("data.numbers_only", "true");
    }
    const std::int64_t columns = rows.values(), n = rows.count(Split::train);
    if (columns <= config.latent) choose("latent", std::to_string(std::max<std::int64_t>(columns - 1, 1)));
    const std::int64_t steps = (n + config.batch - 1) / config.batch;
    if (steps * config.epochs < kFewestSteps) choose("epochs", std::to_string((kFewestSteps + steps - 1) / steps));
    return out;
}

std::string text_of(const std::vector<GivenSetting>& chosen) {
    std::string out;
    for (const GivenSetting& g : chosen) out += fmt::format("{}{} {}", out.empty() ? "" : ", ", g.key, g.value);
    return fmt::format("for this table: {} (say otherwise by flags)", out);
}

} // namespace elbo::core
