#include "tools/runner/run_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/base/error.hpp"
#include "core/base/text.hpp"
#include "core/data/kept_rows.hpp"
#include "core/files/atomic.hpp"
#include "core/files/picture.hpp"
#include "ops/backend/backends.hpp"
#include "ops/backend/threads.hpp"
#include "ops/table.hpp"
#include "tools/runner/open_run.hpp"
#include "tools/runner/run_record.hpp"

namespace elbo::tools {

namespace fs = std::filesystem;
using core::Damaged;
using State = CheckedFile::State;

namespace {

// What a .npy file says of its size must be its size.
std::string check_npy(const fs::path& file) {
    constexpr std::size_t kFixed = 10, kBytes = 4;
    const std::string text = core::read_file(file);
    auto byte = [&](std::size_t i) { return std::size_t(static_cast<unsigned char>(text[i])); };
    if (text.size() < kFixed || !text.starts_with("\x93NUMPY")) throw Damaged("not NumPy's format", file.string());
    const std::size_t header = kFixed + byte(8) + 256 * byte(9);
    const auto open = text.find('('), close = text.find(')');
    if (header > text.size() || close == std::string::npos || open > close || close > header)
        throw Damaged("its header is not whole", file.string());
    std::size_t values = 1;
    for (const std::string& side : core::words_of(text.substr(open + 1, close - open - 1)))
        values *= core::parse_number<std::size_t>(side.substr(0, side.find(','))).value_or(0);
    if (text.size() - header != kBytes * values)
        throw Damaged(fmt::format("{} bytes of values where its shape needs {}", text.size() - header, kBytes * values),
                      file.string());
    return fmt::format("numbers, {}", text.substr(open, close - open + 1));
}

std::string check_csv(const fs::path& file) {
    const auto lines = core::pieces(core::read_file(file), '\n');
    if (lines.empty()) throw Damaged("it is empty", file.string());
    const auto columns = std::count(lines[0].begin(), lines[0].end(), ',');
    for (std::size_t i = 1; i < lines.size(); ++i)
        if (std::count(lines[i].begin(), lines[i].end(), ',') != columns)
            throw Damaged(fmt::format("line {} has another number of columns than the first", i + 1), file.string());
    return fmt::format("table, {} columns, {} rows", columns + 1, lines.size() - 1);
}

std::string check_log(const fs::path& file) {
    const std::string text = core::read_file(file);
    if (!core::valid_utf8(text)) throw Damaged("it is not UTF-8", file.string());
    return fmt::format("log, {} lines", std::count(text.begin(), text.end(), '\n'));
}

std::string check_picture(const fs::path& file) {
    const core::Picture p = core::read_png(file);
    return fmt::format("picture, {} x {}, {}", p.width, p.height, p.channels == 3 ? "colour" : "grey");
}

std::string check_info(const fs::path& file) {
    constexpr int kDeepest = 64;
    const std::string text = core::read_file(file);
    if (core::nesting(text) > kDeepest) throw Damaged("it nests too deep to be of a run", file.string());
    const auto json = nlohmann::json::parse(text, nullptr, false);
    if (json.is_discarded()) throw Damaged("not JSON", file.string());
    for (const char* key : {"elbo", "plugins", "data"})
        if (!json.is_object() || !json.contains(key))
            throw Damaged(fmt::format("it does not say '{}'", key), file.string());
    return "versions, hashes of data and plugins";
}

std::string check_kept(const fs::path& file) {
    const auto kept = core::kept_rows_of(core::read_file(file));
    if (!kept) throw Damaged("it is not what was written, or says of the data what cannot be", file.string());
    const std::size_t tokens = kept->x.kind == ELBO_TOKENS ? kept->x.names.size() : 0;
    return fmt::format("what the data are: rows of {}{}", kept->x.dims.text(),
                       tokens > 0 ? fmt::format(", names of {} tokens", tokens) : "");
}

class FilesOfRun {
public:
    FilesOfRun(const fs::path& folder, core::Registry& registry)
        : run_(core::Run::open(folder)), folder_(folder), registry_(registry) {}

