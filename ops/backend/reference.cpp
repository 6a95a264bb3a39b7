#include "ops/backend/reference.hpp"

#include <cmath>

#include "core/base/error.hpp"
#include "core/base/machine.hpp"

#include "ops/backend/backends.hpp"

namespace elbo::ops {

namespace {

using core::NodeId;
using core::Program;
using core::Runs;

/// f32 values in f64, rows closed up.
Doubles widened(const core::NamedDims& what, const float* from) {
    Doubles out;
    const std::int64_t n = what.dims.numel();
    const std::int64_t width = what.row_stride ? what.dims[what.dims.rank - 1] : n;
    for (std::int64_t at = 0; at < n; at += width, from += what.row_stride) out.insert(out.end(), from, from + width);
    return out;
}

std::vector<Doubles> widened(const std::vector<core::NamedDims>& what, const float* const* from) {
    std::vector<Doubles> out;
    for (std::size_t i = 0; i < what.size(); ++i) out.push_back(widened(what[i], from[i]));
    return out;
}

void narrow(const Doubles& from, const core::NamedDims& what, float* to) {
    const std::size_t width = what.row_stride ? std::size_t(what.dims[what.dims.rank - 1]) : from.size();
    for (std::size_t at = 0; at < from.size(); at += width, to += what.row_stride)
        for (std::size_t i = 0; i < width; ++i) to[i] = float(from[at + i]);
}

class ReferenceBound : public core::Bound {
public:
    ReferenceBound(std::shared_ptr<const Program> program, std::vector<float*> tensors)
        : program_(std::move(program)), tensors_(std::move(tensors)), outputs_(program_->outputs.size()) {}

    bool run(const core::Feed& feed) override {
        const Program& p = *program_;
        auto values = reference_values(p, widened(p.tensors, tensors_.data()), widened(p.inputs, feed.inputs.data()),
                                       feed.noise, false, watcher_);
        if (p.guard >= 0 && !std::isfinite(values[std::size_t(p.guard)][0])) return false;
        for (std::size_t i = 0; i < p.nodes.size(); ++i) {
            if (p.nodes[i].op->runs != Runs::assign) continue;
            const auto given = std::size_t(p.node(p.nodes[i].inputs[0]).given);
            narrow(values[i], p.tensors[given], tensors_[given]);
        }
        for (std::size_t i = 0; i < outputs_.size(); ++i) {
            const auto& v = values[std::size_t(p.outputs[i].node)];
            outputs_[i].assign(v.begin(), v.end());
        }
        return true;
    }
    std::span<const float> output(std::size_t i) const override { return outputs_[i]; }
    const Program& program() const override { return *program_; }

private:
    std::shared_ptr<const Program> program_;
    std::vector<float*> tensors_;
    std::vector<std::vector<float>> outputs_;
};

class ReferenceBackend : public core::Backend {
public:
    std::string name() const override { return "reference"; }
    std::unique_ptr<core::Bound> bind(std::shared_ptr<const Program> program, std::vector<float*> tensors) override {
        return std::make_unique<ReferenceBound>(std::move(program), std::move(tensors));
    }
    core::NonFinite find_non_finite(const Program& program, const std::vector<float*>& tensors,
                                    const core::Feed& feed) override {
        return first_non_finite(program, tensors, feed);
    }
};

Doubles value_of(const core::Op& op, const core::Expanded* expanded, std::span<const core::Attribute> attributes,
                 const std::vector<const double*>& in, const std::vector<core::Dims>& in_dims, const core::Dims& dims,
                 core::Noise noise, const std::string& where);

// A composite that a backend kept whole, node by node.
Doubles written_out(const core::Expanded& e, const std::vector<const double*>& in, core::Noise noise) {
    const core::Tape& t = *e.tape;
    std::vector<Doubles> values(t.size());
    core::PerNode<const double*> at(t.size(), nullptr);
    for (std::size_t k = 0; k < e.inputs.size(); ++k) at[e.inputs[k]] = in[k];
    for (NodeId id = 0; std::size_t(id) < t.size(); ++id) {
        if (at[id]) continue;
        std::vector<const double*> operands;
        std::vector<core::Dims> dims;
        for (NodeId k : t.inputs(id)) operands.push_back(at[k]), dims.push_back(t.dims(k));
        values[std::size_t(id)] = value_of(*t.node(id).op, t.node(id).expanded.get(), t.attributes(id).all(), operands,
                                           dims, t.dims(id), noise, t.where(id));
        at[id] = values[std::size_t(id)].data();
    }
    const double* y = at[e.result];
    return {y, y + t.dims(e.result).numel()};
}

Doubles value_of(const core::Op& op, const core::Expanded* expanded, std::span<const core::Attribute> attributes,
                 const std::vector<const double*>& in, const std::vector<core::Dims>& in_dims, const core::Dims& dims,
                 core::Noise noise, const std::string& where) {
    if (expanded) return written_out(*expanded, in, noise);
    Doubles out(std::size_t(dims.numel()));
    try {
        op.reference({in, in_dims, out.data(), dims, core::Attributes(attributes), noise});
    } catch (const core::ShapeError& e) {
        throw core::Error(core::Exit::data, std::string(op.name) + ": " + e.why, where);
    }
    return out;
}

} // namespace

Doubles reference_value(const core::ProgramNode& n, const std::vector<Doubles>& in, const std::vector<core::Dims>& dims,
                        core::Noise noise) {
    std::vector<const double*> pointers;
    for (const Doubles& x : in) pointers.push_back(x.data());
    return value_of(*n.op, n.expanded.get(), n.attributes, pointers, dims, n.dims, noise, n.where);
}

namespace {

/// Evaluates nodes of a program in any order that satisfies their inputs.
class Evaluation {
public:
    Evaluation(const Program& p, const std::vector<Doubles>& tensors, const std::vector<Doubles>& inputs,
               core::Noise noise, bool round)
        : p_(p), tensors_(tensors), inputs_(inputs), noise_(noise), round_(round), values_(p.nodes.size()),
          done_(p.nodes.size(), 0) {}

