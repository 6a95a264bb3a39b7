// The folder of a run. Every file in it is written whole; a run that was killed at any moment can be resumed. One
// process at a time writes there: it holds the lock.
//
//     config.toml  run.json  data.json  metrics.csv  log.txt  pictures/  checkpoints/  model/  lock
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/data/kept_rows.hpp"
#include "core/files/lock.hpp"
#include "core/host/registry.hpp"
#include "core/run/config.hpp"
#include "core/run/session.hpp"

namespace elbo::core {

/// One line of metrics.csv: the name of each column and its value; the epoch comes first.
using Metrics = std::vector<std::pair<std::string, double>>;

/// A plugin as a run remembers it.
struct RecordedPlugin {
    std::string name, file, sha256;
};

class Run {
public:
    /// A new folder, locked: it appears whole, with its configuration, or not at all. Throws Error (usage) when it is
    /// there already and not empty, unless `overwrite`, which empties it if it holds a run; that of a run which was
    /// killed before it began is taken.
    static Run create(const std::filesystem::path& folder, const RunConfig& config, bool overwrite);
    /// An existing one. Throws Error (data) when it is not a run, when a link in it leads elsewhere, or when a later
    /// version made it.
    static Run open(const std::filesystem::path& folder);
    /// Takes the lock, and sweeps away what a killed process left half written. Throws Error (failure) naming the
    /// holder.
    void lock(const std::string& what_for);

    const std::filesystem::path& folder() const { return folder_; }
    std::filesystem::path config_file() const { return folder_ / "config.toml"; }

    /// Removes what is in it: for a run that could not begin.
    void discard() const;
    void write_config(const RunConfig& config) const;
    void write_info(const RunConfig& config, const Session& session, const Rows& rows, const std::string& backend,
                    const Registry& registry) const;
    /// What the run knows of its data, from data.json; nothing where there is none, or it is damaged.
    std::optional<KeptRows> kept_rows() const;
    /// A value of run.json by dotted key; "" when it is not there.
    std::string info(const std::string& key) const;
    /// The plugins the run was made with, as run.json says; nothing that is not a text is believed.
    std::vector<RecordedPlugin> plugins() const;
    void log(const std::string& line) const;
    /// Appends to metrics.csv, first dropping rows of this epoch or later.
    void add_metrics(const Metrics& metrics) const;

private:
    explicit Run(std::filesystem::path folder) : folder_(std::move(folder)) {}
    void fill(const RunConfig& config);
    void refuse_newer() const;
    std::filesystem::path folder_;
    std::shared_ptr<FileLock> lock_;
};

} // namespace elbo::core
