// What can follow on a command line that is being typed: verbs, flags, part names, their parameters, runs.
#pragma once

#include <string>
#include <vector>

#include "core/host/registry.hpp"

namespace elbo::tools {

struct Candidate {
    std::string word, about; ///< about: for shells that show it; may be empty
};

struct Completion {
    /// What the shell completes by itself, or how it takes the words.
    enum class Names { words, files, folders, runs };
    Names names = Names::words;
    std::vector<Candidate> candidates; ///< each begins as the last word does
};

/// words: what follows the program's name; the last one is being typed and may be empty. Plugins that the words name
/// are added to the registry. Never throws for what the words say.
Completion complete(const std::vector<std::string>& words, core::Registry& registry);

/// Folders that begin as `typed` does: runs, and those that hold some.
std::vector<Candidate> run_folders(const std::string& typed);

} // namespace elbo::tools
