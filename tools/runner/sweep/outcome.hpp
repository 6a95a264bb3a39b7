// What came of a sweep: read from the runs' metrics.csv, summed up over seeds, and told as a table, as CSV and as JSON.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tools/runner/sweep/store.hpp"

namespace elbo::tools {

/// Of a run: its last epoch, or the one of the smallest test loss where the run keeps that.
struct Measured {
    std::int64_t epochs = 0; ///< that were trained
    bool on_test = true;     ///< false without test rows: the loss is that of training
    std::optional<double> loss;
    std::vector<std::pair<std::string, double>> terms;
    double seconds = 0;
};
/// From the text of metrics.csv, of its epochs up to `most`.
Measured measured(const std::string& csv, bool keeps_best, std::int64_t most);

enum class State { waiting, finished, stopped, diverged, failed };

struct RunOutcome {
    PlannedRun run;
    State state = State::waiting;
    int code = 0;
    Measured measured;
};

struct PointOutcome {
    Point point;
    std::vector<RunOutcome> runs;
    bool complete() const; ///< every run has a loss to show
    /// Over the runs that have one.
    std::optional<double> loss() const;
    /// The standard deviation over seeds; nothing below two of them.
    std::optional<double> spread() const;
    std::optional<double> term(const std::string& name) const;
    double seconds() const; ///< of training, all seeds together
    /// "10", "stopped at 3", "diverged", "1 of 3 diverged"
    std::string ending() const;
};

struct Outcome {
    std::filesystem::path folder;
    std::vector<std::string> keys; ///< that were swept
    std::vector<PointOutcome> points;
    std::vector<std::string> term_names() const;
    std::string loss_name() const; ///< "test loss", or "train loss" where a run has no test rows
};

/// By loss, what is complete first and what has none last.
void sort_by_loss(Outcome& outcome);

std::string table_of(const Outcome& outcome);
/// A line for each run.
std::string csv_of(const Outcome& outcome);
std::string json_of(const Outcome& outcome);

} // namespace elbo::tools
