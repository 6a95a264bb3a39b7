// A tape as it was recorded, in f64: every node in order by its op's own reference, composites by what they expand to.
// Nothing is simplified, fused, ordered or planned, so whatever freezing does wrong shows against this.
#pragma once

#include <fmt/format.h>

#include <map>
#include <string>
#include <vector>

#include "core/graph/tape.hpp"
#include "tests/bench/numbers.hpp"

namespace elbo::test {

class Unfrozen {
public:
    using Values = std::map<std::string, Doubles>;

    /// Tensors and inputs by name; what is missing is only missed when it is asked for.
    Unfrozen(const core::Tape& tape, const Values& given, core::Noise noise = {}, bool round = false)
        : tape_(tape), given_(given), noise_(noise), round_(round) {}

    /// The value of a node; those before it are evaluated first.
    const Doubles& operator[](core::NodeId id) {
        while (NodeId(values_.size()) <= id) values_.push_back(next());
        return values_[std::size_t(id)];
    }

private:
    using NodeId = core::NodeId;

    Doubles next() const {
        const NodeId id = NodeId(values_.size());
        const core::Node& n = tape_.node(id);
        if (n.op->runs == core::Runs::tensor || n.op->runs == core::Runs::input) {
            const auto it = given_.find(tape_.name(id));
            return it == given_.end() ? Doubles(std::size_t(n.dims.numel()), NAN) : it->second;
        }
        std::vector<Doubles> in;
        for (NodeId k : tape_.inputs(id)) in.push_back(values_[std::size_t(k)]);
        return value_of(tape_, id, in);
    }

    Doubles value_of(const core::Tape& tape, NodeId id, const std::vector<Doubles>& in) const {
        const core::Node& n = tape.node(id);
        if (n.expanded) return written_out(*n.expanded, in);
        std::vector<const double*> pointers;
        std::vector<core::Dims> dims;
        for (const Doubles& x : in) pointers.push_back(x.data());
        for (NodeId k : tape.inputs(id)) dims.push_back(tape.dims(k));
        Doubles out(std::size_t(n.dims.numel()));
        n.op->reference({pointers, dims, out.data(), n.dims, tape.attributes(id), noise_});
        if (round_)
            for (double& v : out) v = double(float(v));
        return out;
    }

    Doubles written_out(const core::Expanded& what, const std::vector<Doubles>& operands) const {
        std::vector<Doubles> values;
        for (NodeId id = 0; std::size_t(id) < what.tape->size(); ++id) {
            const auto operand = std::find(what.inputs.begin(), what.inputs.end(), id);
            if (operand != what.inputs.end()) {
                values.push_back(operands[std::size_t(operand - what.inputs.begin())]);
                continue;
            }
            std::vector<Doubles> in;
            for (NodeId k : what.tape->inputs(id)) in.push_back(values[std::size_t(k)]);
            values.push_back(value_of(*what.tape, id, in));
        }
        return values[std::size_t(what.result)];
    }

    const core::Tape& tape_;
    const Values& given_;
    core::Noise noise_;
    bool round_;
    std::vector<Doubles> values_;
};

/// "" when all agree to `allowed` and NaN and infinities lie at the same places, else the first
/// that does not.
inline std::string disagreement(const Doubles& got, const Doubles& want, double allowed) {
    if (got.size() != want.size()) return "differs in size";
    for (std::size_t i = 0; i < got.size(); ++i) {
        const bool same = std::isnan(want[i])   ? std::isnan(got[i])
                          : std::isinf(want[i]) ? got[i] == want[i]
                                                : std::fabs(got[i] - want[i]) <= allowed;
        if (!same) return fmt::format("value {}: {:.17g}, unfrozen {:.17g}", i, got[i], want[i]);
    }
    return "";
}
/// The largest size of a finite value, at least 1.
inline double scale_of(const Doubles& values) {
    double most = 1;
    for (double v : values)
        if (std::isfinite(v)) most = std::max(most, std::fabs(v));
    return most;
}

} // namespace elbo::test
