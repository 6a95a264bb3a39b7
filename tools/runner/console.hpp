// What a person sees while a model trains: on a terminal a line that renews itself with how far it is and the time
// left, plain lines otherwise; for programs a line of JSON per epoch; nothing but warnings when that is wanted. All of
// it on standard error.
#pragma once

#include "core/run/trainer.hpp"

namespace elbo::tools {

class Console : public core::Watcher {
public:
    enum class Style { people, json, quiet };
    Console(const core::Run& run, const core::Session& session, std::int64_t epochs, Style style);
    void step(const core::Progress& progress, std::int64_t batches_per_epoch, double loss) override;
    void epoch(const core::EpochSummary& summary) override;
    /// Warnings and what else has to be known; it is logged too.
    void note(const std::string& line) override;
    /// What is told before the first step; quiet leaves it to the log.
    void introduce(const std::string& line);

private:
    void clear();
    void say(const std::string& kind, const std::string& line);

    const core::Run& run_;
    const core::Session& session_;
    std::int64_t epochs_;
    Style style_;
    bool terminal_;
    double began_, shown_ = 0;
    double best_ = std::numeric_limits<double>::infinity();
    std::uint64_t first_step_ = 0;
};

} // namespace elbo::tools
