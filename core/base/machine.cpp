#include "core/base/machine.hpp"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace elbo::core {

std::int64_t default_threads() {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    return std::max(1, CPU_COUNT(&set));
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

double seconds_now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

} // namespace elbo::core