    /// With what nobody's unit makes: views, constants, what is given.
    void make(NodeId id) {
        if (done_[id]) return;
        done_[id] = 1;
        const core::ProgramNode& n = p_.node(id);
        if (n.op->runs == Runs::tensor || n.op->runs == Runs::input) {
            value(id) = (n.op->runs == Runs::tensor ? tensors_ : inputs_)[std::size_t(n.given)];
            return;
        }
        std::vector<const double*> in;
        std::vector<core::Dims> in_dims;
        for (NodeId k : n.inputs) {
            make(k);
            in.push_back(value(k).data());
            in_dims.push_back(p_.dims(k));
        }
        value(id) = value_of(*n.op, n.expanded.get(), n.attributes, in, in_dims, n.dims, noise_, n.where);
        if (round_)
            for (double& v : value(id)) v = double(float(v));
    }

    void make_units(core::UnitWatcher& watcher) {
        for (std::size_t u = 0; u < p_.units.size(); ++u) {
            const double began = core::seconds_now();
            for (NodeId id : p_.units[u].nodes) make(id);
            watcher.unit(u, began, core::seconds_now());
        }
    }

    std::vector<Doubles> values() {
        for (NodeId id = 0; std::size_t(id) < p_.nodes.size(); ++id) make(id);
        return std::move(values_);
    }

private:
    Doubles& value(NodeId id) { return values_[std::size_t(id)]; }

    const Program& p_;
    const std::vector<Doubles>&tensors_, &inputs_;
    core::Noise noise_;
    bool round_;
    std::vector<Doubles> values_;
    core::PerNode<char> done_;
};

} // namespace

std::vector<Doubles> reference_values(const Program& p, const std::vector<Doubles>& tensors,
                                      const std::vector<Doubles>& inputs, core::Noise noise, bool round,
                                      core::UnitWatcher* watcher) {
    Evaluation all(p, tensors, inputs, noise, round);
    if (watcher) all.make_units(*watcher);
    return all.values();
}

core::NonFinite first_non_finite(const Program& p, const std::vector<float*>& tensors, const core::Feed& feed) {
    auto values = reference_values(p, widened(p.tensors, tensors.data()), widened(p.inputs, feed.inputs.data()),
                                   feed.noise, true);
    for (std::size_t i = 0; i < values.size(); ++i)
        for (std::size_t k = 0; k < values[i].size(); ++k)
            if (!std::isfinite(values[i][k])) return {NodeId(i), std::int64_t(k), values[i][k]};
    return {};
}

std::unique_ptr<core::Backend> make_reference_backend() { return std::make_unique<ReferenceBackend>(); }

} // namespace elbo::ops
