// From what a person wrote, in flags and a file, to a configuration: parts are looked up role by role, unknown keys
// refused with the nearest one, everything else gets its default.
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

/// A role, what may fill it and what does here.
struct Role {
    std::string role, kind, fallback;
    const ComponentInfo* info =
        nullptr;                    ///< of the chosen part; nullptr when nothing was chosen and there is no default
    std::vector<NamedValue> values; ///< of its parameters
    std::string by = {};            ///< who asked for the role, as a label
};
/// The roles of a run: the model's and those of the parts that fill them, the optimizer, the data, and schedules that
/// were asked for. Throws as resolve for what is given, and lets pass what is missing.
std::vector<Role> roles_of(const std::vector<GivenSetting>& given, Registry& registry);

/// "encoder=mlp critic:encoder=mlp", as a part's `uses` says it. Throws Error (plugin) when it cannot be read.
std::vector<Role> used_roles(const std::string& uses, const std::string& by);

} // namespace elbo::core
