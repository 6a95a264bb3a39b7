// The fast backend: what oneDNN claims by oneDNN, fused groups tile by tile, everything else by the op's own kernel.
// All that a run needs is made when a program is bound; a run allocates nothing of ours.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/error.hpp"
#include "core/base/machine.hpp"
#include "core/base/memory.hpp"
#include "ops/backend/backends.hpp"
#include "ops/backend/dnnl/claims.hpp"
#include "ops/backend/reference.hpp"
#include "ops/backend/threads.hpp"
#include "ops/backend/tiles.hpp"

namespace elbo::ops {

namespace {

using core::NodeId;
using core::Place;
using core::Program;
using core::Runs;

class GroupStep : public Step {
public:
    GroupStep(const Program& p, const core::Unit& u) : group_(p, u, threads()) {}
    void run(const Memory& m) override { group_.run(m); }

private:
    TileGroup group_;
};

/// One op's whole-tensor kernel.
class KernelStep : public Step {
public:
    KernelStep(const Program& p, NodeId id) : node_(p.node(id)), out_(p.place(id)) {
        for (NodeId in : node_.inputs) {
            in_.push_back(p.place(in));
            in_dims_.push_back(p.dims(in));
        }
        pointers_.resize(in_.size());
    }
    void run(const Memory& m) override {
        for (std::size_t i = 0; i < in_.size(); ++i) pointers_[i] = m.at(in_[i]);
        try {
            node_.op->kernel(
                {pointers_, in_dims_, m.at(out_), node_.dims, core::Attributes(node_.attributes), m.noise});
        } catch (const core::ShapeError& e) {
            throw core::Error(core::Exit::data, fmt::format("{}: {}", node_.op->name, e.why), node_.where);
        }
    }

private:
    const core::ProgramNode& node_;
    std::vector<Place> in_;
    std::vector<core::Dims> in_dims_;
    std::vector<const float*> pointers_;
    Place out_;
};

/// What nobody claimed, by its f64 reference: right, and slow.
class ReferenceStep : public Step {
public:
    ReferenceStep(const Program& p, NodeId id) : node_(p.node(id)), out_(p.place(id)) {
        for (NodeId in : node_.inputs) {
            in_.push_back(p.place(in));
            dims_.push_back(p.dims(in));
            values_.emplace_back(std::size_t(p.dims(in).numel()));
        }
    }
    void run(const Memory& m) override {
        for (std::size_t i = 0; i < in_.size(); ++i) std::copy_n(m.at(in_[i]), values_[i].size(), values_[i].data());
        const Doubles y = reference_value(node_, values_, dims_, m.noise);
        std::transform(y.begin(), y.end(), m.at(out_), [](double v) { return float(v); });
    }

private:
    const core::ProgramNode& node_;
    std::vector<Place> in_;
    std::vector<core::Dims> dims_;
    std::vector<Doubles> values_;
    Place out_;
};

std::unique_ptr<Step> step_of(const Program& p, const core::Unit& u) {
    if (u.kind == core::Unit::Kind::group) return std::make_unique<GroupStep>(p, u);
    if (u.claimed) {
        const auto* claimed = dynamic_cast<const DnnlClaimed*>(u.claimed.get());
        if (!claimed) throw core::Error(core::Exit::failure, "the program was frozen for another backend");
        return u.kind == core::Unit::Kind::streamed ? bind_streamed(p, u, *claimed) : claimed->bind(p, u);
    }
    const NodeId id = u.nodes[0];
    if (p.runs(id) == Runs::pack) return bind_pack(p, id);
    if (p.node(id).op->kernel) return std::make_unique<KernelStep>(p, id);
    return std::make_unique<ReferenceStep>(p, id);
}

class DnnlBound : public core::Bound {
public:
    DnnlBound(std::shared_ptr<const Program> program, std::vector<float*> tensors)
        : program_(std::move(program)), tensors_(std::move(tensors)),
          slab_(core::aligned_floats(program_->slab_bytes / 4)), inputs_(program_->inputs.size()) {
        const auto unit_of = core::freezing::unit_of(*program_);
        guard_unit_ = program_->guard < 0 ? -1 : unit_of[core::freezing::source(*program_, program_->guard)];
        for (const core::Unit& u : program_->units) steps_.push_back(step_of(*program_, u));
    }

    bool run(const core::Feed& feed) override {
        const FlushDenormals here;
        std::copy(feed.inputs.begin(), feed.inputs.end(), inputs_.begin());
        const Memory memory{slab_.get(), inputs_.data(), tensors_.data(), feed.noise};
        auto guarded = [&] { return std::isfinite(*memory.at(program_->place(program_->guard))); };
        if (program_->guard >= 0 && guard_unit_ < 0 && !guarded()) return false; // given, not computed
        for (std::size_t i = 0; i < steps_.size(); ++i) {
            const double began = watcher_ ? core::seconds_now() : 0;
            steps_[i]->run(memory);
            if (watcher_) watcher_->unit(i, began, core::seconds_now());
            if (int(i) == guard_unit_ && !guarded()) return false;
        }
        return true;
    }

    std::span<const float> output(std::size_t i) const override {
        const NodeId id = program_->outputs[i].node;
        const Memory memory{slab_.get(), inputs_.data(), tensors_.data(), {}};
        return {memory.at(program_->place(id)), std::size_t(program_->dims(id).numel())};
    }

    const Program& program() const override { return *program_; }

private:
    std::shared_ptr<const Program> program_;
    std::vector<float*> tensors_;
    core::AlignedFloats slab_;
    std::vector<std::unique_ptr<Step>> steps_;
    std::vector<const float*> inputs_;
    int guard_unit_;
};

class DnnlBackend : public core::Backend {
public:
    DnnlBackend(int n, Precision precision) : precision_(precision) { set_threads(n); }
    std::string name() const override { return "dnnl"; }

    std::optional<core::Claim> claim(const core::Candidates& from, NodeId head) const override {
        const auto rule = claim_rule(from.program().node(head).op->name);
        // What a model is judged by or gives is f32, however it is trained.
        const bool trains = from.program().purpose == "train";
        return rule ? rule(from, head, trains ? precision_ : Precision::f32) : std::nullopt;
    }

    // Rows a multiple of 1 KiB apart fall onto few cache sets: products lose a third (measured, Zen 3).
    std::int64_t row_stride(const core::Dims& d) const override {
        constexpr std::int64_t kBad = 256, kGap = 16;
        return d.rank == 2 && d[0] > 1 && d[1] > 0 && d[1] % kBad == 0 ? d[1] + kGap : 0;
    }

    std::unique_ptr<core::Bound> bind(std::shared_ptr<const Program> program, std::vector<float*> tensors) override {
        return std::make_unique<DnnlBound>(std::move(program), std::move(tensors));
    }
    core::NonFinite find_non_finite(const Program& program, const std::vector<float*>& tensors,
                                    const core::Feed& feed) override {
        return first_non_finite(program, tensors, feed);
    }

private:
    Precision precision_;
};

} // namespace

std::unique_ptr<core::Backend> make_dnnl_backend(int threads, Precision precision) {
    if (precision == Precision::bf16 && !library_has_bf16())
        throw core::Error(core::Exit::usage, dnnl_version() + " has no products in bf16 on this processor");
    return std::make_unique<DnnlBackend>(threads, precision);
}

} // namespace elbo::ops
