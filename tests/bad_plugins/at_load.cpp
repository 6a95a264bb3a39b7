// Does as ELBO_AT_LOAD says when it is loaded: crash, hang, exit, flush (denormal numbers to zero) or locale. Else
// there is nothing wrong with it.
#include <elbo/plugin.hpp>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <clocale>
#include <csignal>
#include <cstdlib>
#include <cstring>
using namespace elbo;

namespace {

__attribute__((constructor)) void misbehave() {
    const char* what = std::getenv("ELBO_AT_LOAD");
    if (!what) return;
    if (std::strcmp(what, "crash") == 0) std::raise(SIGSEGV);
    if (std::strcmp(what, "exit") == 0) std::exit(0);
    if (std::strcmp(what, "hang") == 0)
        for (volatile int i = 0;;) i = i + 1;
#if defined(__x86_64__)
    if (std::strcmp(what, "flush") == 0) _mm_setcsr(_mm_getcsr() | 0x8040);
#endif
    if (std::strcmp(what, "locale") == 0)
        for (const char* name : {"de_DE.UTF-8", "fr_FR.UTF-8", "C.UTF-8"})
            if (std::setlocale(LC_ALL, name)) break;
}

} // namespace

struct Loaded : Prior {
    Var log_prob(Var z) const override { return sum(-abs(z), {-1}); }
    Var sample(Var like) const override { return normal_like(like); }
};
ELBO_PLUGIN("at_load", "1.0.0", "prior/loaded") { plugin.add<Loaded>("loaded", "independent"); }
