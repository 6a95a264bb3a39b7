// A workload at work on random rows that lie in memory: training steps, or codes and reconstructions.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "core/run/session.hpp"
#include "tools/bench/process.hpp"
#include "tools/bench/workload.hpp"

namespace elbo::bench {

/// How long to measure: `steps` exactly when above 0, else `seconds`; before that `warm_up` times, or `seconds`.
struct Effort {
    double seconds = 5;
    std::int64_t steps = 0, warm_up = 50;
};

/// Times of one thing done again and again [s], sorted.
struct Times {
    std::vector<double> sorted;
    double at(double share) const { return sorted[std::size_t(share * double(sorted.size() - 1) + 0.5)]; }
    double median() const { return at(0.5); }
};
Times timed(const Effort& effort, const std::function<void(std::int64_t)>& f);

/// A session and eight batches of rows, uniform in [0, 1), or of ones at random places.
class Bench {
public:
    Bench(const Workload& workload, core::Backend& backend);

    /// Takes the step of batch n; false when its loss is not finite.
    core::StepResult step(std::int64_t n);
    void run(const char* purpose, std::int64_t n);
    core::Session& session() { return session_; }
    double freeze_seconds() const { return freeze_seconds_; }

private:
    const float* batch(std::int64_t n) const;
    /// In the order the session takes them.
    const float* const* fields(std::int64_t n);
    void draw_entries(std::int64_t entries);

    std::int64_t rows_, values_;
    core::Registry registry_;
    core::Session session_;
    std::vector<float> x_, ids_, ones_, lengths_; ///< x, or what stands for it
    std::vector<const float*> fields_;
    double freeze_seconds_ = 0;
};

/// Floating point operations of products and convolutions in a program; a multiplication and an addition are two.
double product_flops(const core::Program& program);

struct Training {
    double first_step_seconds = 0; ///< from the start of the process to the end of the first step
    double first_loss = 0, last_loss = 0;
    Times times;
    Allocations allocations; ///< of `allocation_steps` steps after the measured ones
    int allocation_steps = 0;
};
/// Throws Error (diverged) when a loss is not finite.
Training train(Bench& bench, const Effort& effort);

} // namespace elbo::bench
