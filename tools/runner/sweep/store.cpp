#include "tools/runner/sweep/store.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/base/error.hpp"
#include "core/base/text.hpp"
#include "core/files/atomic.hpp"
#include "core/files/toml.hpp"

namespace elbo::tools {

namespace fs = std::filesystem;
using core::GivenSetting;
using Json = nlohmann::ordered_json;

namespace {

constexpr int kFormat = 1;

fs::path file_of(const fs::path& folder) { return folder / "sweep.json"; }

// Pairs, since the order of settings counts.
Json json_of(const std::vector<GivenSetting>& settings) {
    Json out = Json::array();
    for (const GivenSetting& s : settings) out.push_back({s.key, s.value});
    return out;
}

std::vector<GivenSetting> settings_of(const Json& json, const std::string& origin) {
    std::vector<GivenSetting> out;
    for (const Json& one : json) {
        const auto key = one.at(0).get<std::string>(), value = one.at(1).get<std::string>();
        out.push_back({key, value, origin.empty() ? fmt::format("--sweep {}={}", key, value) : origin});
    }
    return out;
}

Json json_of(const Point& p) {
    Json runs = Json::array();
    for (const PlannedRun& r : p.runs) {
        runs.push_back({{"folder", r.name}});
        if (r.seed) runs.back()["seed"] = *r.seed;
    }
    return {{"name", p.name}, {"settings", json_of(p.settings)}, {"runs", runs}};
}

// A name from a file must not lead out of the folder.
std::string checked_name(const std::string& name) {
    if (name.empty() || name[0] == '.' || name.find('/') != std::string::npos || name.find('\0') != std::string::npos)
        throw core::Damaged(fmt::format("'{}' is no name of a run", name), "");
    return name;
}

Point point_of(const Json& json) {
    Point p{json.at("name").get<std::string>(), settings_of(json.at("settings"), ""), {}};
    for (const Json& r : json.at("runs")) {
        p.runs.push_back({checked_name(r.at("folder").get<std::string>()), {}});
        if (r.contains("seed")) p.runs.back().seed = r.at("seed").get<std::int64_t>();
    }
    return p;
}

StoredSweep sweep_of(const Json& json, const std::string& file) {
    StoredSweep out;
    Plan& plan = out.plan;
    plan.settings = settings_of(json.at("settings"), file);
    plan.sweeps = json.at("sweep").get<std::vector<std::string>>();
    plan.random = json.at("random").get<std::int64_t>();
    plan.seeds = json.at("seeds").get<std::int64_t>();
    plan.threads = json.at("threads").get<std::int64_t>();
    plan.halving = json.at("stop_after_worst").get<bool>();
    for (const Json& p : json.at("points")) plan.points.push_back(point_of(p));
    for (const auto& [name, e] : json.at("ended").items())
        out.ended[name] = {e.at("round").get<std::size_t>(), e.at("exit_code").get<int>()};
    return out;
}

} // namespace

bool is_sweep(const fs::path& folder) { return core::is_there(file_of(folder)); }

StoredSweep read_sweep(const fs::path& folder) {
    constexpr int kDeepest = 64;
    const std::string file = file_of(folder).string(), text = core::read_file(file);
    const Json json =
        core::nesting(text) > kDeepest ? Json(Json::value_t::discarded) : Json::parse(text, nullptr, false);
    if (!json.is_object()) throw core::Damaged("the plan of the sweep is damaged: it is no JSON", file);
    try {
        if (const int format = json.at("format").get<int>(); format > kFormat)
            throw core::Error(core::Exit::data,
                              fmt::format("the sweep is of a newer version (format {}, known: {})", format, kFormat),
                              file);
        return sweep_of(json, file);
    } catch (core::Damaged& e) {
        e.set_where(file);
        throw;
    } catch (const Json::exception& e) {
        throw core::Damaged(fmt::format("the plan of the sweep is damaged: {}", e.what()), file);
    }
}

void write_sweep(const fs::path& folder, const StoredSweep& sweep) {
    const Plan& plan = sweep.plan;
    Json points = Json::array(), ended = Json::object();
    for (const Point& p : plan.points) points.push_back(json_of(p));
    for (const auto& [name, e] : sweep.ended) ended[name] = {{"round", e.round}, {"exit_code", e.code}};
    const Json all = {
        {"format", kFormat},   {"settings", json_of(plan.settings)}, {"sweep", plan.sweeps},    {"random", plan.random},
        {"seeds", plan.seeds}, {"stop_after_worst", plan.halving},   {"threads", plan.threads}, {"points", points},
        {"ended", ended}};
    core::write_atomically(file_of(folder), all.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
}

std::string settings_toml(const Plan& plan) {
    std::string out = "# What all runs of this sweep have in common.\n\n[run]\n";
    for (const GivenSetting& s : plan.settings)
        out += fmt::format("{} = {}\n", core::toml_string(s.key), core::toml_string(s.value));
    return out;
}

} // namespace elbo::tools
