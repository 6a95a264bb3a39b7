// What a run is: the model, its parts and their parameters, the data, the seed. Written as config.toml so that
// `model-runner train --config RUN/config.toml` does the same again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/base/machine.hpp"
#include "core/data/rows.hpp"
#include "core/host/part.hpp"
#include "core/host/registry.hpp"

namespace elbo::core {

/// One part by name, with all its parameters.
struct PartChoice {
    std::string kind, name;
    std::vector<NamedValue> values;
};

struct RunConfig {
    std::int64_t latent = 20, batch = 128, epochs = 10, seed = 1;
    std::int64_t threads = default_threads();
    std::int64_t checkpoint_every = 1; ///< epochs
    std::vector<PartChoice> parts;     ///< the model first, then the parts it uses, the optimizer and the data
    DataOptions data;

    const PartChoice& part(const std::string& kind) const;

    /// The numbers above that belong to the run as a whole, as parameters: latent, batch, epochs, seed, threads, ...
    static std::vector<ParameterSpec> declared();
    void set(const std::string& name, const ParameterValue& value);
    ParameterValue get(const std::string& name) const;
};

/// "encoder=mlp prior=..." as a model's `uses` gives it.
struct UsedKind {
    std::string kind, fallback;
};
std::vector<UsedKind> used_kinds(const std::string& uses);

/// A configuration as it was written, before anything is known of the parts: section -> key -> text.
struct ConfigText {
    struct Entry {
        std::string section, key, value;
        int line;
    };
    std::vector<Entry> entries;
    std::string file;
    const Entry* find(const std::string& section, const std::string& key) const;
};

/// Reads a TOML file of tables with scalars and lists of integers. Throws Error (usage) with file:line.
ConfigText read_config(const std::filesystem::path& file);
/// TOML text of a configuration, with a header line.
std::string config_toml(const RunConfig& config);

/// Settings from a file and from flags, in that order of precedence reversed, become a configuration: names are looked
/// up, unknown keys refused with the nearest one, everything else gets its default. `given` holds "section.key" texts,
/// e.g. {"prior", "laplace"}, {"prior.scale", "2"}, {"epochs", "20"}.
struct GivenSetting {
    std::string key, value, origin; ///< origin: "--prior.scale" or "config.toml:12"
};
RunConfig resolve(const std::vector<GivenSetting>& given, Registry& registry);
/// The settings of a config file, as `resolve` takes them.
std::vector<GivenSetting> settings_of(const ConfigText& text);

} // namespace elbo::core
