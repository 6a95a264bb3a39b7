// Facts about the machine this process runs on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace elbo::core {

/// Processors' worth of time that the process's group may use (cgroup v2), rounded up; very many when there is no
/// limit.
std::int64_t cpu_quota();

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
