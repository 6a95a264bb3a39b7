// The files of a run, one by one: what each is, and whether it is what was written.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/host/registry.hpp"

namespace elbo::tools {

struct CheckedFile {
    enum class State {
        sound,
        damaged, ///< not what was written
        missing, ///< a run has it, and this one does not
        changed, ///< sound, but another one than the run was made with
        note,    ///< nothing is known of it, or nothing can be checked here
    };
    std::string file; ///< within the run; of plugins and data, what run.json calls them
    State state;
    std::string text;   ///< what it is, or what is wrong with it
    bool fatal = false; ///< the run is not what it was
};

/// Reads every file of a run whole, opens its data and loads every checkpoint into its model. Throws Error only where
/// the folder is no run at all.
std::vector<CheckedFile> check_files(const std::filesystem::path& folder, core::Registry& registry);

} // namespace elbo::tools
