// Threads: one team, that of oneDNN's OpenMP runtime, so that no second pool competes with it. Work is cut into pieces
// that do not depend on how many threads there are.
#pragma once

#include <cstdint>

namespace elbo::ops {

/// As many as there are processors for this process, whatever OpenMP has bound its first thread to, and as its cgroup
/// and OMP_THREAD_LIMIT grant.
int available_threads();
/// Processors that this process may run on, whatever OpenMP has bound its first thread to.
int processors_there();
/// Sets the size of the team, once, before anything is bound: a oneDNN 2.6 primitive that runs on a smaller team than
/// it was made for hangs or leaves out results. Throws Error (failure) when so many threads cannot be had.
void set_threads(int n);
/// Before long work: binds each thread of the team to a processor, if others have left the processors alone since the
/// program began, and OMP_PROC_BIND says nothing.
void settle_team();
/// Makes threads that wait for each other sleep soon. OpenMP reads how when it is loaded, so the program starts once
/// more, with GOMP_SPINCOUNT set; where that or OMP_WAIT_POLICY is set already, nothing happens.
void wait_passively(char** argv);
int threads();

/// Calls body(context, thread, threads) on every thread of the team; on the caller alone when `parallel` is false.
void run_team(bool parallel, void (*body)(void* context, int thread, int threads), void* context);

/// Calls f(thread, number) for each of n pieces, each thread for a share of neighbouring ones.
template <class F>
void each_piece(std::int64_t n, const F& f) {
    struct Context {
        std::int64_t n;
        const F& f;
    } context{n, f};
    run_team(
        n > 1,
        [](void* given, int thread, int threads) {
            const auto& [pieces, function] = *static_cast<Context*>(given);
            for (std::int64_t i = pieces * thread / threads; i < pieces * (thread + 1) / threads; ++i)
                function(thread, i);
        },
        &context);
}

/// While one lives, what the library makes on this thread is made to run on one thread, inside a team too.
class OnOneThread {
public:
    OnOneThread();
    ~OnOneThread();
    OnOneThread(const OnOneThread&) = delete;
    OnOneThread& operator=(const OnOneThread&) = delete;
};

/// While one lives, this thread (and a team it starts) treats denormal numbers as zero: moments that fade away would
/// otherwise slow every update down. The host's own arithmetic and plugins are not touched.
class FlushDenormals {
public:
    FlushDenormals();
    ~FlushDenormals();
    FlushDenormals(const FlushDenormals&) = delete;
    FlushDenormals& operator=(const FlushDenormals&) = delete;

private:
    unsigned long saved_;
};

} // namespace elbo::ops
