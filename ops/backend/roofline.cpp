#include "ops/backend/roofline.hpp"

#include <algorithm>
#include <limits>

#include "core/base/machine.hpp"
#include "core/base/memory.hpp"
#include "ops/backend/threads.hpp"
#include "ops/table.hpp"

namespace elbo::ops {

namespace {

constexpr std::int64_t kSmall = (std::int64_t(8) << 20) / 12; ///< values of each array that a cache may hold

/// The shortest of the times f takes; the first one touches everything for the first time.
template <class F>
double shortest(double seconds, F f) {
    f();
    double best = std::numeric_limits<double>::infinity();
    const double end = core::seconds_now() + seconds;
    for (int n = 0; n < 2 || core::seconds_now() < end; ++n) {
        const double began = core::seconds_now();
        f();
        best = std::min(best, core::seconds_now() - began);
    }
    return best;
}

double product_rate(core::Backend& backend, std::int64_t m, std::int64_t k, std::int64_t n, double seconds) {
    using core::Attribute;
    core::Tape tape(table());
    const core::NodeId in[] = {tape.emit_given(core::Runs::input, "a", {m, k}, {nullptr, 0}, ""),
                               tape.emit_given(core::Runs::input, "b", {k, n}, {nullptr, 0}, "")};
    const Attribute attributes[] = {Attribute::of("transpose_a", false), Attribute::of("transpose_b", false)};
    const core::NodeId y = tape.emit(*table().find("matmul"), in, attributes, {nullptr, 0}, "");
    core::FreezeRequest request;
    request.purpose = "roofline";
    request.outputs.push_back({"y", y});
    const auto program = core::freeze(tape, request, &backend);
    const auto bound = backend.bind(program, {});
    const core::AlignedFloats a = core::aligned_floats(m * k), b = core::aligned_floats(k * n);
    std::fill_n(a.get(), m * k, 0.5f);
    std::fill_n(b.get(), k * n, 0.25f);
    const float* inputs[] = {a.get(), b.get()};
    return 2.0 * double(m * k * n) / shortest(seconds, [&] { bound->run({inputs, {}}); });
}

struct Triad {
    float* out;
    const float *a, *b;
    std::int64_t n;

    static void run(void* context, int thread, int threads) {
        const auto& t = *static_cast<const Triad*>(context);
        const std::int64_t from = t.n * thread / threads, to = t.n * (thread + 1) / threads;
        for (std::int64_t i = from; i < to; ++i) t.out[i] = t.a[i] + 3 * t.b[i];
    }
};

double triad_rate(std::int64_t n, double seconds) {
    const core::AlignedFloats out = core::aligned_floats(n), a = core::aligned_floats(n), b = core::aligned_floats(n);
    Triad triad{out.get(), a.get(), b.get(), n};
    return 12.0 * double(n) / shortest(seconds, [&] { run_team(true, Triad::run, &triad); });
}

} // namespace

core::Roofline measure_roofline(core::Backend& backend, double seconds, std::int64_t far_bytes) {
    // Rows that are a power of two apart would fall onto few sets of the cache.
    const std::int64_t products[][3] = {{720, 720, 720}, {1024, 784, 400}};
    core::Roofline r;
    for (const auto& [m, k, n] : products) r.flops = std::max(r.flops, product_rate(backend, m, k, n, seconds / 4));
    r.bytes = triad_rate(far_bytes / 12, seconds / 4);
    r.cached_bytes = triad_rate(kSmall, seconds / 4);
    r.cache = 12.0 * double(kSmall);
    return r;
}

} // namespace elbo::ops
