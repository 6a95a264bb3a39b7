// Threads: one team, that of oneDNN's OpenMP runtime, so that no second pool competes with it. Work is cut into pieces
// that do not depend on how many threads there are.
#pragma once

#include <cstdint>

namespace elbo::ops {

/// Sets the size of the team, once, before anything is bound: a oneDNN 2.6 primitive that runs on a smaller team than
/// it was made for hangs or leaves out results.
void set_threads(int n);
int threads();

/// Calls body(context, thread, threads) on every thread of the team; on the caller alone when `parallel` is false.
void run_team(bool parallel, void (*body)(void* context, int thread, int threads), void* context);

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
