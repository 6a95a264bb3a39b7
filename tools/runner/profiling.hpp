// Profiles for people and programs: the table of units, JSON, and the files of `train --profile`.
#pragma once

#include <filesystem>
#include <string>

#include "core/run/profile.hpp"
#include "core/run/trainer.hpp"

namespace elbo::tools {

enum class UnitOrder { time, order };

/// The roofline, a line per unit, and what lies outside of units.
std::string text_of(const core::Figures& figures, UnitOrder order);
std::string json_of(const core::Figures& figures, UnitOrder order);

/// Throws Error (failure), with nothing made, when files cannot be written into such a folder, there or not yet.
void must_be_writable(const std::filesystem::path& folder);

/// Takes the times of the first steps while a trainer trains, and hands everything on.
class Profiler : public core::Watcher {
public:
    /// Makes the folder and measures the machine. Throws Error (failure) when the folder cannot be made.
    Profiler(core::Watcher& next, core::Session& session, std::int64_t rows, core::Backend& backend,
             std::filesystem::path folder);
    ~Profiler() override;
    void batch(double asked, double came) override;
    void step(const core::Progress& progress, std::int64_t batches_per_epoch, double loss) override;
    void epoch(const core::EpochSummary& summary) override { next_.epoch(summary); }
    void note(const std::string& line) override { next_.note(line); }
    /// Writes profile.txt, profile.json and trace.json; a note instead, and false, when no whole step was taken.
    bool write();

private:
    core::Watcher& next_;
    core::Session& session_;
    std::int64_t rows_;
    std::filesystem::path folder_;
    core::Roofline roofline_;
    core::Profile profile_;
};

} // namespace elbo::tools
