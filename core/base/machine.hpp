// Facts about the machine this process runs on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace elbo::core {

/// Processors' worth of time that the process's group may use (cgroup v2), rounded up; very many when there is no
/// limit.
std::int64_t cpu_quota();

/// Bytes of memory that this process can have at most: what the machine has, or its cgroup (v2 or v1) or one around
/// that allows; very many when nothing says. root: where /proc and /sys are.
std::int64_t memory_there(const std::filesystem::path& root = "/");
/// Bytes that this process holds by now, files that are only mapped left out where the kernel says; 0 when nothing
/// says.
std::int64_t memory_held();

/// Seconds that some processors have been busy and idle since the machine started, and that this process has used.
struct ProcessorTimes {
    double busy = 0, idle = 0, own = 0;
};
ProcessorTimes processor_times(const std::vector<int>& processors);

/// "x86_64 avx2 fma ...": the features of this processor that matter here.
std::string cpu_features();

/// The word that says how this thread rounds and treats denormal numbers (MXCSR on x86).
unsigned long float_control();
void set_float_control(unsigned long word);

/// What a helper thread (the loader's) does first: whoever binds the compute threads lets it use all processors.
void set_thread_start(void (*f)());
void start_thread();

/// Of a clock that never goes back; only differences mean something.
double seconds_now();

} // namespace elbo::core
