#include "tools/runner/sweeping.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.hpp"
#include "core/base/notice.hpp"
#include "core/base/text.hpp"
#include "core/files/lock.hpp"
#include "ops/backend/threads.hpp"
#include "tools/runner/open_run.hpp"
#include "tools/runner/sweeper.hpp"

namespace elbo::tools {

namespace fs = std::filesystem;
using core::Error;
using core::Exit;
using core::GivenSetting;

namespace {

/// The last of those for the key; nullptr when there is none.
const GivenSetting* find(const std::vector<GivenSetting>& settings, const std::string& key) {
    const auto it = std::find_if(settings.rbegin(), settings.rend(),
                                 [&](const GivenSetting& s) { return core::canonical_name(s.key) == key; });
    return it == settings.rend() ? nullptr : &*it;
}

std::vector<Axis> axes_of(const Arguments& arguments) {
    std::vector<Axis> axes;
    const auto written = arguments.flags.find("sweep");
    if (written == arguments.flags.end()) return axes;
    for (const std::string& text : written->second) {
        axes.push_back(axis_of(text));
        const Axis& axis = axes.back();
        const auto twice = [&](const Axis& other) { return other.key == axis.key; };
        if (std::count_if(axes.begin(), axes.end(), twice) > 1)
            throw Error(Exit::usage, fmt::format("'{}' is swept twice", axis.key), "--sweep " + text);
    }
    return axes;
}

void refuse_contradictions(const Arguments& arguments, const std::vector<Axis>& axes) {
    for (const Axis& axis : axes) {
        const auto refuse = [&](const std::string& why) { throw Error(Exit::usage, why, "--sweep " + axis.written); };
        if (axis.key == "threads") refuse("threads are shared out among the runs, see --jobs; they are not searched");
        if (axis.key == "seed" && arguments.has("seeds")) refuse("--seeds chooses the seeds already");
        if (axis.key == "epochs" && arguments.has("stop-after-worst"))
            refuse("--stop-after-worst chooses the epochs of each run");
        if (find(arguments.settings, axis.key)) refuse(fmt::format("--{} is given too", axis.key));
    }
}

// Those whose values are whole numbers, where a part with that parameter is chosen.
std::set<std::string> whole_keys(const std::vector<Axis>& axes, std::vector<GivenSetting> settings,
                                 core::Registry& registry) {
    for (const Axis& axis : axes)
        if (!axis.is_range) settings.push_back({axis.key, axis.values[0], "--sweep " + axis.written});
    std::set<std::string> out;
    const auto add = [&](const std::string& before, const std::vector<core::ParameterSpec>& specs) {
        for (const core::ParameterSpec& s : specs)
            if (s.type == ELBO_INT) out.insert(before + s.name);
    };
    add("", core::declared<core::RunConfig>());
    add("data.", core::declared<core::DataOptions>());
    for (const core::Role& r : core::roles_of(settings, registry))
        if (r.info) add(r.role + ".", r.info->parameters);
    return out;
}

// One of each key, the last, and without what the sweep chooses for each run.
std::vector<GivenSetting> common_settings(const std::vector<GivenSetting>& given, const std::vector<Axis>& axes) {
    std::vector<GivenSetting> out;
    for (const GivenSetting& s : given) {
        const std::string key = core::canonical_name(s.key);
        const bool swept = std::any_of(axes.begin(), axes.end(), [&](const Axis& a) { return a.key == key; });
        if (&s == find(given, key) && key != "threads" && !swept) out.push_back({key, s.value, s.origin});
    }
    return out;
}

std::int64_t seed_of(const std::vector<GivenSetting>& given) {
    const GivenSetting* s = find(given, "seed");
    for (const core::ParameterSpec& spec : core::declared<core::RunConfig>())
        if (s && spec.name == "seed") return std::get<std::int64_t>(spec.parse(s->value, s->origin));
    return core::RunConfig{}.seed;
}

Plan plan_of(const Arguments& arguments, core::Registry& registry, const std::vector<GivenSetting>& given) {
    const std::vector<Axis> axes = axes_of(arguments);
    refuse_contradictions(arguments, axes);
    Plan plan;
    plan.settings = common_settings(given, axes);
    for (const Axis& axis : axes) plan.sweeps.push_back(axis.written);
    plan.random = arguments.number("random", 1).value_or(0);
    plan.seeds = arguments.number("seeds", 1).value_or(0);
    plan.halving = arguments.has("stop-after-worst");
    const std::int64_t seed = seed_of(given);
    plan.points = plan.random
                      ? random_points(axes, plan.random, std::uint64_t(seed), whole_keys(axes, plan.settings, registry))
                      : grid_points(axes);
    plan_runs(plan.points, plan.seeds, seed);
    return plan;
}

void check_halving(const std::vector<core::RunConfig>& configs) {
    constexpr std::int64_t kLeast = 4;
    if (configs[0].epochs < kLeast)
        throw Error(Exit::usage,
                    fmt::format("--stop-after-worst needs {} epochs or more, for its quarter and half", kLeast));
    for (const core::RunConfig& c : configs)
        for (const core::PartChoice& p : c.parts)
            if (p.kind == "schedule")
                return core::tell(
                    fmt::format("note: with --stop-after-worst the schedule of {} sees the epochs of each "
                                "round, not those of the whole run",
                                p.role.substr(0, p.role.rfind('.'))));
}

// How many side by side, and the threads of each.
struct Share {
    std::int64_t at_once, threads;
};
Share share_of(const Arguments& arguments, std::int64_t threads, std::size_t runs) {
    const std::int64_t processors = ops::available_threads();
    const auto jobs = arguments.number("jobs", 1);
    const std::int64_t wanted =
        jobs.value_or(std::max<std::int64_t>(1, processors / std::max<std::int64_t>(1, threads)));
    const std::int64_t at_once = std::min(wanted, std::int64_t(runs));
    return {at_once, threads ? team_of(threads) : std::max<std::int64_t>(1, processors / at_once)};
}

std::size_t runs_of(const Plan& plan) { return plan.points.size() * plan.points.at(0).runs.size(); }

// A new sweep's folder is not there yet, empty, or what one left that was killed before it wrote its plan.
void make_folder(const fs::path& folder) {
    std::error_code status;
    for (const auto& entry : fs::directory_iterator(folder, status)) {
        const std::string name = entry.path().filename().string();
        if (name == "lock" || name == "logs" || name == "settings.toml" || name.find(".tmp-") != std::string::npos)
            continue;
        const bool is_run = fs::exists(folder / "config.toml", status);
        throw Error(Exit::usage, is_run ? "there is a run in this folder" : "the folder exists and is not a sweep's",
                    folder.string())
            .note("give another --out");
    }
    status.clear();
    fs::create_directories(folder, status);
    if (status) throw Error(Exit::failure, "cannot make the folder: " + status.message(), folder.string());
}

void refuse_another(const fs::path& folder, const Plan& there, const Plan& here, const GivenSetting* threads) {
    auto all = differences(there, here);
    if (threads && core::parse_number<std::int64_t>(threads->value) != there.threads)
        all.push_back(fmt::format("threads: {} there, {} here", there.threads, threads->value));
    if (all.empty()) return;
    Error e(Exit::usage, "there is another sweep in this folder", folder.string());
    for (const std::string& line : all) e.note(line);
    throw e.note(fmt::format("go on with that one: model-runner resume {}", folder.string()))
        .note("or give another --out");
}

fs::path without_slash(const fs::path& folder) { return folder.filename().empty() ? folder.parent_path() : folder; }

std::int64_t threads_of(const GivenSetting* s) {
    for (const core::ParameterSpec& spec : core::declared<core::RunConfig>())
        if (s && spec.name == "threads") return std::get<std::int64_t>(spec.parse(s->value, s->origin));
    return 0;
}

} // namespace

bool wants_sweep(const Arguments& arguments) {
    const bool wanted = arguments.has("sweep") || arguments.has("seeds");
    for (const char* flag : {"random", "jobs", "stop-after-worst"})
        if (arguments.has(flag) && !wanted)
            throw Error(Exit::usage, fmt::format("--{} belongs to a sweep, and none is asked for", flag))
                .note("--sweep KEY=VALUES, or --seeds N");
    if (arguments.has("random") && !arguments.has("sweep"))
        throw Error(Exit::usage, "--random draws values, and no --sweep says of what");
    return wanted;
}

int start_sweep(const Arguments& arguments, core::Registry& registry, const std::vector<GivenSetting>& given) {
    if (!arguments.value("out"))
        throw Error(Exit::usage, "a sweep needs --out FOLDER, where the same command goes on with it");
    if (arguments.has("overwrite"))
        throw Error(Exit::usage, "--overwrite: a sweep's folder is not replaced; delete it, or give another --out");
    if (arguments.has("profile"))
        throw Error(Exit::usage, "--profile is of one run; a sweep's runs share the processors");
    const fs::path folder = without_slash(*arguments.value("out"));
    StoredSweep sweep{plan_of(arguments, registry, given), {}};
    auto configs = configs_of(sweep.plan, registry);
    if (sweep.plan.halving) check_halving(configs);
    const GivenSetting* threads = find(given, "threads");
    Share share = share_of(arguments, threads_of(threads), runs_of(sweep.plan));
    if (!is_sweep(folder)) make_folder(folder);
    const core::FileLock lock(folder / "lock", "sweep");
    if (is_sweep(folder)) {
        StoredSweep there = read_sweep(folder);
        refuse_another(folder, there.plan, sweep.plan, threads);
        sweep = std::move(there);
        configs = configs_of(sweep.plan, registry);
        share = share_of(arguments, sweep.plan.threads, runs_of(sweep.plan));
    } else {
        sweep.plan.threads = share.threads;
        write_sweep(folder, sweep);
    }
    return Sweeper(arguments, folder, std::move(sweep), std::move(configs)).run(int(share.at_once));
}

int resume_sweep(const Arguments& arguments, core::Registry& registry) {
    for (const char* flag : {"epochs", "patience", "threads", "profile"})
        if (arguments.has(flag))
            throw Error(Exit::usage, fmt::format("--{}: a sweep goes on by its own plan", flag), arguments.operand);
    const fs::path folder = without_slash(arguments.operand);
    const core::FileLock lock(folder / "lock", "sweep");
    StoredSweep sweep = read_sweep(folder);
    auto configs = configs_of(sweep.plan, registry);
    const Share share = share_of(arguments, sweep.plan.threads, runs_of(sweep.plan));
    return Sweeper(arguments, folder, std::move(sweep), std::move(configs)).run(int(share.at_once));
}

} // namespace elbo::tools
