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
#include "core/files/safetensors.hpp"

namespace elbo::core {

namespace fs = std::filesystem;

namespace {

constexpr const char* kContents[] = {"checkpoints", "pictures",    "model",     "metrics.csv", "log.txt",
                                     "run.json",    "config.toml", "codes.npy", "scores.csv"};
constexpr const char* kFormat = "elbo checkpoint 1";

std::string exact(double v) { return fmt::format("{}", v); } // shortest text that reads back to the same bits

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
    j["terms"] = session.terms();
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

void Run::log(const std::string& line) const {
    std::ofstream out(folder_ / "log.txt", std::ios::app);
    out << fmt::format("{:%Y-%m-%d %H:%M:%S} ", fmt::gmtime(std::time(nullptr))) << line << '\n';
}

void Run::add_metrics(const std::vector<std::string>& header, const std::vector<double>& row) const {
    const fs::path file = folder_ / "metrics.csv";
    std::string text = fmt::format("{}\n", fmt::join(header, ","));
    std::error_code status;
    if (fs::exists(file, status)) {
        auto lines = pieces(read_file(file), '\n');
        for (std::size_t i = 1; i < lines.size(); ++i) {
            const double epoch = parse_number<double>(lines[i].substr(0, lines[i].find(','))).value_or(0);
            if (epoch < row.at(0)) text += lines[i] + "\n";
        }
    }
    std::string values;
    for (double v : row) values += (values.empty() ? "" : ",") + exact(v);
    write_atomically(file, text + values + "\n");
}

namespace {

void append_scaler(std::vector<StoredTensor>& tensors, const Rows& rows) {
    if (rows.center().empty()) return;
    const Dims d{std::int64_t(rows.center().size())};
    tensors.emplace_back("data.center", d, rows.center().data());
    tensors.emplace_back("data.spread", d, rows.spread().data());
}

std::uint64_t step_of(const fs::path& file) {
    const std::string stem = file.stem().string();
    return stem.starts_with("step-") ? parse_number<std::uint64_t>(stem.substr(5)).value_or(0) : 0;
}

std::vector<fs::path> checkpoints_of(const fs::path& folder) {
    std::vector<fs::path> all;
    std::error_code status;
    for (const auto& e : fs::directory_iterator(folder, status))
        if (e.path().extension() == ".safetensors" && e.path().stem().string().starts_with("step-"))
            all.push_back(e.path());
    std::sort(all.begin(), all.end(), [](auto& a, auto& b) { return step_of(a) < step_of(b); });
    return all;
}

} // namespace

fs::path Run::save_checkpoint(Session& session, const Rows& rows, const Progress& p) const {
    std::vector<StoredTensor> tensors;
    for (const auto& t : session.tensors().all()) tensors.emplace_back(t->name, t->dims, t->data.get());
    append_scaler(tensors, rows);
    std::string sums;
    for (double s : p.sums) sums += (sums.empty() ? "" : " ") + exact(s);
    const fs::path file = folder_ / "checkpoints" / fmt::format("step-{:09}.safetensors", p.step);
    write_safetensors(file, tensors,
                      {{"format", kFormat},
                       {"step", std::to_string(p.step)},
                       {"epoch", std::to_string(p.epoch)},
                       {"batch", std::to_string(p.batch)},
                       {"rows", std::to_string(p.rows)},
                       {"sums", sums},
                       {"seed", std::to_string(session.settings().seed)}});
    auto all = checkpoints_of(folder_ / "checkpoints");
    std::error_code status;
    for (std::size_t i = 0; i + 2 < all.size(); ++i) fs::remove(all[i], status);
    return file;
}

std::optional<fs::path> Run::latest_checkpoint() const {
    auto all = checkpoints_of(folder_ / "checkpoints");
    if (all.empty()) return {};
    return all.back();
}

namespace {

template <class T>
T number(const SafetensorsFile& file, const std::string& key, const std::string& where) {
    const auto it = file.metadata().find(key);
    const auto value = it == file.metadata().end() ? std::nullopt : parse_number<T>(it->second);
    if (!value) throw Error(Exit::data, fmt::format("not a checkpoint: '{}' is missing or no number", key), where);
    return *value;
}

} // namespace

Progress Run::load_checkpoint(const fs::path& path, Session& session) const {
    const SafetensorsFile file(path);
    const std::string where = path.string();
    auto format = file.metadata().find("format");
    if (format == file.metadata().end() || format->second != kFormat)
        throw Error(Exit::data, fmt::format("not a checkpoint of this version: its format is not '{}'", kFormat),
                    where);
    for (const auto& t : session.tensors().all()) {
        const TensorInfo* stored = file.find(t->name);
        if (!stored)
            throw Error(Exit::data, fmt::format("tensor '{}' is missing", t->name), where)
                .note("the checkpoint belongs to another configuration");
        if (!(stored->dims == t->dims))
            throw Error(Exit::data,
                        fmt::format("tensor '{}' is {} here and {} in this configuration", t->name, stored->dims.text(),
                                    t->dims.text()),
                        where)
                .note("the checkpoint belongs to another configuration");
        file.read_f32(t->name, {t->data.get(), std::size_t(t->dims.numel())});
    }
    for (const TensorInfo& t : file.tensors())
        if (!session.tensors().find(t.name) && t.name != "data.center" && t.name != "data.spread")
            throw Error(Exit::data, fmt::format("tensor '{}' belongs to no part of this configuration", t.name), where);
    Progress p{number<std::uint64_t>(file, "step", where),
               number<std::uint64_t>(file, "epoch", where),
               number<std::int64_t>(file, "batch", where),
               {},
               number<std::int64_t>(file, "rows", where)};
    const auto sums = file.metadata().find("sums");
    if (sums != file.metadata().end())
        for (const auto& s : pieces(sums->second, ' ')) p.sums.push_back(parse_number<double>(s).value_or(0));
    session.set_steps_done(p.step);
    return p;
}

void Run::save_model(Session& session, const Rows& rows, const RunConfig& config) const {
    std::vector<StoredTensor> tensors;
    for (const auto& t : session.tensors().all())
        if (t->trained) tensors.emplace_back(t->name, t->dims, t->data.get());
    append_scaler(tensors, rows);
    write_safetensors(folder_ / "model" / "weights.safetensors", tensors,
                      {{"format", "elbo model 1"},
                       {"data_shape", rows.dims().text()},
                       {"data_range", fmt::format("{} {}", rows.low(), rows.high())}});
    write_atomically(folder_ / "model" / "config.toml", config_toml(config));
}

std::vector<float> stored_scaler(const fs::path& checkpoint, const std::string& which) {
    const SafetensorsFile file(checkpoint);
    const TensorInfo* t = file.find(which);
    if (!t) return {};
    std::vector<float> out(std::size_t(t->dims.numel()));
    file.read_f32(which, out);
    return out;
}

} // namespace elbo::core
