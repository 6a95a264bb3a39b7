#include "tools/bench/measure.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/base/error.hpp"
#include "core/base/machine.hpp"
#include "ops/table.hpp"

namespace elbo::bench {

namespace {

constexpr std::int64_t kBatches = 8;

core::Registry& with_default_places(core::Registry& r) {
    r.add_default_places();
    return r;
}

/// Uniform in [0, 1), or whole rows of tokens, by a linear congruence: good enough for data, and no part of the time to
/// the first step.
void fill(std::vector<float>& x, std::int64_t tokens) {
    constexpr std::int64_t kFirst = 2; // tokens before are the end of a sequence and the unknown one
    std::uint64_t state = 1;
    for (float& v : x) {
        state = 6364136223846793005u * state + 1442695040888963407u;
        v = float(state >> 40) * 0x1p-24f;
        if (tokens > 0) v = std::floor(v * float(tokens - kFirst)) + float(kFirst);
    }
}

core::SessionSettings settings_of(const Net& net) {
    core::SessionSettings s;
    s.latent = net.latent;
    for (std::int64_t d : net.data) s.data.push(d);
    s.tokens = net.tokens;
    s.steps_per_epoch = 1 << 20;
    if (net.entries > 0) s.fields = {{"ids", {net.entries}}, {"values", {net.entries}}, {"lengths", {1}}};
    return s;
}

} // namespace

Times timed(const Effort& effort, const std::function<void(std::int64_t)>& f) {
    std::int64_t n = 0;
    const double warm_end = core::seconds_now() + effort.seconds;
    for (std::int64_t i = 0; i < effort.warm_up && core::seconds_now() < warm_end; ++i) f(n++);
    Times t;
    t.sorted.reserve(effort.steps > 0 ? std::size_t(effort.steps) : 1 << 20);
    const double end = core::seconds_now() + effort.seconds;
    constexpr std::size_t kAtLeast = 3;
    const auto goes_on = [&] {
        if (effort.steps > 0) return t.sorted.size() < std::size_t(effort.steps);
        return core::seconds_now() < end || t.sorted.size() < kAtLeast;
    };
    while (goes_on()) {
        const double began = core::seconds_now();
        f(n++);
        t.sorted.push_back(core::seconds_now() - began);
    }
    std::sort(t.sorted.begin(), t.sorted.end());
    return t;
}

Bench::Bench(const Workload& workload, core::Backend& backend)
    : rows_(workload.batch), values_(workload.net->values()),
      session_(parts_of(*workload.net, with_default_places(registry_)), settings_of(*workload.net), ops::table(),
               backend) {
    const double began = core::seconds_now();
    session_.prepare(rows_);
    freeze_seconds_ = core::seconds_now() - began;
    if (workload.net->entries > 0) {
        draw_entries(workload.net->entries);
    } else {
        x_.resize(std::size_t(kBatches * rows_ * values_));
        fill(x_, workload.net->tokens);
    }
}

void Bench::draw_entries(std::int64_t entries) {
    std::vector<std::int64_t> last(std::size_t(values_), -1); // the row that drew a number last
    std::uint64_t state = 1;
    for (std::int64_t row = 0; row < kBatches * rows_; ++row)
        for (std::int64_t i = 0; i < entries;) {
            state = 6364136223846793005u * state + 1442695040888963407u;
            const std::size_t id = std::size_t(state >> 33) % last.size();
            if (std::exchange(last[id], row) == row) continue;
            ids_.push_back(float(id)), ++i;
        }
    ones_.assign(std::size_t(rows_ * entries), 1);
    lengths_.assign(std::size_t(rows_), float(entries));
}

const float* const* Bench::fields(std::int64_t n) {
    fields_.clear();
    for (const std::string& name : session_.fields()) {
        const std::size_t at = std::size_t(n % kBatches) * ones_.size();
        fields_.push_back(name == "ids" ? ids_.data() + at : name == "values" ? ones_.data() : lengths_.data());
    }
    return fields_.data();
}

const float* Bench::batch(std::int64_t n) const {
    return x_.empty() ? nullptr : x_.data() + n % kBatches * rows_ * values_;
}

core::StepResult Bench::step(std::int64_t n) {
    const core::StepResult r = session_.step(batch(n), rows_, fields(n));
    if (!r.finite)
        throw core::Error(core::Exit::diverged, "the loss is not finite")
            .note(session_.explain_non_finite("train", batch(n), rows_, session_.steps_done() + 1, fields(n)));
    return r;
}

void Bench::run(const char* purpose, std::int64_t n) {
    session_.run(purpose, batch(n), rows_, std::uint64_t(n), fields(n));
}

double product_flops(const core::Program& program) {
    double total = 0;
    std::vector<core::Dims> in;
    for (const core::ProgramNode& n : program.nodes) {
        if (n.op->runs != core::Runs::library || !n.op->flops) continue;
        in.clear();
        for (core::NodeId i : n.inputs) in.push_back(program.dims(i));
        total += n.op->flops(in, n.dims);
    }
    return total;
}

Training train(Bench& bench, const Effort& effort) {
    constexpr int kCounted = 10;
    Training t;
    t.first_loss = bench.step(0).loss;
    t.first_step_seconds = seconds_since_start();
    t.times = timed(effort, [&](std::int64_t n) { t.last_loss = bench.step(n + 1).loss; });
    t.allocation_steps = effort.steps > 0 ? int(std::min<std::int64_t>(effort.steps, kCounted)) : kCounted;
    if (t.times.median() > 0.2) t.allocation_steps = 1;
    t.allocations = allocations_of([&] {
        for (int i = 0; i < t.allocation_steps; ++i) bench.step(i);
    });
    return t;
}

} // namespace elbo::bench
