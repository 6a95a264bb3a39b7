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