    std::vector<CheckedFile> check() {
        config();
        const bool info = core::is_there(folder_ / "run.json");
        if (info) one("run.json", [&](const fs::path& f) { return check_info(f); });
        else add("run.json", State::missing, "what the run was made with is not known", true);
        if (info) plugins();
        const core::Scaler scaler = scaler_of_run();
        data(scaler);
        model(scaler);
        walk(folder_);
        if (any_checkpoint_ && !core::is_there(folder_ / "metrics.csv"))
            add("metrics.csv", State::missing, "a run that has trained has it", true);
        return std::move(all_);
    }

private:
    void add(const std::string& file, State state, const std::string& text, bool fatal = false) {
        std::string line = text;
        std::replace(line.begin(), line.end(), '\n', ' ');
        all_.push_back({file, state, line, fatal});
    }

    void one(const std::string& file, const std::function<std::string(const fs::path&)>& look) {
        const fs::path path = folder_ / file;
        try {
            add(file, State::sound, look(path));
        } catch (const core::Error& e) {
            // A run that trains meanwhile deletes old checkpoints and replaces files.
            if (core::is_there(path)) add(file, State::damaged, e.message(), true);
        } catch (const std::exception& e) {
            add(file, State::damaged, e.what(), true);
        }
    }

    void config() {
        one("config.toml", [&](const fs::path&) {
            config_ = stored_config(run_, registry_);
            return fmt::format("configuration: {} on {}", config_->part("model").name, config_->part("data").name);
        });
    }

    // Of plugins that come with the program, a new version is none to worry about.
    void plugins() {
        for (const core::RecordedPlugin& p : run_.plugins()) {
            const core::Registry::File* now = nullptr;
            for (const auto& f : registry_.files())
                if (f->manifest.name == p.name) now = f.get();
            const std::string name = "plugin " + p.name;
            if (!now) {
                add(name, State::missing, fmt::format("not found; the run used {}", p.file), true);
            } else if (core::sha256_of_file(now->path) == p.sha256) {
                add(name, State::sound, now->path.string());
            } else {
                add(name, State::changed, fmt::format("{} is not the file the run was made with", now->path.string()));
            }
        }
    }

    // Any sound checkpoint has it. A damaged one is told where that file is checked.
    core::Scaler scaler_of_run() {
        std::error_code status;
        for (const auto& entry : fs::directory_iterator(folder_ / "checkpoints", status)) {
            if (entry.path().extension() != ".safetensors") continue;
            try {
                return core::Checkpoint(entry.path()).scaler();
            } catch (const core::Error&) {}
        }
        return {};
    }

    void data(const core::Scaler& scaler) {
        if (!config_) return;
        try {
            const core::PartChoice& choice = config_->part("data");
            core::Part part(registry_.find("data", choice.name), choice.values, "data");
            const core::Rows rows(part, config_->data, scaler);
            const std::string then = run_.info("data.sha256");
            has_data_ = true;
            if (then.empty()) add("data", State::note, rows.description() + "; the run does not say its hash");
            else if (then == rows.hash()) add("data", State::sound, rows.description());
            else add("data", State::changed, "not what the run was trained on: its SHA-256 differs", true);
        } catch (const core::Error& e) {
            add("data", State::note, "not there, and not checked: " + e.message());
        }
    }

    void model(const core::Scaler& scaler) {
        if (!config_ || !has_data_) return;
        try {
            core::RunConfig config = *config_;
            config.threads = team_of(std::min<std::int64_t>(config.threads, ops::processors_there()));
            backend_ = ops::make_backend("dnnl", int(config.threads));
            assembly_ = core::assemble(config, registry_, ops::table(), *backend_, scaler);
        } catch (const core::Error& e) {
            add("model", State::damaged, "config.toml makes no model: " + e.message(), true);
            assembly_ = {};
        }
    }

