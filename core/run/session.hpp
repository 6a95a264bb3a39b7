// A model at work: its parts, its tensors and its programs. A program is recorded once per purpose and number of rows,
// and kept. Purposes:
//
//     train        x -> loss and terms (means over the rows), and the update of every parameter
//     evaluate     x -> per row: loss, each term, squared error of the reconstruction from the mean code, mean code;
//                  of tokens how many there are, instead of the error
//     encode, reconstruct, score, sample, stages, decode, log_weight      what the model's method of that name gives
//
// With a moving average of the weights, every purpose but train reads the average.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/graph/backend.hpp"
#include "core/host/composites.hpp"
#include "core/host/recording.hpp"

namespace elbo::core {

/// A field of a batch beside x.
struct BatchField {
    std::string name;
    Dims dims;                ///< of one row
    std::int64_t classes = 0; ///< 0 when it is none
};

struct SessionSettings {
    std::int64_t latent = 20;
    Dims data;                ///< of one row
    double low = 0, high = 1; ///< of the data
    std::int64_t tokens = 0;  ///< that the data are numbers of; 0: they are none
    std::uint64_t seed = 1;
    std::int64_t steps_per_epoch = 1, epochs = 1;
    std::int64_t rows = 1;          ///< of the training split
    std::int64_t batch = 0;         ///< rows of a whole batch: a smaller one counts for less; 0: each counts the same
    double average = 0;             ///< decay of the moving average of the weights; 0: none
    std::vector<BatchField> fields; ///< that the data has
    /// The composite of that name from a plugin, or nullptr.
    std::function<std::unique_ptr<Part>(const std::string&)> composite = {};
    std::function<void(const std::string&)> notice = {};            ///< a line for whoever waits
    std::int64_t memory = std::numeric_limits<std::int64_t>::max(); ///< bytes there are
    std::int64_t held = 0;                                          ///< bytes of them that are taken before
};

/// A purpose as the parts wrote it down, before it is frozen. It lives no longer than its session.
struct Recorded {
    std::unique_ptr<Recording> recording;
    FreezeRequest request; ///< what is to be kept of it
};

/// How values are picked that are drawn one after the other: from logits over a temperature, 0 for the most likely, of
/// the `most` most likely ones and of the smallest set of them that has that share of the probability.
struct Picking {
    float temperature = 0, most = std::numeric_limits<float>::infinity(), share = 1;
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
            Backend& backend, TensorStore::Rows training_rows = {});
    ~Session() override;

    /// Records every program the model can be asked for, for batches of that many rows, so that all tensors exist and
    /// mistakes in the parts show before the first step; freezes and binds the training program.
    void prepare(std::int64_t rows);
    /// Records a purpose for a number of rows; keeps nothing of it.
    Recorded record(const std::string& purpose, std::int64_t rows);
    /// Records a purpose for another number of rows, to see that it can be.
    void check(const std::string& purpose, std::int64_t rows) { record(purpose, rows); }
    /// One step on x [rows, values] and the fields that are used. When the loss is not finite nothing is updated and
    /// `finite` is false.
    StepResult step(const float* x, std::int64_t rows, const float* const* fields = nullptr);
    /// The terms the model reports, in order; their nodes mean nothing here.
    const std::vector<Term>& terms() const { return terms_; }
    /// Names of the fields beside x that programs read, in the order `step` and `run` take them.
    const std::vector<std::string>& fields() const { return used_fields_; }
    /// Whether the program of a purpose reads x itself; where it does not, it may be given nullptr.
    bool reads_x(const std::string& purpose, std::int64_t rows);
    /// Whether the model has a method.
    bool can(const std::string& method) { return part("model").info().method(method) != nullptr; }

    /// Runs a purpose on x (nullptr for sample, codes for decode) and gives an output by name. `step` chooses the
    /// noise.
    void run(const std::string& purpose, const float* x, std::int64_t rows, std::uint64_t step,
             const float* const* fields = nullptr);
    /// Of the last run; valid until the next.
    std::span<const float> output(const std::string& name) const;

    /// Who is told of the units of a purpose from now on; nullptr: nobody.
    void watch(const std::string& purpose, std::int64_t rows, UnitWatcher* watcher);
    /// The frozen program of a purpose.
    std::shared_ptr<const Program> program(const std::string& purpose, std::int64_t rows);
    /// Where the first value that is not finite comes from, when a purpose runs on such a batch with the noise of that
    /// step.
    std::string explain_non_finite(const std::string& purpose, const float* x, std::int64_t rows, std::uint64_t step,
                                   const float* const* fields = nullptr);

    Part* find_part(const std::string& role) override;
    using Environment::part;
    TensorStore& tensors() override { return tensors_; }
    const TensorStore& tensors() const { return tensors_; }
    std::uint64_t steps_done() const { return steps_; }
    void set_steps_done(std::uint64_t n) { steps_ = n; }
    /// What parts see as `temperature` from now on.
    void set_temperature(double t) { temperature_ = float(t); }
    /// How parts pick values from now on.
    void set_picking(const Picking& picking) { picking_ = picking; }
    /// What parts see as `last_loss` from now on.
    void set_last_loss(double loss) { last_loss_ = float(loss); }
    const SessionSettings& settings() const { return settings_; }

private:
    struct Ready;
    Fact query(const std::string& key) override;
    Dims field(const std::string& name) override;
    const Op* composite(std::string_view name) override;
    void notice(const std::string& line) override;

    Ready& ready(const std::string& purpose, std::int64_t rows);
    /// Throws Error (failure) before there is memory for it.
    void must_fit(const Program& program, std::int64_t slabs) const;
    std::unique_ptr<Ready> bind(std::shared_ptr<const Program> program);
    void record_purpose(Recording& r, FreezeRequest& request, std::int64_t rows);
    void record_train(Recording& r, Var x, FreezeRequest& request);
    void record_evaluate(Recording& r, Var x, FreezeRequest& request);
    void record_average(Recording& r, NodeId parameter, Var next);
    std::string objectives_behind(const Program& program, NodeId node) const;
    KeptTensor& tensor_for(const std::string& name, const std::string& purpose);
    void feed(Ready& ready, const float* x, const float* const* fields, std::uint64_t step, double epoch);

    std::vector<std::unique_ptr<Part>> parts_;
    SessionSettings settings_;
    const OpTable& ops_;
    Backend& backend_;
    TensorStore tensors_;
    std::map<std::string, std::unique_ptr<PartComposite>, std::less<>> composites_;
    std::map<std::pair<std::string, std::int64_t>, std::unique_ptr<Ready>> programs_;
    std::int64_t slabs_ = 0; ///< bytes of all that are bound
    Ready* last_ = nullptr;
    std::vector<Term> terms_;
    std::vector<double> term_values_;
    std::vector<std::string> used_fields_;
    std::vector<std::string> objectives_; ///< names of those besides the model's own
    std::uint64_t steps_ = 0;
    float last_loss_ = std::numeric_limits<float>::infinity(), temperature_ = 1;
    Picking picking_;
};

/// The moving average of a trained tensor is kept under this name.
std::string average_of(const std::string& tensor);

/// Tensors of a run that an objective is over, by the roles it names.
bool belongs_to(const std::string& tensor, const std::vector<std::string>& roles);

} // namespace elbo::core
