// What each verb does. Returns the exit code; throws core::Error.
#pragma once

#include "core/run/assembly.hpp"
#include "core/run/checkpoint.hpp"
#include "core/run/folder.hpp"
#include "tools/runner/options.hpp"

namespace elbo::tools {

int list(const Arguments& arguments, core::Registry& registry);
int describe(const Arguments& arguments, core::Registry& registry);
int plan(const Arguments& arguments, core::Registry& registry);
int train(const Arguments& arguments, core::Registry& registry);
int resume(const Arguments& arguments, core::Registry& registry);
int eval(const Arguments& arguments, core::Registry& registry);
int reconstruct(const Arguments& arguments, core::Registry& registry);
int sample(const Arguments& arguments, core::Registry& registry);
int encode(const Arguments& arguments, core::Registry& registry);
int score(const Arguments& arguments, core::Registry& registry);

/// A run, opened with the weights of its newest checkpoint.
struct OpenRun {
    core::Run run;
    core::RunConfig config;
    std::unique_ptr<core::Executor> executor;
    core::Assembly assembly;
    core::Progress progress;

    core::Session& session() const { return *assembly.session; }
    const core::Rows& rows() const { return *assembly.rows; }
};
/// epochs: overrides the run's when given. Throws Error (data) without a checkpoint, unless `untrained` is allowed.
OpenRun open_run(const Arguments& arguments, core::Registry& registry, bool untrained = false);

/// True when rows can be shown: [h, w] or [h, w, 1 or 3].
bool is_image(const core::Dims& row);
/// Reconstructions of the first rows of the split, and samples where the model has a prior, into RUN/pictures.
void draw_pictures(const core::Run& run, core::Session& session, const core::Rows& rows);
void draw_reconstructions(const std::filesystem::path& file, core::Session& session, const core::Rows& rows,
                          core::Split split, std::int64_t first, std::int64_t count);
void draw_samples(const std::filesystem::path& file, core::Session& session, std::int64_t count, std::uint64_t seed);
/// True when the model draws from a prior.
bool can_sample(core::Session& session);

} // namespace elbo::tools
