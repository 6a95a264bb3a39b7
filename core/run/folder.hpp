// The folder of a run. Every file in it is written whole; a run that was killed at any moment can be resumed.
//
//     config.toml  run.json  metrics.csv  log.txt  pictures/  checkpoints/  model/
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/data/rows.hpp"
#include "core/host/registry.hpp"
#include "core/run/config.hpp"
#include "core/run/session.hpp"

namespace elbo::core {

/// Where training stands, beside the tensors.
struct Progress {
    std::uint64_t step = 0, epoch = 0;
    std::int64_t batch = 0;   ///< next one of the epoch
    std::vector<double> sums; ///< of the epoch so far, over rows: loss, then the terms
    std::int64_t rows = 0;    ///< that the sums hold
};

class Run {
public:
    /// A new folder. Throws Error (usage) when it is there already and not empty, unless `overwrite`, which empties it
    /// if it holds a run.
    static Run create(const std::filesystem::path& folder, const RunConfig& config, bool overwrite);
    /// An existing one. Throws Error (data) when it is not a run.
    static Run open(const std::filesystem::path& folder);

    const std::filesystem::path& folder() const { return folder_; }
    std::filesystem::path config_file() const { return folder_ / "config.toml"; }

    /// Removes what is in it: for a run that could not begin.
    void discard() const;
    void write_config(const RunConfig& config) const;
    void write_info(const RunConfig& config, const Session& session, const Rows& rows, const std::string& backend,
                    const Registry& registry) const;
    /// A value of run.json by dotted key; "" when it is not there.
    std::string info(const std::string& key) const;
    void log(const std::string& line) const;
    /// Appends to metrics.csv, first dropping rows of this epoch or later.
    void add_metrics(const std::vector<std::string>& header, const std::vector<double>& row) const;

    /// All tensors and where training stands, as checkpoints/step-N.safetensors; the two newest stay.
    std::filesystem::path save_checkpoint(Session& session, const Rows& rows, const Progress& progress) const;
    /// The newest checkpoint; nothing when there is none.
    std::optional<std::filesystem::path> latest_checkpoint() const;
    Progress load_checkpoint(const std::filesystem::path& file, Session& session) const;
    /// model/: the trained tensors alone, and the configuration they belong to.
    void save_model(Session& session, const Rows& rows, const RunConfig& config) const;

private:
    explicit Run(std::filesystem::path folder) : folder_(std::move(folder)) {}
    std::filesystem::path folder_;
};

/// The standardization a checkpoint was trained with; empty when it had none.
std::vector<float> stored_scaler(const std::filesystem::path& checkpoint, const std::string& which);

} // namespace elbo::core
