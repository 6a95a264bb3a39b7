// train and resume.
#include <fmt/format.h>

#include <atomic>
#include <csignal>

#include <nlohmann/json.hpp>

#include "core/base/error.hpp"
#include "core/run/trainer.hpp"
#include "ops/backend/executors.hpp"
#include "ops/table.hpp"
#include "tools/runner/commands.hpp"
#include "tools/runner/console.hpp"

namespace elbo::tools {

using core::Error;
using core::Exit;
namespace fs = std::filesystem;

namespace {

std::atomic<int> stop_signal{0};

// The first signal asks the step to be finished and saved; a second one ends the program at once.
void on_signal(int signal) {
    stop_signal.store(signal);
    std::signal(signal, SIG_DFL);
}

fs::path free_folder(const core::RunConfig& config) {
    for (int n = 1;; ++n) {
        fs::path folder =
            fs::path("runs") / fmt::format("{}-{}-{}", config.part("model").name, config.part("data").name, n);
        if (!fs::exists(folder)) return folder;
    }
}

void print_result(const Arguments& arguments, const OpenRun& open, const core::TrainingResult& result) {
    const std::string folder = open.run.folder().string();
    if (arguments.has("json")) {
        nlohmann::ordered_json j{{"run", folder},
                                 {"epoch", result.progress.epoch},
                                 {"step", result.progress.step},
                                 {"stopped", result.stopped},
                                 {"metrics", folder + "/metrics.csv"},
                                 {"pictures", folder + "/pictures"},
                                 {"weights", folder + "/model/weights.safetensors"}};
        fmt::print("{}\n", j.dump());
        return;
    }
    fmt::print("run       {}\nmetrics   {}/metrics.csv\nweights   {}/model/weights.safetensors\n", folder, folder,
               folder);
    for (const char* name : {"reconstructions.png", "samples.png"})
        if (fs::exists(open.run.folder() / "pictures" / name)) fmt::print("picture   {}/pictures/{}\n", folder, name);
}

// Trains from where the run stands; on a signal, says how to go on.
int go(const Arguments& arguments, OpenRun& open) {
    const auto& parameters = open.session().tensors();
    Console console(open.run, open.session(), open.config.epochs);
    console.note("data " + open.rows().description());
    console.note(fmt::format("model '{}': {} trained values; batch {}, {} thread{}, {}", open.config.part("model").name,
                             parameters.trained_values(), open.config.batch, open.config.threads,
                             open.config.threads == 1 ? "" : "s", ops::backend_description()));
    std::signal(SIGINT, on_signal);
    std::signal(SIGTERM, on_signal);
    core::Trainer trainer(open.run, open.config, open.session(), open.rows(), console, stop_signal);
    const core::TrainingResult result = trainer.train(open.progress);
    if (result.stopped) {
        console.note(fmt::format("stopped after step {}, saved; go on with: model-runner resume {}",
                                 result.progress.step, open.run.folder().string()));
        return 128 + stop_signal.load();
    }
    draw_pictures(open.run, open.session(), open.rows());
    print_result(arguments, open, result);
    return 0;
}

} // namespace

OpenRun open_run(const Arguments& arguments, core::Registry& registry, bool untrained) {
    OpenRun open{core::Run::open(arguments.operand), {}, nullptr, {}, {}};
    try {
        open.config = core::resolve(core::settings_of(core::read_config(open.run.config_file())), registry);
    } catch (Error& e) {
        if (e.message().find("is called") != std::string::npos)
            e.note("the run may have used a plugin of its own: name it with --plugin FILE");
        throw;
    }
    for (const auto& spec : core::declared<core::RunConfig>())
        if (auto text = arguments.value(spec.name))
            core::set_value(open.config, spec.name, spec.parse(*text, "--" + spec.name));
    open.executor = ops::make_executor("dnnl", int(open.config.threads));
    const auto checkpoint = core::latest_checkpoint(open.run);
    core::Scaler scaler;
    if (checkpoint)
        scaler = {core::stored_scaler(*checkpoint, "data.center"), core::stored_scaler(*checkpoint, "data.spread")};
    open.assembly = core::assemble(open.config, registry, ops::table(), *open.executor, scaler);
    if (checkpoint) open.progress = core::load_checkpoint(*checkpoint, open.session());
    else if (!untrained)
        throw Error(Exit::data, "the run has no checkpoint", arguments.operand)
            .note(fmt::format("train it: model-runner resume {}", arguments.operand));
    return open;
}

int train(const Arguments& arguments, core::Registry& registry) {
    std::vector<core::GivenSetting> settings;
    if (auto file = arguments.value("config")) settings = core::settings_of(core::read_config(*file));
    settings.insert(settings.end(), arguments.settings.begin(), arguments.settings.end());
    if (!arguments.operand.empty()) settings.push_back({"model", arguments.operand, "train " + arguments.operand});
    core::RunConfig config = core::resolve(settings, registry);
    auto executor = ops::make_executor("dnnl", int(config.threads));
    // Everything that can be wrong with the parts and the data shows here, before a folder is made.
    core::Assembly assembly = core::assemble(config, registry, ops::table(), *executor);
    const fs::path folder = arguments.value("out") ? fs::path(*arguments.value("out")) : free_folder(config);
    core::Run run = core::Run::create(folder, config, arguments.has("overwrite"));
    try {
        run.write_info(config, *assembly.session, *assembly.rows, ops::backend_description(), registry);
    } catch (...) {
        run.discard();
        throw;
    }
    OpenRun open{std::move(run), std::move(config), std::move(executor), std::move(assembly), {}};
    return go(arguments, open);
}

int resume(const Arguments& arguments, core::Registry& registry) {
    OpenRun open = open_run(arguments, registry, true);
    const std::string trained_on = open.run.info("data.sha256");
    if (!trained_on.empty() && trained_on != open.rows().hash())
        throw Error(Exit::data, "the data is not what this run was trained on: its SHA-256 differs", arguments.operand)
            .note("data " + open.rows().description());
    const bool done = open.progress.epoch >= std::uint64_t(open.config.epochs);
    if (done && fs::exists(open.run.folder() / "model" / "weights.safetensors")) {
        fmt::print(stderr, "the run has done its {} epochs; train longer with --epochs N\n", open.config.epochs);
        print_result(arguments, open, {false, open.progress});
        return 0;
    }
    open.run.write_config(open.config);
    return go(arguments, open);
}

} // namespace elbo::tools
