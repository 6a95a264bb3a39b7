#include "core/run/folder.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include "core/base/machine.hpp"
#include "core/base/notice.hpp"
#include "core/base/text.hpp"
#include "core/files/atomic.hpp"

namespace elbo::core {

namespace fs = std::filesystem;

namespace {

constexpr const char* kFolders[] = {"checkpoints", "pictures", "model"};
// What a run makes; config.toml comes last, so that what is half deleted is still known for a run.
constexpr const char* kFiles[] = {"metrics.csv", "log.txt",    "run.json",    "data.json",
                                  "codes.npy",   "scores.csv", "report.html", "config.toml"};
constexpr const char* kFurther = "tensorboard"; ///< a folder that is made where it is asked for
constexpr const char* kLock = "lock";
constexpr const char* kData = "data.json";

// With those above it. wanted: what an error is about, where that is another one.
void make_folder(const fs::path& folder, const fs::path& wanted = {}) {
    auto make = [&] { return retried([&] { return ::mkdir(folder.c_str(), 0777); }) == 0; };
    if (make()) return;
    if (errno == ENOENT && folder.has_parent_path() && folder.parent_path() != folder) {
        make_folder(folder.parent_path(), wanted.empty() ? folder : wanted);
        if (make()) return;
    }
    const int error = errno;
    struct stat info {};
    const bool there = retried([&] { return ::stat(folder.c_str(), &info); }) == 0;
    if (error == EEXIST && there && S_ISDIR(info.st_mode)) return;
    throw Error(Exit::failure, "cannot make the folder: " + reason(there && error == EEXIST ? ENOTDIR : error),
                (wanted.empty() ? folder : wanted).string());
}

// Writing through a link would change something outside of the run.
void refuse_links(const fs::path& run) {
    std::error_code status;
    for (const char* part : kFolders)
        if (fs::is_symlink(run / part, status))
            throw Error(Exit::data, fmt::format("{} is a symbolic link, and leads out of the run", part),
                        (run / part).string());
}

// Nothing but what a run that was killed before it began may have left.
bool is_stillborn(const fs::path& folder) {
    std::error_code status;
    for (const auto& entry : fs::directory_iterator(folder, status)) {
        const std::string name = entry.path().filename().string();
        const bool ours = name == kLock || name == kFurther || name.find(".tmp-") != std::string::npos ||
                          std::find(std::begin(kFolders), std::end(kFolders), name) != std::end(kFolders) ||
                          std::find(std::begin(kFiles), std::end(kFiles), name) != std::end(kFiles);
        if (!ours) return false;
    }
    return !status;
}

void refuse_to_replace(const fs::path& folder, bool overwrite) {
    std::error_code status;
    const bool is_run = is_there(folder / "config.toml");
    if (is_run ? overwrite : fs::is_directory(folder, status) && is_stillborn(folder)) return;
    Error e(Exit::usage, is_run ? "there is a run in this folder already" : "the folder exists and is not a run",
            folder.string());
    if (is_run)
        e.note(fmt::format("continue it: model-runner resume {} --epochs N", folder.string()))
            .note("or replace it: --overwrite");
    throw e;
}

} // namespace

Run Run::create(const fs::path& folder, const RunConfig& config, bool overwrite) {
    const fs::path target = folder.filename().empty() ? folder.parent_path() : folder;
    std::error_code status;
    const bool fresh = !is_there(target) || (fs::is_directory(target, status) && fs::is_empty(target, status));
    if (!fresh) refuse_to_replace(target, overwrite);
    if (target.has_parent_path()) make_folder(target.parent_path(), target);
    sweep_temporaries(target.has_parent_path() ? target.parent_path() : ".");
    if (fresh) {
        // Made beside its place and moved there whole.
        Run run(fs::path(target.string() + fmt::format(".tmp-{}", ::getpid())));
        try {
            run.fill(config);
            if (retried([&] { return ::rename(run.folder_.c_str(), target.c_str()); }) == 0) {
                run.folder_ = target;
                flush_folder(target.has_parent_path() ? target.parent_path() : ".");
                return run;
            }
        } catch (...) {
            run.discard();
            throw;
        }
        run.discard(); // a folder that cannot be replaced, such as one where a disk is mounted
        // Or one that another process has filled meanwhile.
        if (is_there(target) && !fs::is_empty(target, status)) refuse_to_replace(target, overwrite);
    }
    refuse_links(target);
    Run run(target);
    make_folder(target);
    run.lock("train");
    for (const char* part : kFolders) fs::remove_all(target / part, status);
    fs::remove_all(target / kFurther, status);
    for (const char* file : kFiles)
        if (std::string_view(file) != "config.toml") delete_file(target / file);
    run.fill(config);
    return run;
}

void Run::fill(const RunConfig& config) {
    make_folder(folder_);
    if (!lock_) lock_ = std::make_shared<FileLock>(folder_ / kLock, "train");
    for (const char* part : kFolders) make_folder(folder_ / part);
    write_config(config);
}

void Run::discard() const {
    std::error_code status;
    for (const char* part : kFolders) fs::remove_all(folder_ / part, status);
    for (const char* file : kFiles) delete_file(folder_ / file);
    delete_file(folder_ / kLock);
    fs::remove(folder_, status); // only when nothing else is in it
}

Run Run::open(const fs::path& folder) {
    std::error_code status;
    if (!is_there(folder / "config.toml")) {
        Error e(Exit::data, "not a run: it has no config.toml", folder.string());
        if (fs::is_directory(folder, status) && !fs::is_empty(folder, status) && is_stillborn(folder))
            throw e.note("it was stopped before it began: train it again");
        throw e.note("`model-runner train` makes one");
    }
    refuse_links(folder);
    Run run(folder);
    run.refuse_newer();
    return run;
}

// What a later version writes may mean something else here.
void Run::refuse_newer() const {
    std::string made_by;
    try {
        made_by = info("elbo");
    } catch (const Error&) { // a damaged run.json is told of where it is needed
        return;
    }
    const auto numbers = [](const std::string& version) {
        std::vector<std::int64_t> out;
        for (const std::string& piece : pieces(version, '.'))
            out.push_back(parse_number<std::int64_t>(piece).value_or(0));
        return out;
    };
    if (numbers(made_by) <= numbers(ELBO_VERSION)) return;
    throw Error(Exit::data, fmt::format("this run was made by elbo {}, and this is elbo {}", made_by, ELBO_VERSION),
                folder_.string())
        .note("use that version, or a later one");
}

void Run::lock(const std::string& what_for) {
    lock_ = std::make_shared<FileLock>(folder_ / kLock, what_for);
    sweep_temporaries(folder_);
    // One that was being replaced when its process was killed may lack some.
    for (const char* part : kFolders) make_folder(folder_ / part), sweep_temporaries(folder_ / part);
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
    j["precision"] = config.precision;
    j["same_bits"] = "with this seed, number of threads, processor, backend, data and plugins";
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
    j["trained_values"] = session.tensors().trained_values();
    for (const Term& t : session.terms())
        j["terms"].push_back(
            {{"name", t.name}, {"bound", t.is(ELBO_TERM_BOUND)}, {"estimated", t.is(ELBO_TERM_ESTIMATE)}});
    write_atomically(folder_ / "run.json", j.dump(2) + "\n");
    write_atomically(folder_ / kData, text_of(kept_of(rows)));
}

namespace {

// Nothing, where there is none or it is damaged.
nlohmann::json read_info(const fs::path& file) {
    constexpr int kDeepest = 64;
    if (!is_there(file)) return {};
    const std::string text = read_file(file, 1 << 24);
    auto all = nesting(text) > kDeepest ? nlohmann::json(nlohmann::json::value_t::discarded)
                                        : nlohmann::json::parse(text, nullptr, false);
    if (!all.is_discarded() && all.is_object()) return all;
    tell_once(fmt::format("warning: {} is damaged: what it says of data and plugins is not used", file.string()));
    return {};
}

} // namespace

std::optional<KeptRows> Run::kept_rows() const {
    const fs::path file = folder_ / kData;
    if (!is_there(file)) return {};
    auto out = kept_rows_of(read_file(file, 1 << 26));
    if (!out) tell_once(fmt::format("warning: {} is damaged: what it says of the data is not used", file.string()));
    return out;
}

std::string Run::info(const std::string& key) const {
    const nlohmann::json all = read_info(folder_ / "run.json");
    const nlohmann::json* at = &all;
    for (const auto& name : pieces(key, '.')) {
        if (!at->is_object() || !at->contains(name)) return "";
        at = &(*at)[name];
    }
    return at->is_string() ? at->get<std::string>() : at->dump();
}

std::vector<RecordedPlugin> Run::plugins() const {
    std::vector<RecordedPlugin> out;
    const nlohmann::json all = read_info(folder_ / "run.json");
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
    const std::string text = fmt::format("{:%Y-%m-%d %H:%M:%S} {}\n", fmt::gmtime(std::time(nullptr)), line);
    const fs::path path = folder_ / "log.txt";
    const Descriptor file(retried([&] {
        return ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
    }));
    std::string_view rest = text;
    while (file.open() && !rest.empty()) {
        const ssize_t put = retried([&] { return ::write(file.get(), rest.data(), rest.size()); });
        if (put <= 0) break;
        rest.remove_prefix(std::size_t(put));
    }
    if (!rest.empty())
        tell_once(
            fmt::format("warning: cannot write {}: {}; the run goes on without it", path.string(), reason(errno)));
}

namespace {

// What the run wrote itself a moment ago: that it cannot be read is no fault of the data.
std::string read_own(const fs::path& file) {
    try {
        return read_file(file);
    } catch (Error& e) {
        e.set_code(Exit::failure);
        throw;
    }
}

} // namespace

void Run::add_metrics(const Metrics& metrics) const {
    const fs::path file = folder_ / "metrics.csv";
    std::string header, row, kept;
    for (const auto& [name, value] : metrics) {
        const char* comma = header.empty() ? "" : ",";
        header += comma + name;
        row += comma + fmt::format("{}", value); // the shortest text that reads back to the same bits
    }
    if (is_there(file)) {
        const auto lines = pieces(read_own(file), '\n');
        for (std::size_t i = 1; i < lines.size(); ++i) {
            const double epoch = parse_number<double>(lines[i].substr(0, lines[i].find(','))).value_or(0);
            if (epoch < metrics.at(0).second) kept += lines[i] + "\n";
        }
    }
    write_atomically(file, header + "\n" + kept + row + "\n");
}

} // namespace elbo::core
