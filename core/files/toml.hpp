// Configuration files: a TOML subset of [sections] with texts, numbers, true, false and lists of them, read as texts
// that remember their line.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace elbo::core {

/// A configuration as it was written, before anything is known of what it configures.
struct ConfigText {
    struct Entry {
        std::string section, key, value; ///< a list's values are separated by commas
        int line;
    };
    std::vector<Entry> entries;
    std::string file;
    const Entry* find(const std::string& section, const std::string& key) const;
};

/// Throws Error (usage) with file:line.
ConfigText read_config(const std::filesystem::path& file);

/// The text between marks, as TOML writes it.
std::string toml_string(const std::string& text);

} // namespace elbo::core
