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

bool takes(const PartChoice& part, const std::string& parameter) {
    return std::any_of(part.values.begin(), part.values.end(),
                       [&](const NamedValue& v) { return v.name == parameter; });
}

bool uses(const RunConfig& config, const std::string& role) {
    return std::any_of(config.parts.begin(), config.parts.end(), [&](const PartChoice& p) { return p.role == role; });
}

// Rows of few counts that are not 0: of words, of what users rated.
bool are_sparse_counts(const Rows& rows) {
    const Field* values = rows.find("values");
    return rows.find("ids") && values && values->kind == ELBO_COUNTS;
}

} // namespace

std::vector<GivenSetting> defaults_for(const Rows& rows, const RunConfig& config,
                                       const std::vector<GivenSetting>& given) {
    std::vector<GivenSetting> out;
    if (rows.dims().rank != 1) return out;
    auto choose = [&](const std::string& key, const std::string& value) {
        if (!is_given(given, key))
            out.push_back({key, value, rows.are_tokens() ? "the choice for tokens" : "the choice for tables"});
    };
    const std::int64_t n = rows.count(Split::train), steps = (n + config.batch - 1) / config.batch;
    const auto choose_steps = [&] {
        if (steps * config.epochs < kFewestSteps) choose("epochs", std::to_string((kFewestSteps + steps - 1) / steps));
    };
    const bool uses_likelihood = uses(config, "likelihood");
    if (rows.are_tokens()) {
        // They are read and written one after the other, and a likelihood has as many classes as there are tokens.
        const bool ours = uses_likelihood && !is_given(given, "likelihood");
        if (ours) choose("likelihood", "tokens");
        for (const char* role : {"encoder", "decoder"})
            if (uses(config, role)) choose(role, "gru");
        if (uses_likelihood && (ours || takes(config.part("likelihood"), "classes")))
            choose("likelihood.classes", std::to_string(std::int64_t(rows.x().high) + 1));
        choose_steps();
        return out;
    }
    // Who scales the data, or names a likelihood, knows what suits it.
    const bool free = !is_given(given, "likelihood") && !is_given(given, "data.scale") &&
                      !is_given(given, "data.standardize") && !is_given(given, "data.binarize");
    if (free && uses_likelihood) {
        if (!are_sparse_counts(rows)) choose("likelihood", "gaussian"), choose("data.standardize", "true");
        else if (choose("likelihood", "multinomial"); uses(config, "encoder")) choose("encoder", "bag");
    }
    // A likelihood with a distribution for each column takes those that the data tells.
    const auto takes_columns = [](const PartChoice& p) { return p.role == "likelihood" && takes(p, "columns"); };
    if (!rows.columns().empty() && !is_given(given, "likelihood.columns") && !is_given(given, "data.scale") &&
        std::any_of(config.parts.begin(), config.parts.end(), takes_columns)) {
        choose("likelihood.columns", rows.columns());
        choose("data.standardize", "true");
        choose("data.numbers_only", "true");
    }
    const std::int64_t columns = rows.values();
    if (columns <= config.latent) choose("latent", std::to_string(std::max<std::int64_t>(columns - 1, 1)));
    choose_steps();
    return out;
}

std::string text_of(const std::vector<GivenSetting>& chosen) {
    std::string out;
    for (const GivenSetting& g : chosen) out += fmt::format("{}{} {}", out.empty() ? "" : ", ", g.key, g.value);
    const bool tokens = !chosen.empty() && chosen[0].origin.ends_with("tokens");
    return fmt::format("for {}: {} (say otherwise by flags)", tokens ? "these tokens" : "this table", out);
}

} // namespace elbo::core
