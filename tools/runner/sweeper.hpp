// Trains what the plan of a sweep says, in its folder: which runs are open, what their processes are told, and what
// came of them.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/run/config.hpp"
#include "tools/runner/sweep/outcome.hpp"
#include "tools/runner/words.hpp"

namespace elbo::tools {

/// The configuration of each point. Throws Error (usage) naming the point's setting.
std::vector<core::RunConfig> configs_of(const Plan& plan, core::Registry& registry);

class Sweeper {
public:
    /// The folder is there and locked. The arguments' plugins are the children's too.
    Sweeper(const Arguments& arguments, std::filesystem::path folder, StoredSweep stored,
            std::vector<core::RunConfig> configs);

    /// At most `at_once` side by side. Returns the exit code.
    int run(int at_once);

private:
    struct Place {
        std::size_t point;
        PlannedRun run;
    };
    const Plan& plan() const { return stored_.plan; }

    void prepare() const;
    void wait_for_orphan(const std::string& name) const;
    /// Gives the signal that stopped it, or 0.
    int train(int at_once);
    bool is_done(const std::string& name) const;
    std::vector<std::string> open_runs() const;
    std::vector<std::string> words_for(const std::string& name) const;
    void note_end(const std::string& name, int code);
    std::string told_of(const std::string& name, int code) const;
    void drop_the_worse();

    std::filesystem::path log_of(const std::string& name) const;
    Measured measured_of(const std::string& name, std::size_t round) const;
    PointOutcome outcome_of(std::size_t point, std::size_t round) const;
    Outcome outcome() const;
    int finish() const;

    const Arguments& arguments_;
    std::filesystem::path folder_;
    StoredSweep stored_;
    std::vector<core::RunConfig> configs_;       ///< of each point
    std::map<std::string, Place> places_;        ///< by the name of the run
    std::vector<std::int64_t> rounds_;           ///< epochs to reach; a single 0: the run's own
    std::size_t round_ = 0, done_ = 0, all_ = 0; ///< of this round: runs that have ended, and all
    std::vector<std::size_t> alive_, reached_;   ///< points that go on; the last round of each point
};

} // namespace elbo::tools
