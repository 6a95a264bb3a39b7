#include "tools/bench/limits.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include "core/base/machine.hpp"
#include "core/graph/builder.hpp"
#include "ops/backend/threads.hpp"
#include "ops/table.hpp"

namespace elbo::bench {

namespace {

/// The shortest of as many tries as fit, at least three.
template <class F>
double best_of(double seconds, F f) {
    double best = std::numeric_limits<double>::infinity();
    const double end = core::seconds_now() + seconds;
    for (int n = 0; n < 3 || core::seconds_now() < end; ++n) {
        const double began = core::seconds_now();
        f();
        best = std::min(best, core::seconds_now() - began);
    }
    return best;
}

double product_gflops(core::Backend& backend, std::int64_t m, std::int64_t k, std::int64_t n, double seconds) {
    core::Builder b(ops::table(), "the product that is measured");
    const Var y = matmul(b.input("a", {m, k}), b.input("b", {k, n}));
    core::FreezeRequest request;
    request.purpose = "limit";
    request.outputs = {{"y", y.node}};
    const auto bound = backend.bind(core::freeze(b.tape, request, &backend), {});
    const std::vector<float> left(std::size_t(m * k), 0.5f), right(std::size_t(k * n), 0.25f);
    std::vector<const float*> inputs;
    for (const auto& in : bound->program().inputs) inputs.push_back(in.name == "a" ? left.data() : right.data());
    const double best = best_of(seconds, [&] { bound->run({inputs, {}}); });
    return 2e-9 * double(m) * double(k) * double(n) / best;
}

struct Triad {
    std::vector<float> a, b, c;
    explicit Triad(std::size_t bytes) : a(bytes / 12, 0.f), b(bytes / 12, 1.f), c(bytes / 12, 2.f) {}
    static void part(void* context, int thread, int threads) {
        auto& t = *static_cast<Triad*>(context);
        const std::size_t n = t.a.size(), from = n * std::size_t(thread) / std::size_t(threads),
                          to = n * std::size_t(thread + 1) / std::size_t(threads);
        float* const a = t.a.data();
        const float *const b = t.b.data(), *const c = t.c.data();
        for (std::size_t i = from; i < to; ++i) a[i] = b[i] + 0.5f * c[i];
    }
};

double triad_gb_s(std::size_t bytes, double seconds) {
    Triad t(bytes);
    const double best = best_of(seconds, [&] { ops::run_team(ops::threads() > 1, Triad::part, &t); });
    return 12e-9 * double(t.a.size()) / best;
}

} // namespace

Limits limits_of(core::Backend& backend, double seconds) {
    constexpr std::int64_t kFar = 256 << 20, kNear = 8 << 20;
    Limits l;
    // Rows that are not a power of two apart: those fall onto few sets of the cache.
    const std::int64_t sizes[][3] = {{1008, 1008, 1008}, {1024, 784, 400}, {2016, 1008, 1008}};
    for (const auto& s : sizes) l.gflops = std::max(l.gflops, product_gflops(backend, s[0], s[1], s[2], seconds / 5));
    l.near_gb_s = triad_gb_s(kNear, seconds / 5);
    l.far_gb_s = triad_gb_s(kFar, seconds / 5);
    return l;
}

} // namespace elbo::bench
