// resume: goes on with a run from its newest checkpoint, or with a sweep by its plan.
#include <fmt/format.h>

#include "core/base/error.hpp"
#include "core/base/notice.hpp"
#include "ops/backend/backends.hpp"
#include "tools/runner/profiling.hpp"
#include "tools/runner/sweep/store.hpp"
#include "tools/runner/sweeping.hpp"
#include "tools/runner/training.hpp"

namespace elbo::tools {

namespace {

int resume(const Arguments& arguments, core::Registry& registry) {
    if (is_sweep(arguments.operand)) return resume_sweep(arguments, registry);
    if (arguments.has("jobs"))
        throw core::Error(core::Exit::usage, "--jobs belongs to a sweep, and this is none", arguments.operand);
    if (const auto folder = arguments.value("profile")) must_be_writable(*folder);
    OpenRun open = open_run(arguments, registry, true);
    if (open.run.info("data.sha256").empty())
        open.run.write_info(open.config, open.session(), open.rows(), ops::backend_description(), registry);
    const std::string trained_on = open.run.info("data.sha256");
    if (!trained_on.empty() && trained_on != open.rows().hash())
        throw core::Error(core::Exit::data, "the data is not what this run was trained on: its SHA-256 differs",
                          arguments.operand)
            .note("data " + open.rows().description());
    if (open.progress.epoch >= std::uint64_t(open.config.epochs))
        core::tell(fmt::format("the run has done its {} epochs; train longer with --epochs N", open.config.epochs));
    else open.run.write_config(open.config);
    // A run that was killed behind its last checkpoint has no model or pictures yet, or older ones: made again, they
    // are the same when they were there.
    return train_on(arguments, open);
}

const VerbEntry entry({.order = 40,
                       .name = "resume",
                       .operand = "RUN",
                       .summary = "go on with a run, or with a sweep",
                       .flags = {{"epochs", "N", "train until this epoch, instead of the run's", true},
                                 {"patience", "N",
                                  "stop after so many epochs without a smaller test loss, instead of the run's", true},
                                 {"jobs", "N", "of a sweep: runs side by side (default: one per processor)"},
                                 kThreads,
                                 kQuiet,
                                 kTensorBoard,
                                 kProfile,
                                 kJson},
                       .run = resume});

} // namespace
} // namespace elbo::tools
