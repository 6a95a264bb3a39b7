// What a run keeps of its session: checkpoints to go on from, and the model as others use it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "core/data/rows.hpp"
#include "core/run/folder.hpp"
#include "core/run/session.hpp"

namespace elbo::core {

/// Where training stands, beside the tensors.
struct Progress {
    std::uint64_t step = 0, epoch = 0;
    std::int64_t batch = 0;                                ///< next one of the epoch
    std::vector<double> sums;                              ///< of the epoch so far, over rows: loss, then the terms
    std::int64_t rows = 0;                                 ///< that the sums hold
    double best = std::numeric_limits<double>::infinity(); ///< smallest test loss after an epoch
    std::uint64_t best_epoch = 0;
};

/// All tensors and where training stands, as checkpoints/step-N.safetensors; the two newest stay.
std::filesystem::path save_checkpoint(const Run& run, Session& session, const Rows& rows, const Progress& progress);
/// The same as checkpoints/best.safetensors: the epoch of the smallest test loss.
void save_best(const Run& run, Session& session, const Rows& rows, const Progress& progress);
/// That file; nothing when there is none.
std::optional<std::filesystem::path> best_checkpoint(const Run& run);
/// The newest checkpoint; nothing when there is none.
std::optional<std::filesystem::path> latest_checkpoint(const Run& run);
/// Fills the session's tensors. Throws Error (data) when the file is no checkpoint or of another configuration.
Progress load_checkpoint(const std::filesystem::path& file, Session& session);
/// The standardization a checkpoint was trained with, "data.center" or "data.spread"; empty when it had none.
std::vector<float> stored_scaler(const std::filesystem::path& checkpoint, const std::string& which);

/// model/: the trained tensors (or their moving average) and the model's own state, and the configuration they belong
/// to.
void save_model(const Run& run, Session& session, const Rows& rows, const RunConfig& config);

} // namespace elbo::core
