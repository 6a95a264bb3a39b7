// Training: the loop around Session::step. Says what happens through a Watcher; stops after the current step when asked
// to, saved.
#pragma once

#include <atomic>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "core/data/loader.hpp"
#include "core/data/rows.hpp"
#include "core/run/checkpoint.hpp"
#include "core/run/config.hpp"
#include "core/run/evaluation.hpp"
#include "core/run/folder.hpp"
#include "core/run/session.hpp"

namespace elbo::core {

/// Means over the rows of an epoch, from the training steps themselves.
struct EpochSummary {
    std::uint64_t epoch = 0, step = 0;
    double loss = 0;
    std::vector<double> terms; ///< in the order of Session::terms()
    Evaluation test;
    double seconds = 0, rows_per_second = 0;
    double data_wait = 0; ///< the share of `seconds` in which no batch was ready
};

class Watcher {
public:
    virtual ~Watcher() = default;
    /// A batch was asked for and came; times are seconds_now()'s.
    virtual void batch(double /*asked*/, double /*came*/) {}
    virtual void step(const Progress& progress, std::int64_t batches_per_epoch, double loss) = 0;
    virtual void epoch(const EpochSummary& summary) = 0;
    virtual void note(const std::string& line) = 0;
};

struct TrainingResult {
    bool stopped = false;    ///< by request
    std::uint64_t epoch = 0; ///< whose weights the session holds now
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
    void step(const Batch& batch, std::int64_t batches_per_epoch, Progress& progress);
    void finish_epoch(Progress& progress, double seconds, double waited);
    void save(const Progress& progress);
    /// Throws Error (diverged), naming the tensor.
    void must_be_finite();
    Error with_advice(Error e) const;
    void note_once(const std::string& line);
    bool impatient(const Progress& progress) const;
    /// The best epoch's weights are loaded, if they are wanted; saves the model.
    std::uint64_t finish(const Progress& progress);
    void report_collapse(const Evaluation& test);
    [[noreturn]] void diverged(const Batch& batch, const Progress& progress);

    Run& run_;
    const RunConfig& config_;
    Session& session_;
    const Rows& rows_;
    Watcher& watcher_;
    const std::atomic<int>& stop_;
    std::set<std::string> noted_;
};

} // namespace elbo::core
