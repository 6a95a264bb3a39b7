// A sweep: many runs of train, side by side in processes, in a folder with a child folder for each. Killed at any
// moment, the same command (or resume) goes on with what is left.
#pragma once

#include <vector>

#include "tools/runner/words.hpp"

namespace elbo::tools {

/// Whether flags ask for one. Throws Error (usage) for those of a sweep without one.
bool wants_sweep(const Arguments& arguments);

/// train --sweep ...: `given` are the settings of all runs. Returns the exit code: 0 when a point has a result, that of
/// the first run when none has, 128 + signal when a signal stopped it.
int start_sweep(const Arguments& arguments, core::Registry& registry, const std::vector<core::GivenSetting>& given);

/// resume FOLDER, of a sweep that is there, by its own plan.
int resume_sweep(const Arguments& arguments, core::Registry& registry);

} // namespace elbo::tools
