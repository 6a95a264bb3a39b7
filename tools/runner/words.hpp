// The words of the command line: which verb, and what was given to it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/host/registry.hpp"
#include "core/run/resolve.hpp"
#include "tools/runner/verb.hpp"

namespace elbo::tools {

/// What was given to a verb.
struct Arguments {
    const Verb* verb = nullptr;
    std::string operand;               ///< the first one
    std::vector<std::string> operands; ///< all of them, where the verb takes several
    std::map<std::string, std::vector<std::string>> flags;
    std::vector<core::GivenSetting> settings;

    bool has(const std::string& flag) const { return flags.count(flag) != 0; }
    std::optional<std::string> value(const std::string& flag) const;
    /// A whole number; throws Error (usage) below `least`.
    std::optional<std::int64_t> number(const std::string& flag, std::int64_t least) const;
};

/// The key of a setting's flag: data.test-fraction -> data.test_fraction.
std::string setting_key(const std::string& flag);

/// Throws Error (usage) for an unknown verb, with the nearest.
const Verb& find_verb(const std::string& word);

/// Throws Error (usage) for an unknown verb or flag, with the nearest. `--plugin` and `--plugin-dir` are added to the
/// registry on the way, since they decide which flags there are.
Arguments parse(const std::vector<std::string>& words, core::Registry& registry);

} // namespace elbo::tools
