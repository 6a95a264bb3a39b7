// The command line: which verb, which flags it knows, and what was given. Flags of parts come from their declarations.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/host/registry.hpp"
#include "core/run/resolve.hpp"

namespace elbo::tools {

/// One flag of a verb. Without a value name it is a switch.
struct Flag {
    std::string name, value, help;
};

struct Verb {
    std::string name, operand, summary; ///< operand: "MODEL", "RUN", "[KIND]" or ""
    std::vector<Flag> flags;
    bool takes_settings = false; ///< --prior laplace --prior.scale 2 ...
};

const std::vector<Verb>& verbs();

/// What was given to a verb.
struct Arguments {
    const Verb* verb = nullptr;
    std::string operand;
    std::map<std::string, std::vector<std::string>> flags;
    std::vector<core::GivenSetting> settings;

    bool has(const std::string& flag) const { return flags.count(flag) != 0; }
    std::optional<std::string> value(const std::string& flag) const;
    /// A whole number; throws Error (usage) below `least`.
    std::optional<std::int64_t> number(const std::string& flag, std::int64_t least) const;
};

/// Throws Error (usage) for an unknown verb or flag, with the nearest. `--plugin` and `--plugin-dir` are added to the
/// registry on the way, since they decide which flags there are.
Arguments parse(const std::vector<std::string>& words, core::Registry& registry);

/// Help texts: of the program, and of a verb (for train, with the parameters of the chosen parts).
std::string help();
std::string help(const Arguments& arguments, core::Registry& registry);

/// "  --prior.scale <real>    (=1, > 0)  spread b of each latent"
std::string parameter_line(const std::string& flag, const core::ParameterSpec& spec);
/// The flag of a parameter: '_' is written '-'.
std::string flag_name(const std::string& kind, const std::string& parameter);

} // namespace elbo::tools
