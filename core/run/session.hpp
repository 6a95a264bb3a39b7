// A model at work: its parts, its tensors and its programs. A program is recorded once per purpose and number of rows,
// and kept. Purposes:
//
//     train        x -> loss and terms (means over the rows), and the update of every parameter
//     evaluate     x -> per row: loss, each term, squared error of the reconstruction from the mean code, mean code
//     encode, reconstruct, score, sample       what the model's method of that name gives
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/graph/backend.hpp"
#include "core/host/recording.hpp"
#include "core/host/tensors.hpp"

namespace elbo::core {

struct SessionSettings {
    std::int64_t latent = 20;
    Dims data;                ///< of one row
    double low = 0, high = 1; ///< of the data
    std::uint64_t seed = 1;
    std::int64_t steps_per_epoch = 1;
};

/// What one training step gave, per example in nats.
struct StepResult {
    bool finite = true;
    double loss = 0;
    std::span<const double> terms; ///< in the order of Session::terms()
};

class Session : private Environment {
public:
    Session(std::vector<std::unique_ptr<Part>> parts, const SessionSettings& settings, const OpTable& ops,
            Executor& executor, TensorStore::Rows training_rows = {});
    ~Session() override;

    /// Records, freezes and binds the training program for batches of that many rows, so that tensors exist and
    /// mistakes in the parts show before the first step.
    void prepare(std::int64_t rows);
    /// One step on x [rows, values]. When the loss is not finite nothing is updated and `finite` is false.
    StepResult step(const float* x, std::int64_t rows);
    /// The names of the terms the model reports, in order.
    const std::vector<std::string>& terms() const { return terms_; }

    /// Runs a purpose on x (nullptr for sample) and gives an output by name. `step` chooses the noise.
    void run(const std::string& purpose, const float* x, std::int64_t rows, std::uint64_t step);
    /// Of the last run; valid until the next.
    std::span<const float> output(const std::string& name) const;

    /// The frozen program of a purpose.
    std::shared_ptr<const Program> program(const std::string& purpose, std::int64_t rows);
    /// Finds the first value that is not finite, for the step that just failed.
    std::string explain_non_finite(const float* x, std::int64_t rows);

    Part& part(const std::string& kind) override;
    TensorStore& tensors() override { return tensors_; }
    std::uint64_t steps_done() const { return steps_; }
    void set_steps_done(std::uint64_t n) { steps_ = n; }
    const SessionSettings& settings() const { return settings_; }

private:
    struct Ready;
    std::vector<double> query(const std::string& key) override;
    Ready& ready(const std::string& purpose, std::int64_t rows);
    std::unique_ptr<Ready> record(const std::string& purpose, std::int64_t rows);
    void record_train(Recording& r, Var x, FreezeRequest& request);
    void record_evaluate(Recording& r, Var x, FreezeRequest& request);
    void feed(Ready& ready, const float* x, std::uint64_t step, double epoch);

    std::vector<std::unique_ptr<Part>> parts_;
    SessionSettings settings_;
    const OpTable& ops_;
    Executor& executor_;
    TensorStore tensors_;
    std::map<std::pair<std::string, std::int64_t>, std::unique_ptr<Ready>> programs_;
    Ready* last_ = nullptr;
    std::vector<std::string> terms_;
    std::vector<double> term_values_;
    std::uint64_t steps_ = 0;
};

} // namespace elbo::core
