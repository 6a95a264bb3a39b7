// A run folder opened for use: its configuration, its parts and data, and the weights.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/run/assembly.hpp"
#include "core/run/checkpoint.hpp"
#include "core/run/folder.hpp"
#include "tools/runner/words.hpp"

namespace elbo::tools {

struct OpenRun {
    core::Run run;
    core::RunConfig config;
    std::unique_ptr<core::Backend> backend;
    core::Assembly assembly;
    core::Progress progress;
    std::optional<core::KeptRows> kept; ///< what it knows of its data

    core::Session& session() const { return *assembly.session; }
    const core::Rows& rows() const { return *assembly.rows; }
    /// Of the tokens it was trained on; empty where they have no names.
    const std::vector<std::string>& token_names() const { return kept ? kept->x.names : rows().x().names; }
};

/// What config.toml says, with plugins that were named before on this machine. Throws as resolve.
core::RunConfig stored_config(const core::Run& run, core::Registry& registry);

/// The size of the compute team when so many threads are asked for; 0: as many as this process may use. Throws Error
/// (usage) for more than there are processors.
std::int64_t team_of(std::int64_t asked);

/// The run that the operand names, with the weights of its newest checkpoint, or of its best one where the run keeps
/// that; the run's own numbers that were given as flags (--threads, --epochs) win. Throws Error (data) without a
/// checkpoint. To train on, it is always the newest, and there may be none.
OpenRun open_run(const Arguments& arguments, core::Registry& registry, bool to_train = false);

} // namespace elbo::tools
