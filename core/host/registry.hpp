// Finds plugin files, reads what they say of themselves, loads them when a part of theirs is needed, and looks parts up
// by kind and name. A file is checked before any of its code runs. Libraries stay loaded until exit.
//
// Looked for in: single files (--plugin), folders (--plugin-dir), ELBO_PLUGIN_PATH (absolute entries only), and the
// folder beside the program. Never in the current folder, never beside a model file.
#pragma once

#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/host/manifest.hpp"
#include "core/host/part.hpp"

namespace elbo::core {

/// No part of that kind and name was found.
struct NoSuchPart : Error {
    NoSuchPart(std::string kind_, std::string name_, const std::string& what)
        : Error(Exit::usage, what), kind(std::move(kind_)), name(std::move(name_)) {}
    std::string kind, name;
};

/// The kinds that elbo/kinds.hpp has. A plugin may bring one of its own.
std::vector<std::string> sdk_kinds();

/// Names that a parameter of a part of that kind cannot have: its section of config.toml holds these too.
std::set<std::string> taken_names(const std::string& kind);

class Registry {
public:
    Registry();
    ~Registry();
    Registry(const Registry&) = delete;
    Registry& operator=(const Registry&) = delete;

    /// Takes one file. Throws Error (plugin) when it is not a plugin this host can load.
    void add_file(const std::filesystem::path& file);
    /// Takes every plugin of a folder; other files are passed over, plugins of another version are kept aside and named
    /// when a part is not found. Throws Error (plugin) when the folder does not exist.
    void add_folder(const std::filesystem::path& folder, bool built_in = false);
    /// ELBO_PLUGIN_PATH, then the folder beside the running program.
    void add_default_places();

    /// The part of that kind and name; loads its plugin. Throws Error (usage) with the nearest name when there is none,
    /// Error (plugin) when the file does not load.
    const ComponentInfo& find(const std::string& kind, const std::string& name);
    /// Kinds that have parts, sorted.
    std::vector<std::string> kinds() const;
    /// Names of a kind, sorted; nothing is loaded.
    std::vector<std::string> names(const std::string& kind) const;

    struct File {
        std::filesystem::path path;
        Manifest manifest;
        bool loaded = false;
        bool built_in = false; ///< found beside the program
        std::vector<std::unique_ptr<ComponentInfo>> components;
    };
    const std::vector<std::unique_ptr<File>>& files() const { return files_; }
    /// Plugins that were refused in a scan, each with the reason.
    const std::vector<std::string>& passed_over() const { return passed_over_; }
    /// Loads a file's parts, once. Throws Error (plugin).
    void load(File& file);

private:
    void add(const std::filesystem::path& file, bool named, bool built_in);

    std::vector<std::unique_ptr<File>> files_;
    std::vector<std::string> passed_over_;
};

} // namespace elbo::core
