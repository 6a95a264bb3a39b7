// What a training would be, without one: every setting with where it came from, and what a step takes.
#pragma once

#include <string>
#include <vector>

#include "core/run/assembly.hpp"
#include "core/run/resolve.hpp"
#include "tools/runner/words.hpp"

namespace elbo::tools {

/// The configuration as config.toml has it, each line with where its value came from: a flag, a line of a file, a
/// variable of the environment, the choice for tables, or the default. Later ones of `given` win.
std::string config_with_origins(const core::RunConfig& config, const std::vector<core::GivenSetting>& given);

/// The tensors, memory and FLOPs of a training, and its time by three steps on the first batch: JSON with --json. The
/// session's weights move; nothing is written.
void print_dry_run(const Arguments& arguments, const core::RunConfig& config, core::Assembly& assembly);

} // namespace elbo::tools