    void walk(const fs::path& folder) {
        std::error_code status;
        std::vector<fs::directory_entry> entries;
        for (const auto& e : fs::directory_iterator(folder, status)) entries.push_back(e);
        if (status) add(name_of(folder), State::damaged, "cannot read the folder: " + status.message(), true);
        std::sort(entries.begin(), entries.end());
        for (const auto& e : entries) {
            const std::string name = name_of(e.path());
            if (e.is_symlink(status)) add(name, State::note, "a symbolic link: not followed");
            else if (e.is_directory(status)) walk(e.path());
            else if (name != "config.toml" && name != "run.json") file(name);
        }
    }
    std::string name_of(const fs::path& path) const { return path.lexically_relative(folder_).generic_string(); }

    void file(const std::string& name) {
        const std::string ending = fs::path(name).extension().string();
        if (name.find(".tmp-") != std::string::npos)
            return add(name, State::note, "half written by a process that was killed, or being written");
        if (name == "lock") return lock();
        if (name == "metrics.csv") return one(name, [](auto& f) { return metrics_text(f); });
        if (name == "data.json") return one(name, check_kept);
        if (name == "log.txt") return one(name, check_log);
        if (name == "model/config.toml") return one(name, [&](auto& f) { return model_config(f); });
        if (name == "model/weights.safetensors") return one(name, [&](auto& f) { return weights(f); });
        if (name.starts_with("checkpoints/") && ending == ".safetensors") {
            any_checkpoint_ = true;
            return one(name, [&](auto& f) { return checkpoint(f); });
        }
        if (ending == ".png") return one(name, check_picture);
        if (ending == ".npy") return one(name, check_npy);
        if (ending == ".csv") return one(name, check_csv);
        add(name, State::note, "not a file that the run itself writes: not looked into");
    }

    void lock() {
        const std::string holder = core::lock_holder(folder_ / "lock");
        add("lock", State::sound, holder.empty() ? "nobody trains here now" : "held by " + holder);
    }
    static std::string metrics_text(const fs::path& f) {
        const MetricsTable table = read_metrics(f);
        return fmt::format("metrics of {} epochs, {} columns", table.rows.size(), table.columns.size());
    }
    std::string model_config(const fs::path& f) {
        core::resolve(core::settings_of(core::read_config(f)), registry_);
        return "configuration of the weights";
    }

    std::string checkpoint(const fs::path& f) {
        const core::Checkpoint c(f);
        std::string text = fmt::format("checkpoint, step {}, epoch {}", c.progress().step, c.progress().epoch);
        if (!assembly_.session) return text + "; its values are sound, and not loaded: there is no model to load into";
        c.check(*config_, *assembly_.session, *assembly_.rows);
        c.load(*assembly_.session);
        return text + ", loads";
    }

    std::string weights(const fs::path& f) {
        const core::SafetensorsFile file(f);
        if (!file.metadata().contains("sha256")) throw Damaged("it has no checksums", f.string());
        file.check_values();
        std::size_t values = 0;
        for (const core::TensorInfo& t : file.tensors()) {
            values += std::size_t(t.dims.numel());
            const core::KeptTensor* here = assembly_.session ? assembly_.session->tensors().find(t.name) : nullptr;
            if (here && !(here->dims == t.dims))
                throw Damaged(fmt::format("tensor '{}' is {}, and config.toml makes it {}", t.name, t.dims.text(),
                                          here->dims.text()),
                              f.string());
        }
        if (assembly_.session)
            for (const auto& t : assembly_.session->tensors().all())
                if (t->keep == core::Keep::trained && !file.find(t->name))
                    throw Damaged(fmt::format("tensor '{}' is missing", t->name), f.string());
        return fmt::format("weights, {} tensors, {} values", file.tensors().size(), values);
    }

    core::Run run_;
    fs::path folder_;
    core::Registry& registry_;
    std::optional<core::RunConfig> config_;
    std::unique_ptr<core::Backend> backend_;
    core::Assembly assembly_;
    bool has_data_ = false, any_checkpoint_ = false;
    std::vector<CheckedFile> all_;
};

} // namespace

std::vector<CheckedFile> check_files(const fs::path& folder, core::Registry& registry) {
    return FilesOfRun(folder.filename().empty() ? folder.parent_path() : folder, registry).check();
}

} // namespace elbo::tools
