#include "tools/runner/profiling.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base/error.hpp"
#include "core/base/machine.hpp"
#include "core/files/atomic.hpp"
#include "ops/backend/roofline.hpp"
#include "tools/runner/text_table.hpp"

namespace elbo::tools {

namespace fs = std::filesystem;
using core::Figures;
using core::UnitFigures;

namespace {

constexpr std::size_t kSteps = 300;

std::string time_text(double seconds) {
    return seconds >= 1e-3 ? fmt::format("{:.3f} ms", 1e3 * seconds) : fmt::format("{:.1f} us", 1e6 * seconds);
}
std::string percent(double share) { return fmt::format("{:.1f}%", 100 * share); }
std::string giga(double rate) { return fmt::format("{:.1f}", rate / 1e9); }

std::vector<UnitFigures> ordered(const Figures& f, UnitOrder order) {
    return order == UnitOrder::time ? f.by_time() : f.all;
}

std::string totals_of(const Figures& f) {
    TextTable t{{"total", "time", "share"}, {false, true, true}, {}};
    t.rows.push_back({fmt::format("{} units", f.all.size()), time_text(f.units), percent(f.units / f.step)});
    t.rows.push_back({"outside of units", time_text(f.outside), percent(f.outside / f.step)});
    t.rows.push_back({"a step", time_text(f.step), ""});
    t.rows.push_back({"waiting for a batch", time_text(f.waited), ""});
    return t.text();
}

} // namespace

std::string text_of(const Figures& f, UnitOrder order) {
    const core::Roofline& r = f.roofline;
    std::string out = fmt::format("program {}: medians over {} steps\n", f.purpose, f.steps);
    out += fmt::format(
        "roofline: {} GFLOP/s in a product, {} GB/s in memory, {} GB/s for what moves {:.0f} MiB or less; measured at "
        "the start\n\n",
        giga(r.flops), giga(r.bytes), giga(std::max(r.bytes, r.cached_bytes)), r.cache / (1 << 20));
    TextTable table{{"unit", "what", "part", "time", "share", "GFLOP/s", "GB/s", "of roofline", "chosen", "not fused"},
                    {true, false, false, true, true, true, true, true, false, false},
                    {}};
    for (const UnitFigures& u : ordered(f, order))
        table.rows.push_back({std::to_string(u.number), u.what, u.part, time_text(u.seconds), percent(u.share),
                              giga(u.flop_rate()), giga(u.byte_rate()), percent(u.fraction), u.chosen, u.apart});
    out += table.text() + "\n" + totals_of(f);
    return out + fmt::format("\nthe units could take {} by the roofline: {} of it is reached\n", time_text(f.ideal),
                             percent(f.units > 0 ? f.ideal / f.units : 0));
}

std::string json_of(const Figures& f, UnitOrder order) {
    auto units = nlohmann::ordered_json::array();
    for (const UnitFigures& u : ordered(f, order))
        units.push_back({{"unit", u.number},
                         {"what", u.what},
                         {"part", u.part},
                         {"seconds", u.seconds},
                         {"share", u.share},
                         {"flops", u.flops},
                         {"bytes", u.bytes},
                         {"flops_per_second", u.flop_rate()},
                         {"bytes_per_second", u.byte_rate()},
                         {"roofline_fraction", u.fraction},
                         {"chosen", u.chosen},
                         {"not_fused", u.apart}});
    const core::Roofline& r = f.roofline;
    return nlohmann::ordered_json{{"purpose", f.purpose},
                                  {"steps", f.steps},
                                  {"step_seconds", f.step},
                                  {"unit_seconds", f.units},
                                  {"outside_seconds", f.outside},
                                  {"waiting_seconds", f.waited},
                                  {"ideal_seconds", f.ideal},
                                  {"roofline",
                                   {{"flops_per_second", r.flops},
                                    {"bytes_per_second", r.bytes},
                                    {"cached_bytes_per_second", r.cached_bytes},
                                    {"cache_bytes", r.cache}}},
                                  {"units", units}}
               .dump(2) +
           "\n";
}

namespace {

core::Error no_folder(const fs::path& folder, const std::string& why) {
    return core::Error(core::Exit::failure, "--profile: " + why, folder.string())
        .note("name a folder that can be written");
}

// A file is made there and taken away: rights alone do not say it, for a full or read-only disk.
void try_folder(const fs::path& there, const fs::path& wanted) {
    try {
        const core::AtomicFile trial(there / "profile.txt");
    } catch (const core::Error& e) {
        throw no_folder(wanted, e.message());
    }
}

} // namespace

void must_be_writable(const fs::path& folder) {
    std::error_code status;
    fs::path there = fs::absolute(folder, status);
    while (!fs::exists(there, status) && there.has_parent_path() && there.parent_path() != there)
        there = there.parent_path();
    if (!fs::is_directory(there, status)) throw no_folder(folder, there.string() + " is not a folder");
    try_folder(there, folder);
}

Profiler::Profiler(core::Watcher& next, core::Session& session, std::int64_t rows, core::Backend& backend,
                   fs::path folder)
    : next_(next), session_(session), rows_(rows), folder_(std::move(folder)),
      profile_(session.program("train", rows), kSteps) {
    std::error_code status;
    fs::create_directories(folder_, status);
    if (status) throw no_folder(folder_, "cannot make the folder: " + status.message());
    roofline_ = ops::measure_roofline(backend);
    session_.watch("train", rows_, &profile_);
}

Profiler::~Profiler() { session_.watch("train", rows_, nullptr); }

void Profiler::batch(double asked, double came) { profile_.begin(asked, came); }

void Profiler::step(const core::Progress& p, std::int64_t batches_per_epoch, double loss) {
    next_.step(p, batches_per_epoch, loss);
    if (profile_.full()) return;
    profile_.end(core::seconds_now());
    if (profile_.full()) session_.watch("train", rows_, nullptr);
}

bool Profiler::write() {
    if (profile_.steps() == 0) {
        next_.note("note: no step of a whole batch was taken: there is no profile");
        return false;
    }
    const Figures figures = profile_.figures(roofline_);
    core::write_atomically(folder_ / "profile.txt", text_of(figures, UnitOrder::time));
    core::write_atomically(folder_ / "profile.json", json_of(figures, UnitOrder::time));
    core::write_atomically(folder_ / "trace.json", profile_.trace());
    return true;
}

} // namespace elbo::tools
