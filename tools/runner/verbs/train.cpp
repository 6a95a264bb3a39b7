// train: a new run folder, and a model trained into it.
#include <fmt/format.h>

#include "core/base/error.hpp"
#include "core/base/notice.hpp"
#include "core/run/defaults.hpp"
#include "ops/backend/backends.hpp"
#include "ops/table.hpp"
#include "tools/runner/foresight.hpp"
#include "tools/runner/profiling.hpp"
#include "tools/runner/sweeping.hpp"
#include "tools/runner/training.hpp"

namespace elbo::tools {

namespace fs = std::filesystem;

namespace {

fs::path free_folder(const core::RunConfig& config) {
    for (int n = 1;; ++n) {
        fs::path folder =
            fs::path("runs") / fmt::format("{}-{}-{}", config.part("model").name, config.part("data").name, n);
        if (!fs::exists(folder)) return folder;
    }
}

std::vector<core::GivenSetting> settings_of(const Arguments& arguments) {
    std::vector<core::GivenSetting> settings;
    if (auto file = arguments.value("config")) settings = core::settings_of(core::read_config(*file));
    settings.insert(settings.end(), arguments.settings.begin(), arguments.settings.end());
    if (!arguments.operand.empty()) settings.push_back({"model", arguments.operand, "train " + arguments.operand});
    return settings;
}

void check_profile(const Arguments& arguments) {
    const auto folder = arguments.value("profile");
    if (!folder) return;
    for (const char* flag : {"print-config", "dry-run"})
        if (arguments.has(flag))
            throw core::Error(core::Exit::usage, fmt::format("--profile: nothing is trained with --{}", flag));
    must_be_writable(*folder);
}

int train(const Arguments& arguments, core::Registry& registry) {
    const std::vector<core::GivenSetting> given = settings_of(arguments);
    if (wants_sweep(arguments)) return start_sweep(arguments, registry, given);
    check_profile(arguments);
    core::RunConfig config = core::resolve(given, registry);
    config.threads = team_of(config.threads);
    auto backend = ops::make_backend("dnnl", int(config.threads), ops::usable_precision(config.precision));
    // Everything that can be wrong with the parts and the data shows here, before a folder is made.
    std::string chosen;
    std::vector<core::GivenSetting> all_given = given;
    const auto reconsider = [&](const core::Rows& rows) -> std::optional<core::RunConfig> {
        auto all = core::defaults_for(rows, config, given);
        if (all.empty()) return {};
        chosen = core::text_of(all);
        all.insert(all.end(), given.begin(), given.end());
        core::RunConfig other = core::resolve(all, registry);
        all_given = all;
        other.threads = config.threads;
        return other;
    };
    core::Assembly assembly = core::assemble(config, registry, ops::table(), *backend, {}, core::tell_line, reconsider);
    if (!chosen.empty() && !arguments.has("quiet")) core::tell(chosen);
    if (!arguments.has("quiet"))
        for (const std::string& note : assembly.rows->notes()) core::tell("note: " + note);
    if (arguments.has("print-config")) return fmt::print("{}", config_with_origins(config, all_given)), 0;
    if (arguments.has("dry-run")) return print_dry_run(arguments, config, assembly), 0;
    const fs::path folder = arguments.value("out") ? fs::path(*arguments.value("out")) : free_folder(config);
    core::Run run = core::Run::create(folder, config, arguments.has("overwrite"));
    try {
        run.write_info(config, *assembly.session, *assembly.rows, ops::backend_description(), registry);
    } catch (...) {
        run.discard();
        throw;
    }
    OpenRun open{std::move(run), std::move(config), std::move(backend), std::move(assembly), {}, {}};
    return train_on(arguments, open);
}

const VerbEntry entry({.order = 30,
                       .name = "train",
                       .operand = "MODEL",
                       .summary = "train a model into a new run folder",
                       .flags = {{"config", "FILE", "settings from a config.toml; flags win"},
                                 {"out", "RUN", "the run folder (default: runs/MODEL-DATA-N)"},
                                 {"overwrite", "", "replace a run that is there"},
                                 {"print-config", "", "print every setting with where it came from, and train nothing"},
                                 {"dry-run", "", "print tensors, memory, FLOPs and the time to expect; write nothing"},
                                 kQuiet,
                                 kTensorBoard,
                                 kProfile,
                                 {"sweep", "KEY=VALUES",
                                  "one run for each value of a setting: latent=8,16; a semicolon between values that "
                                  "have commas: encoder.hidden=400,400;200; a range to draw from with --random: "
                                  "optimizer.lr=1e-4..1e-2:log; repeated, each value with each other. --out is then "
                                  "the folder of all; the same command goes on with what was stopped or killed"},
                                 {"random", "N", "of a sweep: N points drawn by --seed instead of all"},
                                 {"seeds", "N", "each point (or the run) with N seeds from --seed on; mean and spread"},
                                 {"jobs", "N", "of a sweep: runs side by side (default: one per processor)"},
                                 {"stop-after-worst", "",
                                  "of a sweep: after a quarter and a half of the epochs the better half goes on"},
                                 kJson},
                       .takes_settings = true,
                       .run = train});

} // namespace
} // namespace elbo::tools
