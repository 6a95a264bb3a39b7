#include "core/run/folder.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include <nlohmann/json.hpp>

#include "core/base/machine.hpp"
#include "core/base/text.hpp"
#include "core/files/atomic.hpp"

namespace elbo::core {

namespace fs = std::filesystem;

namespace {

constexpr const char* kContents[] = {"checkpoints", "pictures",    "model",     "metrics.csv", "log.txt",
                                     "run.json",    "config.toml", "codes.npy", "scores.csv"};

void make_folder(const fs::path& folder) {
    std::error_code status;
    fs::create_directories(folder, status);
    if (status) throw Error(Exit::failure, "cannot make the folder: " + status.message(), folder.string());
}

} // namespace

Run Run::create(const fs::path& folder, const RunConfig& config, bool overwrite) {
    std::error_code status;
    if (fs::exists(folder, status)) {
        const bool is_run = fs::exists(folder / "config.toml", status);
        const bool empty = fs::is_directory(folder, status) && fs::is_empty(folder, status);
        if (!empty && !(is_run && overwrite)) {
            Error e(Exit::usage,
                    is_run ? "there is a run in this folder already" : "the folder exists and is not a run",
                    folder.string());
            if (is_run)
                e.note(fmt::format("continue it: model-runner resume {} --epochs N", folder.string()))
                    .note("or replace it: --overwrite");
            throw e;
        }
        if (is_run)
            for (const char* part : kContents) fs::remove_all(folder / part, status);
    }
    Run run(folder);
    try {
        for (const char* part : {"pictures", "checkpoints", "model"}) make_folder(folder / part);
        run.write_config(config);
    } catch (...) {
        run.discard();
        throw;
    }
    return run;
}

void Run::discard() const {
    std::error_code status;
    for (const char* part : kContents) fs::remove_all(folder_ / part, status);
    fs::remove(folder_, status); // only when nothing else is in it
}

Run Run::open(const fs::path& folder) {
    std::error_code status;
    if (!fs::exists(folder / "config.toml", status))
        throw Error(Exit::data, "not a run: it has no config.toml", folder.string())
            .note("`model-runner train` makes one");
    return Run(folder);
}

void Run::write_config(const RunConfig& config) const { write_atomically(config_file(), config_toml(config)); }

void Run::write_info(const RunConfig& config, const Session& session, const Rows& rows, const std::string& backend,
                     const Registry& registry) const {
    nlohmann::ordered_json j;
    j["elbo"] = ELBO_VERSION;
    j["plugin_interface"] = fmt::format("{}.{}", ELBO_ABI_MAJOR, ELBO_ABI_MINOR);
    j["started"] = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
    j["seed"] = config.seed;
    j["threads"] = config.threads;
    j["backend"] = backend;
    j["cpu"] = cpu_features();
    auto& plugins = j["plugins"];
    for (const auto& f : registry.files()) {
        if (!f->loaded) continue;
        plugins[f->manifest.name] = {{"version", f->manifest.version},
                                     {"file", f->path.string()},
                                     {"provides", f->manifest.provides},
                                     {"sha256", sha256_of_file(f->path)}};
    }
    j["data"] = {{"description", rows.description()}, {"sha256", rows.hash()}};
    for (const Term& t : session.terms())
        j["terms"].push_back(
            {{"name", t.name}, {"bound", t.is(ELBO_TERM_BOUND)}, {"estimated", t.is(ELBO_TERM_ESTIMATE)}});
    write_atomically(folder_ / "run.json", j.dump(2) + "\n");
}

std::string Run::info(const std::string& key) const {
    std::error_code status;
    if (!fs::exists(folder_ / "run.json", status)) return "";
    const auto all = nlohmann::json::parse(read_file(folder_ / "run.json"), nullptr, false);
    const nlohmann::json* at = &all;
    for (const auto& name : pieces(key, '.')) {
        if (!at->is_object() || !at->contains(name)) return "";
        at = &(*at)[name];
    }
    return at->is_string() ? at->get<std::string>() : at->dump();
}

std::vector<RecordedPlugin> Run::plugins() const {
    std::vector<RecordedPlugin> out;
    std::error_code status;
    if (!fs::exists(folder_ / "run.json", status)) return out;
    const auto all = nlohmann::json::parse(read_file(folder_ / "run.json"), nullptr, false);
    if (!all.is_object() || !all.contains("plugins") || !all["plugins"].is_object()) return out;
    for (const auto& [name, p] : all["plugins"].items()) {
        auto text = [&, p = p](const char* key) {
            return p.is_object() && p.contains(key) && p[key].is_string() ? p[key].get<std::string>() : std::string();
        };
        out.push_back({name, text("file"), text("sha256")});
    }
    return out;
}

void Run::log(const std::string& line) const {
    std::ofstream out(folder_ / "log.txt", std::ios::app);
    out << fmt::format("{:%Y-%m-%d %H:%M:%S} ", fmt::gmtime(std::time(nullptr))) << line << '\n';
}

void Run::add_metrics(const Metrics& metrics) const {
    const fs::path file = folder_ / "metrics.csv";
    std::string header, row, kept;
    for (const auto& [name, value] : metrics) {
        const char* comma = header.empty() ? "" : ",";
        header += comma + name;
        row += comma + fmt::format("{}", value); // the shortest text that reads back to the same bits
    }
    std::error_code status;
    if (fs::exists(file, status)) {
        const auto lines = pieces(read_file(file), '\n');
        for (std::size_t i = 1; i < lines.size(); ++i) {
            const double epoch = parse_number<double>(lines[i].substr(0, lines[i].find(','))).value_or(0);
            if (epoch < metrics.at(0).second) kept += lines[i] + "\n";
        }
    }
    write_atomically(file, header + "\n" + kept + row + "\n");
}

} // namespace elbo::core
