#include "tools/runner/sweeper.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "core/base/error.hpp"
#include "core/base/machine.hpp"
#include "core/base/notice.hpp"
#include "core/files/atomic.hpp"
#include "core/files/lock.hpp"
#include "ops/backend/precision.hpp"
#include "ops/backend/threads.hpp"
#include "tools/runner/results.hpp"
#include "tools/runner/sweep/children.hpp"
#include "tools/runner/sweep/picture.hpp"

namespace elbo::tools {

namespace fs = std::filesystem;
using core::Error;
using core::Exit;
using core::GivenSetting;

namespace {

constexpr const char* kSettings = "settings.toml";
constexpr const char* kLogs = "logs";

} // namespace

std::vector<core::RunConfig> configs_of(const Plan& plan, core::Registry& registry) {
    std::vector<core::RunConfig> out;
    for (const Point& p : plan.points) {
        std::vector<GivenSetting> all = plan.settings;
        all.insert(all.end(), p.settings.begin(), p.settings.end());
        out.push_back(core::resolve(all, registry));
        ops::usable_precision(out.back().precision);
    }
    return out;
}

Sweeper::Sweeper(const Arguments& arguments, fs::path folder, StoredSweep stored, std::vector<core::RunConfig> configs)
    : arguments_(arguments), folder_(std::move(folder)), stored_(std::move(stored)), configs_(std::move(configs)) {
    for (std::size_t i = 0; i < plan().points.size(); ++i) {
        alive_.push_back(i);
        for (const PlannedRun& r : plan().points[i].runs) places_[r.name] = {i, r};
    }
    reached_.resize(alive_.size());
    rounds_ = plan().halving ? rounds_of(configs_.at(0).epochs) : std::vector<std::int64_t>{0};
}

int Sweeper::run(int at_once) {
    prepare();
    const int signal = train(at_once);
    if (signal == 0) return finish();
    core::tell(fmt::format("stopped: {} of {} runs are done, the others saved; go on with: model-runner resume {}",
                           done_, all_, folder_.string()));
    return 128 + signal;
}

void Sweeper::prepare() const {
    std::error_code status;
    fs::create_directory(folder_ / kLogs, status);
    if (status) throw Error(Exit::failure, "cannot make the folder: " + status.message(), (folder_ / kLogs).string());
    core::sweep_temporaries(folder_);
    core::write_atomically(folder_ / kSettings, settings_toml(plan()));
    for (const auto& [name, place] : places_) wait_for_orphan(name);
}

// A sweep that was killed leaves children that save what they have; each is soon done.
void Sweeper::wait_for_orphan(const std::string& name) const {
    constexpr double kPatience = 30;
    if (!core::is_there(folder_ / name / "config.toml")) return;
    const double until = core::seconds_now() + kPatience;
    for (;;) {
        try {
            const core::FileLock free(folder_ / name / "lock", "sweep");
            return;
        } catch (const Error&) {
            if (core::seconds_now() > until) throw;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

int Sweeper::train(int at_once) {
    Children children(at_once, int(plan().threads));
    for (round_ = 0; round_ < rounds_.size(); ++round_) {
        if (round_ > 0) drop_the_worse();
        const std::vector<std::string> names = open_runs();
        all_ = 0;
        for (std::size_t i : alive_) all_ += plan().points[i].runs.size();
        done_ = all_ - names.size();
        std::vector<ChildJob> jobs;
        for (const std::string& name : names) jobs.push_back({words_for(name), log_of(name)});
        if (const int signal = children.run(jobs, [&](std::size_t job, int code) { note_end(names[job], code); }))
            return signal;
        for (std::size_t i : alive_) reached_[i] = round_;
    }
    return 0;
}

bool Sweeper::is_done(const std::string& name) const {
    const auto it = stored_.ended.find(name);
    if (it == stored_.ended.end()) return false;
    // What failed for another reason, as a full disk, is tried again when the sweep is.
    return it->second.code == int(Exit::diverged) || (it->second.code == 0 && it->second.round >= round_);
}

std::vector<std::string> Sweeper::open_runs() const {
    std::vector<std::string> out;
    for (std::size_t i : alive_)
        for (const PlannedRun& r : plan().points[i].runs)
            if (!is_done(r.name)) out.push_back(r.name);
    return out;
}

std::vector<std::string> Sweeper::words_for(const std::string& name) const {
    const fs::path folder = folder_ / name;
    const Place& place = places_.at(name);
    std::vector<std::string> words;
    const auto add = [&](const std::string& flag, const std::string& value) {
        words.push_back("--" + flag + "=" + value);
    };
    if (core::is_there(folder / "config.toml")) {
        words = {"resume", folder.string()};
    } else {
        words = {"train"};
        add("config", (folder_ / kSettings).string());
        add("out", folder.string());
        add("threads", std::to_string(std::min<std::int64_t>(plan().threads, ops::processors_there())));
        for (const GivenSetting& s : plan().points[place.point].settings) add(s.key, s.value);
        if (place.run.seed) add("seed", std::to_string(*place.run.seed));
    }
    if (plan().halving) add("epochs", std::to_string(rounds_[round_]));
    for (const char* flag : {"plugin", "plugin-dir"})
        if (const auto it = arguments_.flags.find(flag); it != arguments_.flags.end())
            for (const std::string& value : it->second) add(flag, value);
    return words;
}

void Sweeper::note_end(const std::string& name, int code) {
    const bool told_to_stop = code == 128 + SIGTERM; // it goes on when the sweep does
    if (!told_to_stop) {
        ++done_;
        stored_.ended[name] = {round_, code};
        write_sweep(folder_, stored_);
    }
    core::tell(fmt::format("[{}/{}] {}: {}", done_, all_, name, told_to_stop ? "stopped, saved" : told_of(name, code)));
}

std::string Sweeper::told_of(const std::string& name, int code) const {
    if (code != 0)
        return fmt::format("{} (exit code {}), see {}", code == int(Exit::diverged) ? "diverged" : "failed", code,
                           log_of(name).string());
    const Measured m = measured_of(name, round_);
    return fmt::format("{} {}  epoch {}  {:.1f} s", m.on_test ? "test loss" : "train loss",
                       m.loss ? fmt::format("{:.3f}", *m.loss) : "not known", m.epochs, m.seconds);
}

void Sweeper::drop_the_worse() {
    std::vector<std::optional<double>> losses;
    for (std::size_t i : alive_) {
        const PointOutcome p = outcome_of(i, round_ - 1);
        losses.push_back(p.complete() ? p.loss() : std::nullopt);
    }
    std::vector<std::size_t> kept;
    for (std::size_t k : better_half(losses)) kept.push_back(alive_[k]);
    const std::int64_t epochs = rounds_[round_ - 1];
    core::tell(fmt::format("after {} epoch{}: {} of {} points go on", epochs, epochs == 1 ? "" : "s", kept.size(),
                           alive_.size()));
    alive_ = std::move(kept);
}

fs::path Sweeper::log_of(const std::string& name) const { return folder_ / kLogs / (name + ".txt"); }

Measured Sweeper::measured_of(const std::string& name, std::size_t round) const {
    const fs::path file = folder_ / name / "metrics.csv";
    if (!core::is_there(file)) return {};
    return measured(core::read_file(file), configs_[places_.at(name).point].keep == "best",
                    plan().halving ? rounds_[round] : INT64_MAX);
}

PointOutcome Sweeper::outcome_of(std::size_t point, std::size_t round) const {
    PointOutcome out{plan().points[point], {}};
    for (const PlannedRun& r : out.point.runs) {
        RunOutcome o{r, State::waiting, 0, measured_of(r.name, round)};
        if (const auto it = stored_.ended.find(r.name); it != stored_.ended.end()) {
            o.code = it->second.code;
            if (o.code != 0) o.state = o.code == int(Exit::diverged) ? State::diverged : State::failed;
            else o.state = round + 1 < rounds_.size() ? State::stopped : State::finished;
        }
        out.runs.push_back(std::move(o));
    }
    return out;
}

Outcome Sweeper::outcome() const {
    Outcome out{folder_, {}, {}};
    for (const GivenSetting& s : plan().points.at(0).settings) out.keys.push_back(s.key);
    for (std::size_t i = 0; i < plan().points.size(); ++i) out.points.push_back(outcome_of(i, reached_[i]));
    return out;
}

namespace {

std::string files_text(const Outcome& all) {
    const std::string folder = all.folder.string();
    return fmt::format("\ntable     {}/results.csv\n", folder) +
           (all.keys.empty() ? "" : fmt::format("picture   {}/sweep.svg\n", folder));
}

} // namespace

int Sweeper::finish() const {
    Outcome all = outcome();
    core::write_atomically(folder_ / "results.csv", csv_of(all));
    const int first_code = all.points[0].runs.at(0).code;
    sort_by_loss(all);
    std::set<std::string> logarithmic;
    for (const std::string& text : plan().sweeps)
        if (const Axis axis = axis_of(text); axis.log) logarithmic.insert(axis.key);
    if (!all.keys.empty()) core::write_atomically(folder_ / "sweep.svg", svg_of(all, logarithmic));
    if (!all.points[0].loss())
        throw Error(Exit(std::max(first_code, int(Exit::failure))), "no run came to an end", folder_.string())
            .note(fmt::format("what each said lies in {}", (folder_ / kLogs).string()));
    print_result(
        arguments_, [&] { return json_of(all); }, [&] { return table_of(all) + files_text(all); });
    return 0;
}

} // namespace elbo::tools
