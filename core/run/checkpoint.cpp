#include "core/run/checkpoint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/notice.hpp"
#include "core/base/text.hpp"
#include "core/files/atomic.hpp"

namespace elbo::core {

namespace fs = std::filesystem;

namespace {

constexpr const char* kFormat = "elbo checkpoint 2";
constexpr const char *kCenter = "data.center", *kSpread = "data.spread";

void append_scaler(std::vector<StoredTensor>& tensors, const Scaler& scaler) {
    if (scaler.center.empty()) return;
    const Dims d{std::int64_t(scaler.center.size())};
    tensors.emplace_back(kCenter, d, scaler.center.data());
    tensors.emplace_back(kSpread, d, scaler.spread.data());
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

// Oldest first. A folder that cannot be read is not one without checkpoints: the run would begin anew.
std::vector<fs::path> checkpoints_of(const Run& run) {
    std::vector<fs::path> all;
    std::error_code status;
    const fs::path folder = run.folder() / "checkpoints";
    fs::directory_iterator entry(folder, status);
    while (status == std::errc::interrupted) entry = fs::directory_iterator(folder, status);
    for (; !status && entry != fs::directory_iterator(); entry.increment(status))
        if (entry->path().extension() == ".safetensors" && entry->path().stem().string().starts_with("step-"))
            all.push_back(entry->path());
    if (status && status != std::errc::no_such_file_or_directory)
        throw Error(Exit::data, "cannot read the folder: " + status.message(), folder.string());
    std::sort(all.begin(), all.end(), [](auto& a, auto& b) { return step_of(a) < step_of(b); });
    return all;
}

void write_checkpoint(const fs::path& file, const RunConfig& config, Session& session, const Rows& rows,
                      const Progress& p) {
    must_be_finite(session);
    std::vector<std::vector<float>> values;
    std::vector<StoredTensor> tensors = stored(session.tensors(), values, [](const KeptTensor&) { return true; });
    append_scaler(tensors, rows.scaler());
    write_safetensors(file, tensors,
                      {{"format", kFormat},
                       {"step", std::to_string(p.step)},
                       {"epoch", std::to_string(p.epoch)},
                       {"batch", std::to_string(p.batch)},
                       {"rows", std::to_string(p.rows)},
                       {"sums", fmt::format("{}", fmt::join(p.sums, " "))},
                       {"best", fmt::format("{}", p.best)},
                       {"best_epoch", std::to_string(p.best_epoch)},
                       {"last", fmt::format("{}", p.last)},
                       {"batch_rows", std::to_string(config.batch)},
                       {"train_rows", std::to_string(rows.count(Split::train))},
                       {"seed", std::to_string(config.seed)}});
}

fs::path best_of(const Run& run) { return run.folder() / "checkpoints" / "best.safetensors"; }

} // namespace

void must_be_finite(Session& session) {
    for (const auto& t : session.tensors().all()) {
        const std::int64_t at = t->first_not_finite();
        if (at < 0) continue;
        throw Error(Exit::diverged,
                    fmt::format("tensor '{}' holds {} (value {} of {}) after step {}: nothing is saved", t->name,
                                t->values()[std::size_t(at)], at, t->dims.text(), session.steps_done()));
    }
}

void save_best(const Run& run, const RunConfig& config, Session& session, const Rows& rows, const Progress& p) {
    write_checkpoint(best_of(run), config, session, rows, p);
}

void save_checkpoint(const Run& run, const RunConfig& config, Session& session, const Rows& rows, const Progress& p) {
    write_checkpoint(run.folder() / "checkpoints" / fmt::format("step-{:09}.safetensors", p.step), config, session,
                     rows, p);
    try {
        const auto all = checkpoints_of(run);
        for (std::size_t i = 0; i + 2 < all.size(); ++i)
            if (!delete_file(all[i]))
                tell_once(
                    fmt::format("warning: old checkpoints stay: cannot delete {}: {}", all[i].string(), reason(errno)));
    } catch (const Error& e) { // what should go is not seen; what was saved is
        tell_once(fmt::format("warning: old checkpoints stay: {}", e.what()));
    }
}

fs::path newest_checkpoint_file(const Run& run) {
    const auto all = checkpoints_of(run);
    return all.empty() ? fs::path() : all.back();
}

std::unique_ptr<Checkpoint> newest_checkpoint(const Run& run, bool best) {
    // A run that trains meanwhile deletes old ones: then there are newer ones, and the list is made anew.
    for (int tries = 0; tries < 5; ++tries) {
        auto files = checkpoints_of(run);
        if (best && is_there(best_of(run))) files.push_back(best_of(run));
        std::optional<Error> last;
        bool gone = false;
        for (auto file = files.rbegin(); file != files.rend() && !gone; ++file) {
            try {
                auto found = std::make_unique<Checkpoint>(*file);
                if (last) tell(fmt::format("going on from the one before it: {}", file->string()));
                return found;
            } catch (const Error& e) {
                gone = !is_there(*file);
                if (!gone) tell(fmt::format("warning: a checkpoint is damaged: {}", e.what()));
                last = e;
            }
        }
        if (gone) continue;
        if (last) throw *last;
        return nullptr;
    }
    throw Error(Exit::failure, "checkpoints come and go too fast to be read", run.folder().string());
}

// One file.

template <class T>
T Checkpoint::number(const std::string& key) const {
    const auto it = file_->metadata().find(key);
    const auto value = it == file_->metadata().end() ? std::nullopt : parse_number<T>(it->second);
    if (!value) throw Damaged(fmt::format("not a checkpoint: '{}' is missing or no number", key), path_.string());
    return *value;
}

Checkpoint::Checkpoint(const fs::path& file) : path_(file), file_(std::make_shared<SafetensorsFile>(file)) {
    const auto& metadata = file_->metadata();
    const auto format = metadata.find("format");
    if (format == metadata.end() || format->second != kFormat || !metadata.contains("sha256"))
        throw Damaged(
            fmt::format("not a checkpoint of this version: its format is not '{}', or it has no checksums", kFormat),
            path_.string());
    progress_ = {number<std::uint64_t>("step"),       number<std::uint64_t>("epoch"),
                 number<std::int64_t>("batch"),       {},
                 number<std::int64_t>("rows"),        number<double>("best"),
                 number<std::uint64_t>("best_epoch"), progress_.last};
    const auto sums = metadata.find("sums");
    for (const auto& s : words_of(sums == metadata.end() ? "" : sums->second)) {
        const auto value = parse_number<double>(s);
        if (!value || !std::isfinite(*value)) throw Damaged("its sums are not all numbers", path_.string());
        progress_.sums.push_back(*value);
    }
    if (metadata.contains("last")) progress_.last = number<double>("last"); // runs before 2026-11-25 lack it
    file_->check_values();
}

Scaler Checkpoint::scaler() const {
    if (!file_->find(kCenter)) return {};
    return {file_->read_f64(kCenter), file_->read_f64(kSpread)};
}

void Checkpoint::check(const RunConfig& config, const Session& session, const Rows& rows) const {
    const auto& p = progress_;
    const auto seed = number<std::int64_t>("seed"), batch = number<std::int64_t>("batch_rows"),
               train = number<std::int64_t>("train_rows");
    if (seed != config.seed)
        tell(fmt::format("warning: the run was made with seed {}, and config.toml says {}", seed, config.seed));
    const bool amid = p.batch != 0;
    for (const auto& [what, then, now] :
         {std::tuple{"batches", batch, config.batch}, std::tuple{"training rows", train, rows.count(Split::train)}}) {
        if (then == now) continue;
        if (amid)
            throw Error(Exit::usage,
                        fmt::format("the run was stopped amid an epoch of {} of {}, and now it is {}", what, then, now),
                        path_.string())
                .note("set it back to go on from there");
        tell(fmt::format("warning: the run was trained with {} of {}, and now it is {}", what, then, now));
    }
    if (const bool scaled = file_->find(kCenter); scaled == rows.scaler().center.empty())
        throw Error(Exit::data,
                    fmt::format("tensor '{}' is {}: the run was {}standardized, and config.toml says otherwise",
                                kCenter, scaled ? "there" : "missing", scaled ? "" : "not "),
                    path_.string());
    const std::int64_t batches = session.settings().steps_per_epoch;
    const std::size_t sums = session.terms().size() + 1;
    if (p.batch < 0 || p.batch >= batches || p.rows < 0 || p.rows > rows.count(Split::train) ||
        (amid && p.sums.size() != sums) || p.step > std::uint64_t(1) << 53 || p.epoch > p.step)
        throw Error(Exit::data,
                    fmt::format("its progress cannot be: step {}, epoch {}, batch {} of {}, {} rows, {} of {} sums",
                                p.step, p.epoch, p.batch, batches, p.rows, p.sums.size(), sums),
                    path_.string());
}

void Checkpoint::load(Session& session) const {
    TensorStore& tensors = session.tensors();
    const std::string where = path_.string();
    auto other = [&](const std::string& why) {
        return Error(Exit::data, why, where).note("the checkpoint belongs to another configuration");
    };
    for (const auto& t : tensors.all()) {
        const TensorInfo* stored = file_->find(t->name);
        if (!stored) throw other(fmt::format("tensor '{}' is missing", t->name));
        if (!(stored->dims == t->dims))
            throw other(fmt::format("tensor '{}' is {} here and {} in this configuration", t->name, stored->dims.text(),
                                    t->dims.text()));
        std::vector<float> values(std::size_t(t->dims.numel()));
        file_->read_f32(t->name, values);
        t->set(values.data());
    }
    for (const TensorInfo& t : file_->tensors())
        if (!tensors.find(t.name) && t.name != kCenter && t.name != kSpread)
            throw other(fmt::format("tensor '{}' belongs to no part of this configuration", t.name));
    session.set_steps_done(progress_.step);
}

void save_model(const Run& run, Session& session, const Rows& rows, const RunConfig& config) {
    must_be_finite(session);
    std::vector<std::vector<float>> values;
    std::vector<StoredTensor> tensors = stored(session.tensors(), values, [](const KeptTensor& t) {
        return t.keep == Keep::trained || t.keep == Keep::model;
    });
    for (StoredTensor& t : tensors)
        if (const KeptTensor* average = session.tensors().find(average_of(t.name))) {
            values.push_back(average->values());
            t.data = values.back().data();
        }
    append_scaler(tensors, rows.scaler());
    write_safetensors(run.folder() / "model" / "weights.safetensors", tensors,
                      {{"format", "elbo model 2"},
                       {"step", std::to_string(session.steps_done())},
                       {"data_shape", rows.dims().text()},
                       {"data_range", fmt::format("{} {}", rows.low(), rows.high())}});
    write_atomically(run.folder() / "model" / "config.toml", config_toml(config));
}

} // namespace elbo::core
