#include "core/run/trainer.hpp"

#include <fmt/format.h>

#include <cmath>
#include <numeric>

#include "core/base/machine.hpp"
#include "core/run/metrics.hpp"

namespace elbo::core {

namespace {

double total(std::span<const float> values) { return std::accumulate(values.begin(), values.end(), 0.0); }

bool is_kl(const std::string& term) { return term == "kl" || term == "kl_mc"; }

} // namespace

std::optional<double> Evaluation::negative_elbo() const {
    if (!reconstruction || !kl) return {};
    return *reconstruction + *kl;
}

Evaluation evaluate(Session& session, const Rows& rows, Split split, std::int64_t batch) {
    Evaluation e;
    e.rows = rows.count(split);
    if (e.rows == 0) return e;
    batch = std::min(batch, e.rows);
    AlignedFloats x = aligned_floats(batch * rows.values());
    std::vector<std::int64_t> which(static_cast<std::size_t>(batch));
    Spread spread(session.settings().latent);
    double loss = 0, error = 0;
    std::vector<double> terms(session.terms().size());
    std::uint64_t step = 0;
    for (std::int64_t at = 0; at < e.rows; at += batch) {
        const std::int64_t n = std::min(batch, e.rows - at);
        std::iota(which.begin(), which.end(), at);
        rows.read(split, {which.data(), std::size_t(n)}, x.get());
        session.run("evaluate", x.get(), n, ++step);
        loss += total(session.output("loss"));
        error += total(session.output("squared_error"));
        for (std::size_t t = 0; t < terms.size(); ++t) terms[t] += total(session.output(session.terms()[t]));
        spread.add(session.output("code"));
    }
    const double n = double(e.rows);
    e.loss = loss / n;
    e.squared_error = error / n;
    for (std::size_t t = 0; t < terms.size(); ++t) {
        const std::string& name = session.terms()[t];
        if (name == "reconstruction") e.reconstruction = terms[t] / n;
        if (is_kl(name)) e.kl = terms[t] / n, e.kl_estimated = name == "kl_mc";
    }
    e.code_variance = spread.variance();
    e.active = spread.active();
    return e;
}

Trainer::Trainer(Run& run, const RunConfig& config, Session& session, const Rows& rows, Watcher& watcher,
                 const std::atomic<int>& stop_requested)
    : run_(run), config_(config), session_(session), rows_(rows), watcher_(watcher), stop_(stop_requested) {}

TrainingResult Trainer::train(Progress progress) {
    progress.sums.resize(session_.terms().size() + 1);
    double began = seconds_now();
    if (progress.epoch < std::uint64_t(config_.epochs)) {
        Loader loader(rows_, config_.batch, std::uint64_t(config_.seed), progress.epoch, progress.batch);
        while (progress.epoch < std::uint64_t(config_.epochs)) {
            const Batch batch = loader.next();
            const StepResult result = session_.step(batch.x, batch.rows);
            if (!result.finite) diverged(batch, progress);
            progress.step = session_.steps_done();
            progress.sums[0] += result.loss * double(batch.rows);
            for (std::size_t i = 0; i < result.terms.size(); ++i)
                progress.sums[i + 1] += result.terms[i] * double(batch.rows);
            progress.rows += batch.rows;
            progress.batch = batch.index + 1;
            watcher_.step(progress, loader.batches_per_epoch(), result.loss);
            if (batch.last) {
                finish_epoch(progress, seconds_now() - began);
                began = seconds_now();
            }
            if (stop_.load(std::memory_order_relaxed) == 0 || progress.epoch >= std::uint64_t(config_.epochs)) continue;
            run_.save_checkpoint(session_, rows_, progress);
            return {true, progress};
        }
    }
    run_.save_model(session_, rows_, config_);
    return {false, progress};
}

void Trainer::finish_epoch(Progress& progress, double seconds) {
    EpochSummary s;
    s.epoch = ++progress.epoch;
    s.step = progress.step;
    s.loss = progress.sums[0] / double(progress.rows);
    for (std::size_t i = 1; i < progress.sums.size(); ++i) s.terms.push_back(progress.sums[i] / double(progress.rows));
    s.seconds = seconds;
    s.rows_per_second = double(progress.rows) / seconds;
    progress.batch = 0;
    progress.rows = 0;
    std::fill(progress.sums.begin(), progress.sums.end(), 0.0);
    s.test = evaluate(session_, rows_, Split::test, config_.batch);

    std::vector<std::string> header{"epoch", "step", "train_loss"};
    std::vector<double> row{double(s.epoch), double(s.step), s.loss};
    for (std::size_t i = 0; i < s.terms.size(); ++i) {
        header.push_back(is_kl(session_.terms()[i]) ? "train_kl" : "train_" + session_.terms()[i]);
        row.push_back(s.terms[i]);
    }
    if (s.test.rows > 0) {
        header.insert(header.end(), {"test_loss", "test_reconstruction", "test_kl", "test_negative_elbo",
                                     "test_squared_error", "active_latents"});
        row.insert(row.end(), {s.test.loss, s.test.reconstruction.value_or(NAN), s.test.kl.value_or(NAN),
                               s.test.negative_elbo().value_or(NAN), s.test.squared_error, double(s.test.active)});
    }
    header.push_back("seconds");
    row.push_back(seconds);
    run_.add_metrics(header, row);
    watcher_.epoch(s);
    report_collapse(s.test);
    const bool last = progress.epoch == std::uint64_t(config_.epochs);
    if (last || progress.epoch % std::uint64_t(config_.checkpoint_every) == 0)
        run_.save_checkpoint(session_, rows_, progress);
}

void Trainer::report_collapse(const Evaluation& test) {
    const int latent = int(test.code_variance.size());
    if (test.rows < 2 || !test.kl || test.active == latent) return;
    if (test.active == 0)
        watcher_.note(
            "warning: the posterior has collapsed: no latent varies with the data; try a KL warm-up "
            "(--model.warmup) or a smaller --model.beta");
    else
        watcher_.note(fmt::format("note: {} of {} latents carry nothing (variance of their mean below 0.01)",
                                  latent - test.active, latent));
}

void Trainer::diverged(const Batch& batch, const Progress& progress) {
    const std::string why = session_.explain_non_finite(batch.x, batch.rows);
    Error e(Exit::diverged, fmt::format("the loss is no longer finite at step {} (epoch {}, batch {}): {}",
                                        progress.step + 1, progress.epoch + 1, batch.index + 1, why));
    auto last = run_.latest_checkpoint();
    e.note(last ? "last good checkpoint: " + last->string() : "there is no checkpoint yet");
    e.note("try a smaller --optimizer.lr");
    run_.log(e.what());
    throw e;
}

} // namespace elbo::core
