// resume: goes on with a run from its newest checkpoint.
#include <fmt/format.h>

#include "core/base/error.hpp"
#include "tools/runner/training.hpp"

namespace elbo::tools {

namespace {

int resume(const Arguments& arguments, core::Registry& registry) {
    OpenRun open = open_run(arguments, registry, true);
    const std::string trained_on = open.run.info("data.sha256");
    if (!trained_on.empty() && trained_on != open.rows().hash())
        throw core::Error(core::Exit::data, "the data is not what this run was trained on: its SHA-256 differs",
                          arguments.operand)
            .note("data " + open.rows().description());
    const bool done = open.progress.epoch >= std::uint64_t(open.config.epochs);
    if (done && std::filesystem::exists(open.run.folder() / "model" / "weights.safetensors")) {
        fmt::print(stderr, "the run has done its {} epochs; train longer with --epochs N\n", open.config.epochs);
        const bool best = open.config.keep == "best" && open.progress.best_epoch > 0;
        print_trained(arguments, open, open.progress, best ? open.progress.best_epoch : open.progress.epoch);
        return 0;
    }
    open.run.write_config(open.config);
    return train_on(arguments, open);
}

const VerbEntry entry({.order = 40,
                       .name = "resume",
                       .operand = "RUN",
                       .summary = "go on with a run",
                       .flags = {{"epochs", "N", "train until this epoch, instead of the run's"},
                                 {"patience", "N",
                                  "stop after so many epochs without a smaller test loss, instead of the run's"},
                                 kThreads,
                                 kJson},
                       .run = resume});

} // namespace
} // namespace elbo::tools
