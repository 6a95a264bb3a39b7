#include "tools/runner/training.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/files/system.hpp"
#include "core/run/trainer.hpp"
#include "ops/backend/backends.hpp"
#include "ops/backend/threads.hpp"
#include "tools/runner/console.hpp"
#include "tools/runner/drawing.hpp"
#include "tools/runner/profiling.hpp"
#include "tools/runner/results.hpp"
#include "tools/runner/tensorboard.hpp"

namespace elbo::tools {

namespace {

std::atomic<int> stop_signal{0};

// The first signal asks the step to be finished and saved; a second one ends the program at once.
void on_signal(int signal) {
    stop_signal.store(signal);
    ::signal(signal, SIG_DFL);
}

// On a stack of its own: oneDNN's generated products use the stack pointer for their buffers, and a handler that ran
// there would write over the heap.
void catch_signals() {
    static char stack[1 << 16];
    stack_t own{};
    own.ss_sp = stack;
    own.ss_size = sizeof stack;
    ::sigaltstack(&own, nullptr);
    struct sigaction action {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_ONSTACK | SA_RESTART;
    for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
        struct sigaction before {};
        ::sigaction(signal, nullptr, &before);
        // What nohup, or a shell that runs it in the background, ignores stays ignored.
        if (before.sa_handler != SIG_IGN) ::sigaction(signal, &action, nullptr);
    }
}

void introduce(const OpenRun& open, Console& console) {
    console.introduce("data " + open.rows().description());
    console.introduce(fmt::format("model '{}': {} trained values; batch {}, {} thread{}, {}, {}",
                                  open.config.part("model").name, open.session().tensors().trained_values(),
                                  open.config.batch, open.config.threads, open.config.threads == 1 ? "" : "s",
                                  open.config.precision, ops::backend_description()));
}

std::string json_of(const std::string& folder, const core::Progress& progress, std::uint64_t kept) {
    return nlohmann::ordered_json{{"run", folder},
                                  {"epoch", progress.epoch},
                                  {"step", progress.step},
                                  {"stopped", false},
                                  {"kept_epoch", kept},
                                  {"metrics", folder + "/metrics.csv"},
                                  {"pictures", folder + "/pictures"},
                                  {"weights", folder + "/model/weights.safetensors"}}
        .dump();
}

std::string text_of(const std::string& folder) {
    std::string out = fmt::format("run       {0}\nmetrics   {0}/metrics.csv\n", folder);
    out += fmt::format("weights   {}/model/weights.safetensors\n", folder);
    for (const char* name : {"reconstructions.png", "samples.png"}) {
        const std::string picture = folder + "/pictures/" + name;
        if (core::is_there(picture)) out += fmt::format("picture   {}\n", picture);
    }
    return out;
}

} // namespace

int train_on(const Arguments& arguments, OpenRun& open) {
    const Console::Style style = arguments.has("quiet")  ? Console::Style::quiet
                                 : arguments.has("json") ? Console::Style::json
                                                         : Console::Style::people;
    Console console(open.run, open.session(), open.config.epochs, style);
    introduce(open, console);
    catch_signals();
    ops::settle_team();
    std::optional<TensorBoard> board;
    if (arguments.has("tensorboard")) board.emplace(console, open.run, open.session(), open.progress.step);
    core::Watcher& seen = board ? static_cast<core::Watcher&>(*board) : console;
    std::optional<Profiler> profiler;
    if (const auto folder = arguments.value("profile"))
        profiler.emplace(seen, open.session(), std::min(open.config.batch, open.rows().count(core::Split::train)),
                         *open.backend, *folder);
    core::Watcher& watcher = profiler ? static_cast<core::Watcher&>(*profiler) : seen;
    core::Trainer trainer(open.run, open.config, open.session(), open.rows(), watcher, stop_signal);
    const core::TrainingResult result = trainer.train(open.progress);
    if (profiler && profiler->write()) console.introduce("profile in " + *arguments.value("profile"));
    if (result.stopped) {
        console.note(fmt::format("stopped after step {}, saved; go on with: model-runner resume {}",
                                 result.progress.step, open.run.folder().string()));
        return 128 + stop_signal.load();
    }
    draw_pictures(open.run, open.session(), open.rows());
    if (board) board->pictures();
    print_trained(arguments, open, result.progress, result.epoch);
    return 0;
}

void print_trained(const Arguments& arguments, const OpenRun& open, const core::Progress& progress,
                   std::uint64_t kept) {
    const std::string folder = open.run.folder().string();
    print_result(
        arguments, [&] { return json_of(folder, progress, kept); }, [&] { return text_of(folder); });
}

} // namespace elbo::tools
