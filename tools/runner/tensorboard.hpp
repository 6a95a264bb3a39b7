// A run as TensorBoard shows it: an event file in RUN/tensorboard, written as training goes. Scalars are what
// metrics.csv holds, histograms those of every trained tensor after each epoch, pictures those of RUN/pictures.
//
// The format is that of TensorFlow's record files (length, CRC-32C of the length, an Event message, its CRC-32C); an
// Event is a protocol buffer of a few fields, written here as its wire format says. Every process begins a file of its
// own, with the step it goes on from, so that TensorBoard drops what a killed one wrote beyond that.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "core/run/trainer.hpp"

namespace elbo::tools {

/// CRC-32C (Castagnoli) of bytes, as record files take it.
std::uint32_t crc32c(std::string_view bytes);

class TensorBoard : public core::Watcher {
public:
    /// Hands everything on to `next`. Throws Error (failure) when the file cannot be made.
    TensorBoard(core::Watcher& next, const core::Run& run, core::Session& session, std::uint64_t from_step);
    ~TensorBoard() override;
    void step(const core::Progress& progress, std::int64_t batches_per_epoch, double loss) override;
    void epoch(const core::EpochSummary& summary) override;
    void note(const std::string& line) override;
    /// The PNG files of RUN/pictures, at the last step that was seen.
    void pictures();

private:
    class File;
    core::Watcher& next_;
    const core::Run& run_;
    core::Session& session_;
    std::unique_ptr<File> file_;
    std::uint64_t step_;
};

} // namespace elbo::tools
