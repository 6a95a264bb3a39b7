// How much memory there is for rows: sets that must be held whole are refused before they take what is not there.
#pragma once

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <limits>
#include <string>

namespace memory {

inline constexpr std::uint64_t kUnknown = std::numeric_limits<std::uint64_t>::max();

/// The first number of a file, after a word where one is given; kUnknown when there is none.
inline std::uint64_t number_in(const char* path, const std::string& after = "") {
    std::ifstream in(path);
    std::string word;
    while (!after.empty() && word != after)
        if (!(in >> word)) return kUnknown;
    std::uint64_t n = 0;
    return in >> n ? n : kUnknown;
}

inline std::uint64_t difference(std::uint64_t limit, std::uint64_t used) {
    if (limit == kUnknown || used == kUnknown) return kUnknown;
    return limit > used ? limit - used : 0;
}

/// Bytes that this process may still take: of the machine, of its group (cgroup v2) and of its own limit.
inline std::uint64_t available() {
    std::uint64_t of_machine = number_in("/proc/meminfo", "MemAvailable:");
    if (of_machine != kUnknown) of_machine *= 1024;
    const std::uint64_t of_group =
        difference(number_in("/sys/fs/cgroup/memory.max"), number_in("/sys/fs/cgroup/memory.current"));
    rlimit limit{};
    std::uint64_t own = kUnknown;
    if (::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        own = difference(limit.rlim_cur, number_in("/proc/self/statm") * std::uint64_t(::sysconf(_SC_PAGESIZE)));
    return std::min({of_machine, of_group, own});
}

inline std::string text_of(std::uint64_t bytes) {
    const std::uint64_t mib = bytes >> 20;
    return mib > 0 ? std::to_string(mib) + " MiB" : std::to_string(bytes) + " bytes";
}

} // namespace memory
