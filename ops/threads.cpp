#include "ops/threads.hpp"

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

struct Call {
    void (*body)(void*, int, int);
    void* context;
};

void enter(void* data) {
    auto* call = static_cast<Call*>(data);
    call->body(call->context, omp_get_thread_num(), omp_get_num_threads());
}
}  // namespace

void set_threads(int n) {
    team = n < 1 ? 1 : n;
    omp_set_dynamic(0);
    omp_set_num_threads(team);
}

int threads() { return team; }

void run_team(bool parallel, void (*body)(void*, int, int), void* context) {
    if (!parallel || team == 1) return body(context, 0, 1);
    Call call{body, context};
    GOMP_parallel(enter, &call, unsigned(team), 0);
}

}  // namespace elbo::ops
