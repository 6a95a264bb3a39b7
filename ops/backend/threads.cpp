#include "ops/backend/threads.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif
#if defined(__SANITIZE_THREAD__)
#define ELBO_TSAN
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ELBO_TSAN
#endif
#endif
#if defined(ELBO_TSAN)
#include <thread>
#include <vector>
#endif

// libgomp's own entry points, declared here so that any compiler uses the runtime oneDNN is linked with: clang's
// -fopenmp would bring a second one.
extern "C" {
void GOMP_parallel(void (*body)(void*), void* data, unsigned threads, unsigned flags);
void omp_set_num_threads(int);
void omp_set_dynamic(int);
int omp_get_thread_num(void);
int omp_get_num_threads(void);
}

namespace elbo::ops {

namespace {
int team = 1;

unsigned long control() {
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

void set_control([[maybe_unused]] unsigned long v) {
#if defined(__x86_64__)
    _mm_setcsr(unsigned(v));
#elif defined(__aarch64__)
    asm volatile("msr fpcr, %0" ::"r"(v));
#endif
}

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

void set_threads(int n) {
    team = n < 1 ? 1 : n;
    omp_set_dynamic(0);
    omp_set_num_threads(team);
}

int threads() { return team; }

FlushDenormals::FlushDenormals() : saved_(control()) { set_control(saved_ | kFlush); }
FlushDenormals::~FlushDenormals() { set_control(saved_); }

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
