#include "tools/bench/process.hpp"

#include <dlfcn.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <new>
#include <sstream>
#include <string>

namespace elbo::bench {

namespace {

struct Counter {
    bool on = false;
    Allocations found;
};
thread_local Counter counter;

void note(const void* caller) {
    if (!counter.on) return;
    counter.on = false; // the look-up may allocate itself
    Dl_info info{};
    const bool dnnl = dladdr(caller, &info) && info.dli_fname && std::strstr(info.dli_fname, "libdnnl");
    ++(dnnl ? counter.found.of_dnnl : counter.found.ours);
    counter.on = true;
}

[[maybe_unused]] void* take(std::size_t n, std::size_t alignment, const void* caller) {
    note(caller);
    n = n == 0 ? 1 : n;
    void* p =
        alignment == 0 ? std::malloc(n) : std::aligned_alloc(alignment, (n + alignment - 1) / alignment * alignment);
    if (!p) throw std::bad_alloc();
    return p;
}

} // namespace

double seconds_since_start() {
    std::ifstream in("/proc/self/stat");
    std::string all;
    std::getline(in, all);
    std::istringstream fields(all.substr(all.rfind(')') + 1)); // the name before it may hold anything
    std::string skipped;
    for (int i = 3; i < 22; ++i) fields >> skipped;
    double ticks = 0;
    fields >> ticks;
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return double(now.tv_sec) + 1e-9 * double(now.tv_nsec) - ticks / double(sysconf(_SC_CLK_TCK));
}

// Not getrusage's: that of a process begins with what its parent had when it was started.
double peak_bytes() {
    std::ifstream in("/proc/self/status");
    for (std::string word; in >> word;)
        if (word == "VmHWM:") {
            double kib = 0;
            in >> kib;
            return 1024 * kib;
        }
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return 1024 * double(usage.ru_maxrss);
}

Allocations allocations_of(const std::function<void()>& f) {
    counter = {true, {}};
    f();
    counter.on = false;
    return counter.found;
}

} // namespace elbo::bench

// Sanitizers bring their own: nothing is counted under them.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define ELBO_SANITIZED
#endif
#endif
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(ELBO_SANITIZED)
// Not inlined: the caller is looked at, and the compiler would compare a `new` with the `free` it sees.
#define ELBO_KEPT __attribute__((noinline, visibility("default")))
ELBO_KEPT void* operator new(std::size_t n) { return elbo::bench::take(n, 0, __builtin_return_address(0)); }
ELBO_KEPT void* operator new[](std::size_t n) { return elbo::bench::take(n, 0, __builtin_return_address(0)); }
ELBO_KEPT void* operator new(std::size_t n, std::align_val_t a) {
    return elbo::bench::take(n, std::size_t(a), __builtin_return_address(0));
}
ELBO_KEPT void* operator new[](std::size_t n, std::align_val_t a) {
    return elbo::bench::take(n, std::size_t(a), __builtin_return_address(0));
}
ELBO_KEPT void operator delete(void* p) noexcept { std::free(p); }
ELBO_KEPT void operator delete[](void* p) noexcept { std::free(p); }
ELBO_KEPT void operator delete(void* p, std::size_t) noexcept { std::free(p); }
ELBO_KEPT void operator delete[](void* p, std::size_t) noexcept { std::free(p); }
ELBO_KEPT void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
ELBO_KEPT void operator delete[](void* p, std::align_val_t) noexcept { std::free(p); }
ELBO_KEPT void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
ELBO_KEPT void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
#endif
