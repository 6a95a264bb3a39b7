// What a person sees while a model trains: a line that renews itself with the time left on a terminal, plain lines
// otherwise. All of it on standard error.
#pragma once

#include "core/run/trainer.hpp"

namespace elbo::tools {

class Console : public core::Watcher {
public:
    Console(const core::Run& run, const core::Session& session, std::int64_t epochs);
    void step(const core::Progress& progress, std::int64_t batches_per_epoch, double loss) override;
    void epoch(const core::EpochSummary& summary) override;
    void note(const std::string& line) override;

private:
    void clear();

    const core::Run& run_;
    const core::Session& session_;
    std::int64_t epochs_;
    bool terminal_;
    double began_, shown_ = 0;
    std::uint64_t first_step_ = 0;
};

} // namespace elbo::tools
