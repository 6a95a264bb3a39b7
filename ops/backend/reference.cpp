#include "ops/backend/reference.hpp"

#include <cmath>

#include "ops/backend/executors.hpp"

namespace elbo::ops {

namespace {

using core::NodeId;
using core::Program;
using core::Runs;

std::vector<Doubles> widened(const std::vector<core::NamedDims>& what, const float* const* from) {
    std::vector<Doubles> out;
    for (std::size_t i = 0; i < what.size(); ++i) out.emplace_back(from[i], from[i] + what[i].dims.numel());
    return out;
}

class ReferenceBound : public core::Bound {
public:
    ReferenceBound(std::shared_ptr<const Program> program, std::vector<float*> tensors)
        : program_(std::move(program)), tensors_(std::move(tensors)), outputs_(program_->outputs.size()) {}

    bool run(const core::Feed& feed) override {
        const Program& p = *program_;
        auto values =
            reference_values(p, widened(p.tensors, tensors_.data()), widened(p.inputs, feed.inputs.data()), feed.noise);
        if (p.guard >= 0 && !std::isfinite(values[std::size_t(p.guard)][0])) return false;
        for (std::size_t i = 0; i < p.nodes.size(); ++i) {
            if (p.nodes[i].op->runs != Runs::assign) continue;
            float* to = tensors_[std::size_t(p.place(p.nodes[i].inputs[0]).at)];
            for (double v : values[i]) *to++ = float(v);
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

class ReferenceExecutor : public core::Executor {
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

} // namespace

std::vector<Doubles> reference_values(const Program& p, const std::vector<Doubles>& tensors,
                                      const std::vector<Doubles>& inputs, core::Noise noise, bool round) {
    std::vector<Doubles> values(p.nodes.size());
    for (std::size_t i = 0; i < p.nodes.size(); ++i) {
        const core::ProgramNode& n = p.nodes[i];
        const core::Attributes attributes(n.attributes);
        if (n.op->runs == Runs::given) {
            const auto index = std::size_t(attributes.integer("name"));
            values[i] = n.op->name == "tensor" ? tensors[index] : inputs[index];
            continue;
        }
        values[i].resize(std::size_t(n.dims.numel()));
        std::vector<const double*> in;
        std::vector<core::Dims> in_dims;
        for (NodeId k : n.inputs) {
            in.push_back(values[std::size_t(k)].data());
            in_dims.push_back(p.node(k).dims);
        }
        n.op->reference({in, in_dims, values[i].data(), n.dims, attributes, noise});
        if (round)
            for (double& v : values[i]) v = double(float(v));
    }
    return values;
}

core::NonFinite first_non_finite(const Program& p, const std::vector<float*>& tensors, const core::Feed& feed) {
    auto values = reference_values(p, widened(p.tensors, tensors.data()), widened(p.inputs, feed.inputs.data()),
                                   feed.noise, true);
    for (std::size_t i = 0; i < values.size(); ++i)
        for (std::size_t k = 0; k < values[i].size(); ++k)
            if (!std::isfinite(values[i][k])) return {NodeId(i), std::int64_t(k), values[i][k]};
    return {};
}

std::unique_ptr<core::Executor> make_reference_executor() { return std::make_unique<ReferenceExecutor>(); }

} // namespace elbo::ops
