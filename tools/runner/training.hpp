// What train and resume share: the run trains until its last epoch or a signal, and says what came of it.
#pragma once

#include "tools/runner/open_run.hpp"

namespace elbo::tools {

/// Trains from where the run stands, draws its pictures and prints the result; on a signal, says how to go on. Returns
/// the exit code.
int train_on(const Arguments& arguments, OpenRun& open);

/// Where the run's files are; with --json, also where training stands.
/// `kept`: the epoch whose weights the model has.
void print_trained(const Arguments& arguments, const OpenRun& open, const core::Progress& progress, std::uint64_t kept);

} // namespace elbo::tools
