// Training and evaluation: the loop around Session::step. Says what happens through a Watcher; stops after the current
// step when asked to, saved.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/data/loader.hpp"
#include "core/data/rows.hpp"
#include "core/run/folder.hpp"
#include "core/run/session.hpp"

namespace elbo::core {

/// What a split gives, per row in nats. z is a sample in the loss and its terms, the mean in squared_error and active.
struct Evaluation {
    std::int64_t rows = 0;
    double loss = 0;
    std::optional<double> reconstruction, kl;
    bool kl_estimated = false;         ///< one sample of log q - log p instead of a closed form
    double squared_error = 0;          ///< summed over values
    std::vector<double> code_variance; ///< of the mean code over the rows
    int active = 0;                    ///< latents whose variance is above 0.01 (Burda et al. 2016)

    std::optional<double> negative_elbo() const;
};

/// The whole split, in order, with the noise of batch i at step i: the same at every call.
Evaluation evaluate(Session& session, const Rows& rows, Split split, std::int64_t batch);

/// Means over the rows of an epoch, from the training steps themselves.
struct EpochSummary {
    std::uint64_t epoch = 0, step = 0;
    double loss = 0;
    std::vector<double> terms; ///< in the order of Session::terms()
    Evaluation test;
    double seconds = 0, rows_per_second = 0;
};

class Watcher {
public:
    virtual ~Watcher() = default;
    virtual void step(const Progress& progress, std::int64_t batches_per_epoch, double loss) = 0;
    virtual void epoch(const EpochSummary& summary) = 0;
    virtual void note(const std::string& line) = 0;
};

struct TrainingResult {
    bool stopped = false; ///< by request
    Progress progress;
};

class Trainer {
public:
    Trainer(Run& run, const RunConfig& config, Session& session, const Rows& rows, Watcher& watcher,
            const std::atomic<int>& stop_requested);

    /// Trains from `progress` to config.epochs, saving as it goes. Throws Error (diverged) when the loss is not finite,
    /// naming the op and the last good checkpoint.
    TrainingResult train(Progress progress);

private:
    void finish_epoch(Progress& progress, double seconds);
    void report_collapse(const Evaluation& test);
    [[noreturn]] void diverged(const Batch& batch, const Progress& progress);

    Run& run_;
    const RunConfig& config_;
    Session& session_;
    const Rows& rows_;
    Watcher& watcher_;
    const std::atomic<int>& stop_;
};

} // namespace elbo::core
