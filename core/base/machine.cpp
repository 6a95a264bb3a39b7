#include "core/base/machine.hpp"

#include <sys/resource.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <utility>

#include "core/base/text.hpp"

namespace elbo::core {

std::int64_t cpu_quota() {
    std::ifstream in("/sys/fs/cgroup/cpu.max");
    std::string quota;
    double period = 0;
    in >> quota >> period;
    const auto limit = parse_number<double>(quota); // a word where there is none
    if (!limit || period <= 0) return std::numeric_limits<std::int64_t>::max();
    return std::max<std::int64_t>(1, std::int64_t(std::ceil(*limit / period)));
}

namespace {

namespace fs = std::filesystem;

// "MemTotal:  8000 kB" in a file of /proc.
std::optional<std::int64_t> bytes_behind(const fs::path& file, const std::string& key) {
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) {
        if (!line.starts_with(key + ":")) continue;
        std::istringstream words(line.substr(key.size() + 1)); // after spaces, or a tab
        std::int64_t kib = 0;
        return words >> kib ? std::optional(kib * 1024) : std::nullopt;
    }
    return {};
}

// The smallest limit of a group and those around it; a word where there is none.
std::int64_t least_limit(const fs::path& top, const std::string& group, const std::string& name) {
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    fs::path folder = top / fs::path(group).relative_path();
    for (;;) {
        std::ifstream in(folder / name);
        std::string text;
        in >> text;
        if (const auto limit = parse_number<std::int64_t>(text)) least = std::min(least, *limit);
        if (folder == top || !folder.has_relative_path() || folder.parent_path() == folder) return least;
        folder = folder.parent_path();
    }
}

} // namespace

std::int64_t memory_there(const fs::path& root) {
    std::int64_t least =
        bytes_behind(root / "proc/meminfo", "MemTotal").value_or(std::numeric_limits<std::int64_t>::max());
    const fs::path groups = root / "sys/fs/cgroup";
    least = std::min(
        {least, least_limit(groups, "", "memory.max"), least_limit(groups / "memory", "", "memory.limit_in_bytes")});
    std::ifstream in(root / "proc/self/cgroup"); // "0::/user.slice" in v2, "4:memory:/user.slice" in v1
    for (std::string line; std::getline(in, line);) {
        const auto first = line.find(':'), second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) continue;
        const std::string what = "," + line.substr(first + 1, second - first - 1) + ",",
                          group = line.substr(second + 1);
        if (what == ",,") least = std::min(least, least_limit(groups, group, "memory.max"));
        if (what.find(",memory,") != std::string::npos)
            least = std::min(least, least_limit(groups / "memory", group, "memory.limit_in_bytes"));
    }
    return least;
}

std::int64_t memory_held() {
    const fs::path status = "/proc/self/status";
    const auto own = bytes_behind(status, "RssAnon");
    return own ? *own : bytes_behind(status, "VmRSS").value_or(0); // not every kernel tells them apart
}

ProcessorTimes processor_times(const std::vector<int>& processors) {
    ProcessorTimes out;
    std::ifstream in("/proc/stat");
    for (std::string line; std::getline(in, line) && line.starts_with("cpu");) {
        std::istringstream words(line);
        std::string name;
        words >> name;
        const auto number = parse_number<int>(std::string_view(name).substr(3));
        if (!number || std::find(processors.begin(), processors.end(), *number) == processors.end()) continue;
        // user nice system idle iowait irq softirq steal
        double value = 0;
        for (int i = 0; i < 8 && words >> value; ++i) (i == 3 || i == 4 ? out.idle : out.busy) += value;
    }
    const double tick = 1.0 / double(::sysconf(_SC_CLK_TCK));
    rusage own{};
    ::getrusage(RUSAGE_SELF, &own);
    auto seconds = [](const timeval& t) { return double(t.tv_sec) + double(t.tv_usec) * 1e-6; };
    out.idle *= tick;
    out.busy *= tick;
    out.own = seconds(own.ru_utime) + seconds(own.ru_stime);
    return out;
}

std::string cpu_features() {
#if defined(__x86_64__)
    std::string out = "x86_64";
    for (auto [name, has] : {std::pair{"avx2", bool(__builtin_cpu_supports("avx2"))},
                             {"fma", bool(__builtin_cpu_supports("fma"))},
                             {"avx512f", bool(__builtin_cpu_supports("avx512f"))},
                             {"avx512bf16", bool(__builtin_cpu_supports("avx512bf16"))}})
        if (has) out += std::string(" ") + name;
    return out;
#elif defined(__aarch64__)
    return "aarch64";
#else
    return "unknown";
#endif
}

unsigned long float_control() {
#if defined(__x86_64__)
    return _mm_getcsr();
#elif defined(__aarch64__)
    unsigned long v;
    asm volatile("mrs %0, fpcr" : "=r"(v));
    return v;
#else
    return 0;
#endif
}

void set_float_control([[maybe_unused]] unsigned long v) {
#if defined(__x86_64__)
    _mm_setcsr(unsigned(v));
#elif defined(__aarch64__)
    asm volatile("msr fpcr, %0" ::"r"(v));
#endif
}

namespace {
std::atomic<void (*)()> thread_start{nullptr};
}

void set_thread_start(void (*f)()) { thread_start = f; }
void start_thread() {
    if (auto* f = thread_start.load()) f();
}

double seconds_now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

} // namespace elbo::core
