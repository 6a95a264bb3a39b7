// sweep.json: the plan of a sweep, and how each of its runs has ended so far. Written whole each time a run ends, so
// that a sweep which was killed goes on with what is left.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "tools/runner/sweep/plan.hpp"

namespace elbo::tools {

/// How a run ended: in which round, and with which exit code.
struct Ended {
    std::size_t round = 0;
    int code = 0;
};

struct StoredSweep {
    Plan plan;
    std::map<std::string, Ended> ended; ///< by the name of the run
};

/// Whether the folder is one of a sweep.
bool is_sweep(const std::filesystem::path& folder);
/// Throws Error (data) when it is damaged or of a newer version.
StoredSweep read_sweep(const std::filesystem::path& folder);
/// Throws Error (failure) when it cannot be written.
void write_sweep(const std::filesystem::path& folder, const StoredSweep& sweep);

/// The settings of all runs as a file for `train --config`.
std::string settings_toml(const Plan& plan);

} // namespace elbo::tools
