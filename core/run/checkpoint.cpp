#include "core/run/checkpoint.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/text.hpp"
#include "core/files/atomic.hpp"
#include "core/files/safetensors.hpp"

namespace elbo::core {

namespace fs = std::filesystem;

namespace {

constexpr const char* kFormat = "elbo checkpoint 1";
constexpr const char* kCenter = "data.center";
constexpr const char* kSpread = "data.spread";

void append_scaler(std::vector<StoredTensor>& tensors, const Rows& rows) {
    if (rows.center().empty()) return;
    const Dims d{std::int64_t(rows.center().size())};
    tensors.emplace_back(kCenter, d, rows.center().data());
    tensors.emplace_back(kSpread, d, rows.spread().data());
}

// Tensors without gaps; those with gaps are copied into `values`, which must live as long.
template <class Wanted>
std::vector<StoredTensor> stored(const TensorStore& store, std::vector<std::vector<float>>& values, Wanted wanted) {
    std::vector<StoredTensor> out;
    values.reserve(2 * store.all().size());
    for (const auto& t : store.all()) {
        if (!wanted(*t)) continue;
        if (t->row_stride != 0) values.push_back(t->values());
        out.emplace_back(t->name, t->dims, t->row_stride != 0 ? values.back().data() : t->data.get());
    }
    return out;
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

namespace {

void write_checkpoint(const fs::path& file, Session& session, const Rows& rows, const Progress& p) {
    std::vector<std::vector<float>> values;
    std::vector<StoredTensor> tensors = stored(session.tensors(), values, [](const KeptTensor&) { return true; });
    append_scaler(tensors, rows);
    std::string sums;
    for (double s : p.sums) sums += (sums.empty() ? "" : " ") + fmt::format("{}", s);
    write_safetensors(file, tensors,
                      {{"format", kFormat},
                       {"step", std::to_string(p.step)},
                       {"epoch", std::to_string(p.epoch)},
                       {"batch", std::to_string(p.batch)},
                       {"rows", std::to_string(p.rows)},
                       {"sums", sums},
                       {"best", fmt::format("{}", p.best)},
                       {"best_epoch", std::to_string(p.best_epoch)},
                       {"seed", std::to_string(session.settings().seed)}});
}

} // namespace

void save_best(const Run& run, Session& session, const Rows& rows, const Progress& p) {
    write_checkpoint(run.folder() / "checkpoints" / "best.safetensors", session, rows, p);
}

std::optional<fs::path> best_checkpoint(const Run& run) {
    const fs::path file = run.folder() / "checkpoints" / "best.safetensors";
    std::error_code status;
    return fs::exists(file, status) ? std::optional(file) : std::nullopt;
}

fs::path save_checkpoint(const Run& run, Session& session, const Rows& rows, const Progress& p) {
    const fs::path file = run.folder() / "checkpoints" / fmt::format("step-{:09}.safetensors", p.step);
    write_checkpoint(file, session, rows, p);
    auto all = checkpoints_of(run.folder() / "checkpoints");
    std::error_code status;
    for (std::size_t i = 0; i + 2 < all.size(); ++i) fs::remove(all[i], status);
    return file;
}

std::optional<fs::path> latest_checkpoint(const Run& run) {
    auto all = checkpoints_of(run.folder() / "checkpoints");
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

// Every tensor of the session, and nothing else.
void read_tensors(const SafetensorsFile& file, TensorStore& tensors, const std::string& where) {
    for (const auto& t : tensors.all()) {
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
        std::vector<float> values(std::size_t(t->dims.numel()));
        file.read_f32(t->name, values);
        t->set(values.data());
    }
    for (const TensorInfo& t : file.tensors())
        if (!tensors.find(t.name) && t.name != kCenter && t.name != kSpread)
            throw Error(Exit::data, fmt::format("tensor '{}' belongs to no part of this configuration", t.name), where);
}

Progress read_progress(const SafetensorsFile& file, const std::string& where) {
    Progress p{number<std::uint64_t>(file, "step", where),      number<std::uint64_t>(file, "epoch", where),
               number<std::int64_t>(file, "batch", where),      {},
               number<std::int64_t>(file, "rows", where),       number<double>(file, "best", where),
               number<std::uint64_t>(file, "best_epoch", where)};
    const auto sums = file.metadata().find("sums");
    if (sums != file.metadata().end())
        for (const auto& s : pieces(sums->second, ' ')) p.sums.push_back(parse_number<double>(s).value_or(0));
    return p;
}

} // namespace

Progress load_checkpoint(const fs::path& path, Session& session) {
    const SafetensorsFile file(path);
    const std::string where = path.string();
    auto format = file.metadata().find("format");
    if (format == file.metadata().end() || format->second != kFormat)
        throw Error(Exit::data, fmt::format("not a checkpoint of this version: its format is not '{}'", kFormat),
                    where);
    read_tensors(file, session.tensors(), where);
    Progress p = read_progress(file, where);
    session.set_steps_done(p.step);
    return p;
}

void save_model(const Run& run, Session& session, const Rows& rows, const RunConfig& config) {
    std::vector<std::vector<float>> values;
    std::vector<StoredTensor> tensors = stored(session.tensors(), values, [](const KeptTensor& t) {
        return t.keep == Keep::trained || t.keep == Keep::model;
    });
    for (StoredTensor& t : tensors)
        if (const KeptTensor* average = session.tensors().find(average_of(t.name))) {
            values.push_back(average->values());
            t.data = values.back().data();
        }
    append_scaler(tensors, rows);
    write_safetensors(run.folder() / "model" / "weights.safetensors", tensors,
                      {{"format", "elbo model 1"},
                       {"data_shape", rows.dims().text()},
                       {"data_range", fmt::format("{} {}", rows.low(), rows.high())}});
    write_atomically(run.folder() / "model" / "config.toml", config_toml(config));
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
