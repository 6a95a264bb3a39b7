// doctor: what the program finds on this machine, and what may be amiss.
#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "core/base/error.hpp"
#include "core/base/machine.hpp"
#include "core/base/text.hpp"
#include "core/data/rows.hpp"
#include "core/host/scan.hpp"
#include "ops/backend/backends.hpp"
#include "ops/backend/threads.hpp"
#include "tools/runner/results.hpp"

namespace elbo::tools {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

constexpr double kGiB = double(1 << 30);

/// One thing that was looked at.
struct Finding {
    std::string topic, state, text; ///< state: "ok", "warning" or "broken"
    Json details = Json::object();
};

Finding found(const std::string& topic, bool good, const std::string& text, Json details = Json::object()) {
    return {topic, good ? "ok" : "warning", text, std::move(details)};
}

std::string first_line(const fs::path& file) {
    std::ifstream in(file);
    std::string line;
    std::getline(in, line);
    return line;
}

// The value behind "key : value" in a file of /proc; "" when there is none.
std::string proc_value(const fs::path& file, const std::string& key) {
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) {
        const auto colon = line.find(':');
        if (colon == std::string::npos || !line.starts_with(key)) continue;
        const auto from = line.find_first_not_of(" \t", colon + 1);
        return from == std::string::npos ? "" : line.substr(from);
    }
    return "";
}

// The machine

Finding version() {
    return found("version", true,
                 fmt::format("elbo {}, plugin interface {}.{}", ELBO_VERSION, ELBO_ABI_MAJOR, ELBO_ABI_MINOR),
                 {{"elbo", ELBO_VERSION}});
}

Finding processor() {
    std::string model = proc_value("/proc/cpuinfo", "model name");
    if (model.empty()) model = "processor of an unknown name";
    const std::string features = core::cpu_features();
    const bool slow = features.starts_with("x86_64") && features.find("avx2") == std::string::npos;
    return found(
        "processor", !slow,
        fmt::format("{}; {}{}", model, features, slow ? ": without AVX2, training is several times slower" : ""),
        {{"model", model}, {"features", features}});
}

Finding cores() {
    cpu_set_t set;
    CPU_ZERO(&set);
    const int usable = ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    const unsigned all = std::max(1u, unsigned(::sysconf(_SC_NPROCESSORS_ONLN)));
    const std::int64_t quota = core::cpu_quota();
    const bool limited = quota <= std::int64_t(all);
    return found("cores", true,
                 fmt::format("{} of {} may be used; {}", usable, all,
                             limited ? fmt::format("the cgroup grants the time of {}", quota) : "no cgroup limit"),
                 {{"online", all}, {"usable", usable}, {"cgroup", limited ? Json(quota) : Json(nullptr)}});
}

Finding threads() {
    const int n = ops::available_threads();
    std::string why;
    for (const char* name : {"OMP_NUM_THREADS", "OMP_PROC_BIND", "OMP_THREAD_LIMIT"})
        if (const char* value = std::getenv(name)) why += fmt::format("; {} is {}", name, value);
    return found("threads", true, fmt::format("{} unless --threads says otherwise{}", n, why), {{"threads", n}});
}

Finding backend() {
    return found("backend", true, ops::backend_description(), {{"backend", ops::backend_description()}});
}

std::optional<double> kib_of(const std::string& key) {
    const auto words = core::words_of(proc_value("/proc/meminfo", key));
    const auto kib = words.empty() ? std::nullopt : core::parse_number<double>(words[0]);
    return kib ? std::optional(*kib * 1024) : std::nullopt;
}

Json json_of(std::optional<double> bytes) { return bytes ? Json(std::int64_t(*bytes)) : Json(nullptr); }

Finding memory() {
    constexpr double kLittle = kGiB;
    const auto total = kib_of("MemTotal"), available = kib_of("MemAvailable");
    const auto limit = core::parse_number<double>(first_line("/sys/fs/cgroup/memory.max"));
    const auto used = core::parse_number<double>(first_line("/sys/fs/cgroup/memory.current"));
    if (!total || !available) return found("memory", false, "/proc/meminfo does not say");
    double left = *available;
    std::string text = fmt::format("{:.1f} of {:.1f} GiB available", *available / kGiB, *total / kGiB);
    if (limit) {
        left = std::min(left, *limit - used.value_or(0));
        text += fmt::format("; the cgroup may use {:.1f} GiB and uses {:.1f}", *limit / kGiB, used.value_or(0) / kGiB);
    } else {
        text += "; no cgroup limit";
    }
    return found("memory", left >= kLittle, text + (left < kLittle ? ": little is left for data and models" : ""),
                 {{"total", json_of(total)},
                  {"available", json_of(available)},
                  {"cgroup_limit", json_of(limit)},
                  {"cgroup_used", json_of(used)}});
}

Finding disk() {
    constexpr double kLittle = kGiB;
    std::error_code status;
    const fs::path here = fs::current_path(status);
    const fs::space_info space = fs::space(here, status);
    if (status)
        return found("disk", false, fmt::format("the current folder cannot be looked at: {}", status.message()));
    const bool writable = ::access(".", W_OK | X_OK) == 0, much = double(space.available) >= kLittle;
    return found("disk", writable && much,
                 fmt::format("{:.1f} GiB free in {}{}{}", double(space.available) / kGiB, here.string(),
                             much ? "" : ": little for checkpoints",
                             writable ? "" : ", where nothing can be written: give runs another place with --out"),
                 {{"folder", here.string()}, {"free", space.available}, {"writable", writable}});
}

