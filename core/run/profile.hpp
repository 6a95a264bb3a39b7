// Where the time of steps goes: kept as they run, unit by unit, and summed up against what the machine could do.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/graph/backend.hpp"
#include "core/graph/roofline.hpp"

namespace elbo::core {

/// What came of one unit. Seconds are the median over the steps.
struct UnitFigures {
    std::size_t number = 0;
    std::string what, part;        ///< unit_text; which part asked for its result
    double seconds = 0, share = 0; ///< share: of the whole step
    double flops = 0, bytes = 0;   ///< of one run
    double fraction = 0;           ///< of the roofline: 1 when nothing could be faster
    std::string chosen;            ///< what the library chose
    std::string apart;             ///< why_apart

    double flop_rate() const { return seconds > 0 ? flops / seconds : 0; }
    double byte_rate() const { return seconds > 0 ? bytes / seconds : 0; }
};

/// Medians over steps, in seconds.
struct Figures {
    std::string purpose;
    std::size_t steps = 0;
    double step = 0;    ///< from the batch's coming to the step's end
    double units = 0;   ///< all units of a step together
    double outside = 0; ///< of the step, apart from units
    double waited = 0;  ///< for a batch, before the step
    double ideal = 0;   ///< the least time that the units could take together
    Roofline roofline;
    std::vector<UnitFigures> all; ///< in the order they run

    /// The same, the longest first.
    std::vector<UnitFigures> by_time() const;
};

/// The times of the first steps of one program. Memory is taken once, when it is made.
class Profile : public UnitWatcher {
public:
    /// Keeps `steps` of them, or fewer where the program has very many units.
    Profile(std::shared_ptr<const Program> program, std::size_t steps);

    /// A batch was asked for, and came; what follows are the units of its step.
    void begin(double asked, double came);
    void unit(std::size_t number, double began, double ended) override;
    /// The step is done. One in which not every unit of the program ran is not kept.
    void end(double now);

    bool full() const { return steps_.size() == most_; }
    /// Whole steps so far.
    std::size_t steps() const { return steps_.size(); }
    /// The first steps are left out, where there are enough: they touch memory for the first time. Needs a step.
    Figures figures(const Roofline& roofline) const;
    /// The last steps as Chrome's trace events, which Perfetto opens: threads for steps, units and waiting.
    std::string trace() const;

private:
    struct Span {
        double from, to;
    };
    struct Step {
        double asked, came, done;
    };
    const Span* units_of(std::size_t step) const { return spans_.data() + step * program_->units.size(); }

    std::shared_ptr<const Program> program_;
    std::size_t most_;
    std::vector<Step> steps_;
    std::vector<Span> spans_; ///< of all units of all steps, and of the step that runs
    Step now_{};
    std::size_t seen_ = 0; ///< units of the step that runs
};

} // namespace elbo::core
