#include "ops/backend/roofline.hpp"

#include <algorithm>
#include <limits>

#include "core/base/machine.hpp"
#include "core/base/memory.hpp"
#include "ops/backend/threads.hpp"
#include "ops/table.hpp"

namespace elbo::ops {

namespace {

constexpr std::int64_t kSide = 720; // no multiple of 256: its rows spread over the cache's sets
constexpr std::int64_t kLarge = std::int64_t(10) << 20, kSmall = std::int64_t(1) << 19; ///< values of each array
constexpr double kSeconds = 0.05;                                                       ///< for each measurement

/// The shortest of the times f takes, within `kSeconds`; the first one touches everything for the first time.
template <class F>
double shortest(F f) {
    f();
    double best = std::numeric_limits<double>::infinity();
    const double end = core::seconds_now() + kSeconds;
    for (int n = 0; n < 2 || core::seconds_now() < end; ++n) {
        const double began = core::seconds_now();
        f();
        best = std::min(best, core::seconds_now() - began);
    }
    return best;
}

double product_rate(core::Backend& backend) {
    using core::Attribute;
    core::Tape tape(table());
    const core::Dims dims{kSide, kSide};
    const core::NodeId in[] = {tape.emit_given(core::Runs::input, "a", dims, {nullptr, 0}, ""),
                               tape.emit_given(core::Runs::input, "b", dims, {nullptr, 0}, "")};
    const Attribute attributes[] = {Attribute::of("transpose_a", false), Attribute::of("transpose_b", false)};
    const core::NodeId y = tape.emit(*table().find("matmul"), in, attributes, {nullptr, 0}, "");
    core::FreezeRequest request;
    request.purpose = "roofline";
    request.outputs.push_back({"y", y});
    const auto program = core::freeze(tape, request, &backend);
    const auto bound = backend.bind(program, {});
    const core::AlignedFloats a = core::aligned_floats(kSide * kSide), b = core::aligned_floats(kSide * kSide);
    std::fill_n(a.get(), kSide * kSide, 0.5f);
    std::fill_n(b.get(), kSide * kSide, 0.25f);
    const float* inputs[] = {a.get(), b.get()};
    return 2.0 * kSide * kSide * kSide / shortest([&] { bound->run({inputs, {}}); });
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

double triad_rate(std::int64_t n) {
    const core::AlignedFloats out = core::aligned_floats(n), a = core::aligned_floats(n), b = core::aligned_floats(n);
    Triad triad{out.get(), a.get(), b.get(), n};
    return 12.0 * double(n) / shortest([&] { run_team(true, Triad::run, &triad); });
}

} // namespace

core::Roofline measure_roofline(core::Backend& backend) {
    core::Roofline r;
    r.flops = product_rate(backend);
    r.bytes = triad_rate(kLarge);
    r.cached_bytes = triad_rate(kSmall);
    r.cache = 12.0 * double(kSmall);
    return r;
}

} // namespace elbo::ops
