// From what a person wrote, in flags and a file, to a configuration: names are looked up, unknown keys refused with the
// nearest one, everything else gets its default.
#pragma once

#include <string>
#include <vector>

#include "core/files/toml.hpp"
#include "core/host/registry.hpp"
#include "core/run/config.hpp"

namespace elbo::core {

/// One setting as it was written: {"prior", "laplace"}, {"prior.scale", "2"}, {"epochs", "20"}.
struct GivenSetting {
    std::string key, value, origin; ///< origin: "--prior.scale" or "config.toml:12"
};

/// The settings of a config file, as `resolve` takes them.
std::vector<GivenSetting> settings_of(const ConfigText& text);

/// Later settings win over earlier ones. Throws Error (usage) naming the setting and where it was written.
RunConfig resolve(const std::vector<GivenSetting>& given, Registry& registry);

/// "encoder=mlp prior=..." as a model's `uses` gives it.
struct UsedKind {
    std::string kind, fallback;
};
std::vector<UsedKind> used_kinds(const std::string& uses);

} // namespace elbo::core
