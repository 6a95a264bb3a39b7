#include "core/run/trainer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/machine.hpp"

namespace elbo::core {

namespace {

// The means of the epoch that just ended; `progress` then stands at the beginning of the next.
EpochSummary close_epoch(Progress& progress, double seconds, double waited) {
    EpochSummary s;
    s.epoch = ++progress.epoch;
    s.step = progress.step;
    s.loss = progress.sums[0] / double(progress.rows);
    for (std::size_t i = 1; i < progress.sums.size(); ++i) s.terms.push_back(progress.sums[i] / double(progress.rows));
    s.seconds = seconds;
    s.rows_per_second = double(progress.rows) / seconds;
    s.data_wait = waited / seconds;
    progress.batch = 0;
    progress.rows = 0;
    std::fill(progress.sums.begin(), progress.sums.end(), 0.0);
    return s;
}

Metrics metrics_of(const EpochSummary& s, const std::vector<Term>& terms) {
    Metrics out{{"epoch", double(s.epoch)}, {"step", double(s.step)}, {"train_loss", s.loss}};
    for (std::size_t i = 0; i < s.terms.size(); ++i) out.emplace_back("train_" + terms[i].name, s.terms[i]);
    if (s.test.rows > 0) {
        out.emplace_back("test_loss", s.test.loss);
        for (const EvaluatedTerm& t : s.test.terms) out.emplace_back("test_" + t.name, t.value);
        out.emplace_back("test_negative_elbo", s.test.negative_elbo().value_or(NAN));
        if (s.test.perplexity) out.emplace_back("test_perplexity", *s.test.perplexity);
        else out.emplace_back("test_squared_error", s.test.squared_error);
        out.emplace_back("active_latents", double(s.test.active));
    }
    out.emplace_back("seconds", s.seconds);
    return out;
}

} // namespace

Trainer::Trainer(Run& run, const RunConfig& config, Session& session, const Rows& rows, Watcher& watcher,
                 const std::atomic<int>& stop_requested)
    : run_(run), config_(config), session_(session), rows_(rows), watcher_(watcher), stop_(stop_requested) {}

TrainingResult Trainer::train(Progress progress) {
    const auto epochs = std::uint64_t(config_.epochs);
    session_.set_last_loss(progress.last);
    progress.sums.resize(session_.terms().size() + 1);
    double began = seconds_now(), waited_before = 0;
    if (progress.epoch < epochs && !impatient(progress)) {
        const bool with_x = session_.reads_x("train", std::min(config_.batch, rows_.count(Split::train)));
        Loader loader(rows_, config_.batch, std::uint64_t(config_.seed), progress.epoch, progress.batch,
                      session_.fields(), config_.drop_last, with_x);
        while (progress.epoch < epochs && !impatient(progress)) {
            const double asked = seconds_now();
            const Batch batch = loader.next();
            watcher_.batch(asked, seconds_now());
            step(batch, loader.batches_per_epoch(), progress);
            if (batch.last) {
                finish_epoch(progress, seconds_now() - began, loader.waited() - waited_before);
                waited_before = loader.waited();
                began = seconds_now();
            }
            if (stop_.load(std::memory_order_relaxed) == 0 || progress.epoch >= epochs) continue;
            must_be_finite();
            save(progress);
            return {true, progress.epoch, progress};
        }
    }
    // A run of no epochs can be opened too.
    if (progress.step == 0) save(progress);
    return {false, finish(progress), progress};
}

bool Trainer::impatient(const Progress& p) const {
    return config_.patience > 0 && p.batch == 0 && p.epoch >= p.best_epoch + std::uint64_t(config_.patience);
}

std::uint64_t Trainer::finish(const Progress& p) {
    if (p.epoch < std::uint64_t(config_.epochs))
        watcher_.note(fmt::format("stopped early: no test loss below {:.3f} (epoch {}) for {} epochs", p.best,
                                  p.best_epoch, p.epoch - p.best_epoch));
    const auto best = config_.keep == "best" && p.best_epoch > 0 ? newest_checkpoint(run_, true) : nullptr;
    if (best) {
        best->load(session_);
        watcher_.note(fmt::format("keeping epoch {}, test loss {:.3f}", p.best_epoch, p.best));
    }
    must_be_finite();
    save_model(run_, session_, rows_, config_);
    return best ? p.best_epoch : p.epoch;
}

void Trainer::step(const Batch& batch, std::int64_t batches_per_epoch, Progress& progress) {
    const StepResult result = session_.step(batch.x, batch.rows, batch.fields);
    if (!result.finite) diverged(batch, progress);
    progress.step = session_.steps_done();
    progress.sums[0] += result.loss * double(batch.rows);
    for (std::size_t i = 0; i < result.terms.size(); ++i) progress.sums[i + 1] += result.terms[i] * double(batch.rows);
    progress.rows += batch.rows;
    progress.batch = batch.index + 1;
    watcher_.step(progress, batches_per_epoch, result.loss);
}

void Trainer::finish_epoch(Progress& progress, double seconds, double waited) {
    must_be_finite();
    EpochSummary s = close_epoch(progress, seconds, waited);
    try {
        s.test = evaluate(session_, rows_, Split::test, config_.batch);
    } catch (Error& e) {
        throw e.code() == Exit::diverged ? with_advice(e) : e;
    }
    for (const std::string& line : s.test.warnings("test")) note_once(line);
    run_.add_metrics(metrics_of(s, session_.terms()));
    watcher_.epoch(s);
    report_collapse(s.test);
    progress.last = s.test.rows > 0 ? s.test.loss : s.loss;
    session_.set_last_loss(progress.last);
    if (s.test.rows > 0 && s.test.loss < progress.best) {
        progress.best = s.test.loss;
        progress.best_epoch = progress.epoch;
        if (config_.keep == "best") save_best(run_, config_, session_, rows_, progress);
    }
    const bool last = progress.epoch == std::uint64_t(config_.epochs) || impatient(progress);
    if (last || progress.epoch % std::uint64_t(config_.checkpoint_every) == 0) save(progress);
}

void Trainer::save(const Progress& progress) { save_checkpoint(run_, config_, session_, rows_, progress); }

// An update can write what the loss before it does not show.
void Trainer::must_be_finite() {
    try {
        core::must_be_finite(session_);
    } catch (Error& e) {
        throw with_advice(e);
    }
}

Error Trainer::with_advice(Error e) const {
    try {
        const auto last = newest_checkpoint_file(run_);
        e.note(last.empty() ? "there is no checkpoint yet" : "last good checkpoint: " + last.string());
    } catch (const Error& unreadable) { // what went wrong in training counts for more
        e.note(std::string("there may be checkpoints: ") + unreadable.what());
    }
    e.note("try a smaller --optimizer.lr");
    run_.log(e.what());
    return e;
}

void Trainer::report_collapse(const Evaluation& test) {
    const int latent = int(test.code_variance.size());
    if (test.rows < 2 || !test.negative_elbo() || test.active == latent) return;
    if (test.active == 0)
        watcher_.note(
            "warning: the posterior has collapsed: no latent varies with the data; try a KL warm-up "
            "(--model.warmup) or a smaller --model.beta");
    else
        watcher_.note(fmt::format("note: {} of {} latents carry nothing (variance of their mean below 0.01)",
                                  latent - test.active, latent));
}

void Trainer::diverged(const Batch& batch, const Progress& progress) {
    const std::string why =
        session_.explain_non_finite("train", batch.x, batch.rows, session_.steps_done() + 1, batch.fields);
    Error e(Exit::diverged, fmt::format("the loss is no longer finite at step {} (epoch {}, batch {}): {}",
                                        progress.step + 1, progress.epoch + 1, batch.index + 1, why));
    throw with_advice(std::move(e));
}

void Trainer::note_once(const std::string& line) {
    if (noted_.insert(line).second) watcher_.note(line);
}

} // namespace elbo::core
