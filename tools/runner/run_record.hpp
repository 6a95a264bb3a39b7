// What a run says of itself without its data, plugins or weights: config.toml, run.json and metrics.csv, read as they
// stand. It takes milliseconds, and works while the run trains.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace elbo::tools {

/// metrics.csv: a line per epoch.
struct MetricsTable {
    std::vector<std::string> columns; ///< "epoch", "step", "train_loss", ...
    std::vector<std::vector<double>> rows;

    /// Nothing where there is no such column, or its value is not finite.
    std::optional<double> at(std::size_t row, const std::string& column) const;
};

/// Throws Damaged with file:line when it is no table of numbers, or its epochs are not 1, 2, 3, ...
MetricsTable read_metrics(const std::filesystem::path& file);

struct RunRecord {
    std::string folder;
    std::vector<std::pair<std::string, std::string>> settings; ///< {"prior.scale", "2"}, in the order of config.toml
    MetricsTable metrics;                                      ///< empty before the first epoch is done
    std::optional<std::int64_t> trained_values;                ///< runs before 2026-11-26 do not say
    std::string data_hash;                                     ///< "" where run.json does not say
    std::string holder;                                        ///< who trains it now; "" when nobody does

    /// "" when config.toml does not have it.
    std::string setting(const std::string& key) const;
    /// "test", or "train" for a run without test rows.
    std::string split() const;
    /// The row of the smallest loss of that split; nothing before the first epoch is done.
    std::optional<std::size_t> best_row() const;
    /// Spent on whole epochs, evaluation included.
    double seconds() const;
    /// "finished", "running", "stopped", "no finished epoch" or "running, no finished epoch".
    std::string state() const;
};

/// Throws Error (data) when the folder is not a run, or a file of these is damaged.
RunRecord read_record(const std::filesystem::path& folder);

} // namespace elbo::tools