// Plugins

void plugin_places(std::vector<Finding>& out) {
    const char* path = std::getenv("ELBO_PLUGIN_PATH");
    for (const std::string& entry : core::pieces(path ? path : "", ':')) {
        if (entry.empty()) continue;
        std::error_code status;
        const std::string why = !fs::path(entry).is_absolute()     ? "it is not absolute, and passed over"
                                : !fs::is_directory(entry, status) ? "there is no such folder"
                                                                   : "";
        out.push_back(found("plugin folder", why.empty(),
                            fmt::format("{} (ELBO_PLUGIN_PATH){}{}", entry, why.empty() ? "" : ": ", why),
                            {{"folder", entry}}));
    }
}

// Those of others are loaded in a process of their own: one that crashes is a finding and not the end.
std::string problem_of(core::Registry& registry, core::Registry::File& file) {
    try {
        if (!file.built_in) return core::scan(registry, file).problem;
        registry.load(file);
        return "";
    } catch (const core::Error& e) {
        return e.message();
    }
}

void plugins(core::Registry& registry, std::vector<Finding>& out) {
    plugin_places(out);
    std::map<std::string, int> good;
    std::size_t parts = 0;
    for (const auto& file : registry.files()) {
        const std::string why = problem_of(registry, *file), path = file->path.string();
        if (!why.empty()) {
            out.push_back(
                found("plugin", false, fmt::format("{}: refused: {}", path, why), {{"file", path}, {"why", why}}));
            continue;
        }
        ++good[file->path.parent_path().string()];
        parts += file->manifest.provides.size();
    }
    for (const auto& [folder, n] : good)
        out.push_back(
            found("plugins", true, fmt::format("{} files in {}", n, folder), {{"folder", folder}, {"files", n}}));
    for (const std::string& line : registry.passed_over()) {
        const auto colon = line.find(": ");
        out.push_back(found("plugin", false, line.substr(0, colon) + ": refused" + line.substr(colon),
                            {{"file", line.substr(0, colon)}, {"why", line.substr(colon + 2)}}));
    }
    const bool any = !registry.names("model").empty() && !registry.names("data").empty();
    out.push_back({"parts",
                   any ? "ok" : "broken",
                   any ? fmt::format("{} parts of {} kinds", parts, registry.kinds().size())
                       : "no model or no data set was found: the plugins that come with the program lie beside it in "
                         "plugins/, or in ../lib/elbo",
                   {{"parts", parts}}});
}

// Data sets

Finding data_set(core::Registry& registry, const std::string& name) {
    try {
        core::Part part(registry.find("data", name), {}, "data");
        const core::Rows rows(part, {});
        const auto files = rows.files();
        const std::string folder = files.empty() ? "" : fs::path(files[0]).parent_path().string();
        return found("data", true, fmt::format("{} in {}", rows.description(), folder),
                     {{"name", name}, {"found", true}, {"folder", folder}});
    } catch (const core::Error& e) {
        std::string why = e.message();
        std::replace(why.begin(), why.end(), '\n', ' ');
        return found("data", false, why, {{"name", name}, {"found", false}, {"why", e.message()}});
    }
}

void data_sets(core::Registry& registry, std::vector<Finding>& out) {
    const char* folder = std::getenv("ELBO_DATA");
    std::error_code status;
    const bool there = folder && fs::is_directory(folder, status);
    out.push_back(found("ELBO_DATA", !folder || there,
                        !folder ? "not set"
                        : there ? folder
                                : fmt::format("{}: there is no such folder", folder),
                        {{"ELBO_DATA", folder ? Json(folder) : Json(nullptr)}}));
    const auto known = registry.names("data");
    for (const char* name : {"fashion_mnist", "mnist"})
        if (std::find(known.begin(), known.end(), name) != known.end()) out.push_back(data_set(registry, name));
}

std::string text_of(const std::vector<Finding>& all) {
    std::string out;
    std::size_t warnings = 0, broken = 0;
    for (const Finding& f : all) {
        out += fmt::format("{:<8} {:<14} {}\n", f.state, f.topic, f.text);
        warnings += f.state == "warning";
        broken += f.state == "broken";
    }
    if (broken > 0) return out + "\nelbo cannot work like this\n";
    return out + (warnings == 0 ? "\nall is well\n"
                                : fmt::format("\nelbo works; {} warning{}\n", warnings, warnings == 1 ? "" : "s"));
}

int doctor(const Arguments& arguments, core::Registry& registry) {
    std::vector<Finding> all{version(), processor(), cores(), threads(), memory(), backend()};
    plugins(registry, all);
    data_sets(registry, all);
    all.push_back(disk());
    bool broken = false;
    Json json = Json::array();
    for (const Finding& f : all) {
        broken |= f.state == "broken";
        json.push_back({{"topic", f.topic}, {"state", f.state}, {"text", f.text}, {"details", f.details}});
    }
    print_result(
        arguments,
        [&] {
            return Json{{"works", !broken}, {"findings", json}}.dump();
        },
        [&] { return text_of(all); });
    return broken ? int(core::Exit::failure) : 0;
}

const VerbEntry entry({.order = 200,
                       .name = "doctor",
                       .operand = "",
                       .summary = "this machine: processor, memory, plugins and why any was refused, data found",
                       .flags = {kJson},
                       .computes = false,
                       .run = doctor});

} // namespace
} // namespace elbo::tools
