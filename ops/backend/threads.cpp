#include "ops/backend/threads.hpp"

#include "core/base/machine.hpp"

#if defined(__SANITIZE_THREAD__)
#define ELBO_TSAN
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ELBO_TSAN
#endif
#endif

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <future>
#include <system_error>
#include <thread>
#include <vector>

#include "core/base/error.hpp"

// libgomp's own entry points, declared here so that any compiler uses the runtime oneDNN is linked with: clang's
// -fopenmp would bring a second one.
extern "C" {
void GOMP_parallel(void (*body)(void*), void* data, unsigned threads, unsigned flags);
void omp_set_num_threads(int);
void omp_set_dynamic(int);
void omp_set_max_active_levels(int);
int omp_get_max_active_levels(void);
int omp_get_thread_limit(void);
int omp_get_thread_num(void);
int omp_get_num_threads(void);
int omp_get_num_procs(void);
int omp_get_num_places(void);
int omp_get_place_num_procs(int);
void omp_get_place_proc_ids(int, int*);
}

namespace elbo::ops {

namespace {
int team = 1;

constexpr unsigned long kFlush =
#if defined(__x86_64__)
    0x8040; // flush to zero, denormals are zero
#else
    1ul << 24;
#endif

#if !defined(ELBO_TSAN)
struct Call {
    void (*body)(void*, int, int);
    void* context;
};

void enter(void* data) {
    auto* call = static_cast<Call*>(data);
    const FlushDenormals here; // a team thread has a control word of its own
    call->body(call->context, omp_get_thread_num(), omp_get_num_threads());
}
#endif
} // namespace

namespace {

// A waiting thread looks this often whether it may go on before it sleeps: some microseconds. OpenMP's own number is
// milliseconds, which a thread that shares its processor with another program loses at every step.
constexpr const char* kSpins = "1000";

// Asking for a thread that cannot be had would end the program within OpenMP.
void must_start(int n) {
    std::vector<std::thread> others;
    std::promise<void> all;
    std::shared_future<void> go = all.get_future().share();
    std::string problem;
    try {
        for (int t = 1; t < n; ++t) others.emplace_back([go] { go.wait(); });
    } catch (const std::system_error& e) {
        problem = e.code().message();
    }
    all.set_value();
    for (auto& t : others) t.join();
    if (problem.empty()) return;
    throw core::Error(core::Exit::failure, fmt::format("cannot start {} threads: {}", n, problem))
        .note(fmt::format("{} could be started: --threads {}", others.size() + 1, others.size() + 1));
}

// OMP_THREAD_LIMIT makes teams smaller than was asked for, without a word: what oneDNN made for more threads would then
// wait for them for ever.
void must_be_given(int n) {
    const int limit = omp_get_thread_limit();
    if (n <= limit) return;
    throw core::Error(core::Exit::failure, fmt::format("OpenMP may start {} of {} threads: OMP_THREAD_LIMIT", limit, n))
        .note(fmt::format("ask for fewer: --threads {}", limit));
}

/// The processors this process could use when it began to look.
struct Processors {
    cpu_set_t set;
    std::vector<int> all;
    core::ProcessorTimes before;
    Processors() {
        CPU_ZERO(&set);
        if (::sched_getaffinity(0, sizeof set, &set) != 0) return;
        for (int i = 0; i < CPU_SETSIZE; ++i)
            if (CPU_ISSET(i, &set)) all.push_back(i);
        before = core::processor_times(all);
    }
};
const Processors& processors() {
    static const Processors once;
    return once;
}

// Others have used less than a tenth of our processors since the program began.
bool machine_is_free() {
    const Processors& p = processors();
    const core::ProcessorTimes now = core::processor_times(p.all);
    const double busy = now.busy - p.before.busy, all = busy + now.idle - p.before.idle;
    return all > 0 && busy - (now.own - p.before.own) < 0.1 * all;
}

void bind_one(void*, int thread, int) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(processors().all[std::size_t(thread)], &one);
    ::sched_setaffinity(0, sizeof one, &one);
}

} // namespace

int available_threads() {
    processors(); // from here on it is known how busy they are
    return int(std::clamp<std::int64_t>(core::cpu_quota(), 1, std::min(processors_there(), omp_get_thread_limit())));
}

int processors_there() { return std::max(1, omp_get_num_procs()); }

void set_threads(int n) {
    team = n < 1 ? 1 : n;
    processors();
    must_be_given(team);
    must_start(team);
    // Whatever OMP_DYNAMIC and OMP_MAX_ACTIVE_LEVELS say: a team is of that size.
    omp_set_dynamic(0);
    if (omp_get_max_active_levels() < 1) omp_set_max_active_levels(1);
    omp_set_num_threads(team);
}

int threads() { return team; }

void settle_team() {
    const auto& p = processors();
    if (team == 1 || std::getenv("OMP_PROC_BIND") || p.all.size() < std::size_t(team) || !machine_is_free()) return;
    run_team(true, bind_one, nullptr);
    core::set_thread_start([] { ::sched_setaffinity(0, sizeof processors().set, &processors().set); });
}

namespace {

// OMP_PROC_BIND has bound this thread by now; the program that takes its place would take that for all there is.
void unbind() {
    cpu_set_t all;
    CPU_ZERO(&all);
    for (int place = 0; place < omp_get_num_places(); ++place) {
        std::vector<int> ids(std::size_t(omp_get_place_num_procs(place)));
        omp_get_place_proc_ids(place, ids.data());
        for (int id : ids) CPU_SET(id, &all);
    }
    if (CPU_COUNT(&all) > 0) ::sched_setaffinity(0, sizeof all, &all);
}

} // namespace

void wait_passively(char** argv) {
    if (std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT")) return;
    ::setenv("GOMP_SPINCOUNT", kSpins, 1);
    unbind();
    ::execv("/proc/self/exe", argv); // where that fails, threads wait as OpenMP likes
}

OnOneThread::OnOneThread() { omp_set_num_threads(1); }
OnOneThread::~OnOneThread() { omp_set_num_threads(team); }

FlushDenormals::FlushDenormals() : saved_(core::float_control()) { core::set_float_control(saved_ | kFlush); }
FlushDenormals::~FlushDenormals() { core::set_float_control(saved_); }

void run_team(bool parallel, void (*body)(void*, int, int), void* context) {
    if (!parallel || team == 1) return body(context, 0, 1);
#if defined(ELBO_TSAN)
    // ThreadSanitizer cannot see libgomp's barriers; it can see threads begin and end.
    std::vector<std::thread> others;
    for (int t = 1; t < team; ++t) others.emplace_back(body, context, t, team);
    body(context, 0, team);
    for (auto& t : others) t.join();
#else
    Call call{body, context};
    GOMP_parallel(enter, &call, unsigned(team), 0);
#endif
}

} // namespace elbo::ops
