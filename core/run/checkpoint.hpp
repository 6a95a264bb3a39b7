// What a run keeps of its session: checkpoints to go on from, and the model as others use it. Nothing that is not
// finite is ever saved, and every file has checksums: a damaged checkpoint is noticed, and the one before it is taken.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "core/data/rows.hpp"
#include "core/files/safetensors.hpp"
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
    double last = std::numeric_limits<double>::infinity(); ///< loss after the last whole epoch (test, else training)
};

/// A checkpoint file, open and found sound.
class Checkpoint {
public:
    /// Throws Error (data), Damaged where the file is not what was written.
    explicit Checkpoint(const std::filesystem::path& file);

    const std::filesystem::path& path() const { return path_; }
    const Progress& progress() const { return progress_; }
    /// The standardization it was trained with; empty when there was none.
    Scaler scaler() const;
    /// Throws Error (data) where progress cannot be that of such a run, and Error (usage) where a setting that it
    /// depends on was changed amid an epoch.
    void check(const RunConfig& config, const Session& session, const Rows& rows) const;
    /// Fills the session's tensors and sets its step. Throws Error (data) when they belong to another configuration.
    void load(Session& session) const;

private:
    template <class T>
    T number(const std::string& key) const;

    std::filesystem::path path_;
    std::shared_ptr<SafetensorsFile> file_;
    Progress progress_;
};

/// Throws Error (diverged) when a tensor is not finite, naming it.
void must_be_finite(Session& session);

/// All tensors and where training stands, as checkpoints/step-N.safetensors; the two newest stay. Throws as
/// must_be_finite, with nothing written.
void save_checkpoint(const Run& run, const RunConfig& config, Session& session, const Rows& rows,
                     const Progress& progress);
/// The same as checkpoints/best.safetensors: the epoch of the smallest test loss.
void save_best(const Run& run, const RunConfig& config, Session& session, const Rows& rows, const Progress& progress);

/// The newest sound checkpoint; nullptr when there is none. Tells of damaged ones that it passed over. Throws the last
/// one's error when all are damaged. With `best`, the best epoch's where there is one.
std::unique_ptr<Checkpoint> newest_checkpoint(const Run& run, bool best = false);
/// The newest checkpoint's file, for messages; empty when there is none.
std::filesystem::path newest_checkpoint_file(const Run& run);

/// model/: the trained tensors (or their moving average) and the model's own state, and the configuration they belong
/// to. Throws as must_be_finite, with nothing written.
void save_model(const Run& run, Session& session, const Rows& rows, const RunConfig& config);

} // namespace elbo::core
