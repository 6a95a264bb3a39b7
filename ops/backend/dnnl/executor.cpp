// The fast executor: fused groups tile by tile, products by oneDNN, everything else by the op's own kernel. All that a
// run needs is made here; a run allocates nothing of ours.
#include <algorithm>
#include <cmath>
#include <variant>

#include "core/base/memory.hpp"
#include "ops/backend/dnnl/product.hpp"
#include "ops/backend/executors.hpp"
#include "ops/backend/reference.hpp"
#include "ops/backend/threads.hpp"
#include "ops/backend/tiles.hpp"

namespace elbo::ops {

namespace {

using core::NodeId;
using core::Place;
using core::Program;
using core::Runs;

/// A product and where its operands lie.
struct ProductStep {
    Product product;
    Place a, b, bias, out;
    std::int64_t n_out, k;
    core::TileFn after; ///< an activation of ours, applied while the result is in the cache; or nullptr
    void run(const Memory& m, const core::Noise&) {
        float* c = m.at(out);
        if (k == 0) std::fill_n(c, n_out, 0.f); // oneDNN leaves the result of an empty sum unwritten
        if (n_out == 0 || k == 0) return;
        product.run(m.at(a), m.at(b), bias.in == Place::In::nowhere ? nullptr : m.at(bias), c);
        if (after) after({{c, nullptr, nullptr}, {false, false, false}, c, std::size_t(n_out)});
    }
};

/// One op's whole-tensor kernel.
struct KernelStep {
    const core::ProgramNode* node;
    std::vector<Place> in;
    std::vector<core::Dims> in_dims;
    std::vector<const float*> pointers;
    Place out;
    void run(const Memory& m, const core::Noise& noise) {
        for (std::size_t i = 0; i < in.size(); ++i) pointers[i] = m.at(in[i]);
        node->op->kernel(
            {pointers, in_dims, m.at(out), node->dims, core::Attributes(node->attributes), noise, threads()});
    }
};

struct GroupStep {
    TileGroup group;
    void run(const Memory& m, const core::Noise&) { group.run(m); }
};

class DnnlBound : public core::Bound {
public:
    DnnlBound(std::shared_ptr<const Program> program, std::vector<float*> tensors)
        : program_(std::move(program)), tensors_(std::move(tensors)),
          slab_(core::aligned_floats(program_->slab_bytes / 4)), inputs_(program_->inputs.size()) {
        const auto unit_of = core::freezing::unit_of(*program_);
        guard_unit_ =
            program_->guard < 0 ? -1 : unit_of[std::size_t(core::freezing::source(*program_, program_->guard))];
        for (const core::Unit& u : program_->units) steps_.push_back(step_of(u));
    }

    bool run(const core::Feed& feed) override {
        const FlushDenormals here;
        std::copy(feed.inputs.begin(), feed.inputs.end(), inputs_.begin());
        const Memory memory{slab_.get(), inputs_.data(), tensors_.data()};
        auto guarded = [&] { return std::isfinite(*memory.at(program_->place(program_->guard))); };
        if (program_->guard >= 0 && guard_unit_ < 0 && !guarded()) return false; // given, not computed
        for (std::size_t i = 0; i < steps_.size(); ++i) {
            std::visit([&](auto& s) { s.run(memory, feed.noise); }, steps_[i]);
            if (int(i) == guard_unit_ && !guarded()) return false;
        }
        return true;
    }

    std::span<const float> output(std::size_t i) const override {
        const NodeId id = program_->outputs[i].node;
        const Memory memory{slab_.get(), inputs_.data(), tensors_.data()};
        return {memory.at(program_->place(id)), std::size_t(program_->node(id).dims.numel())};
    }

    const Program& program() const override { return *program_; }

private:
    using Step = std::variant<GroupStep, ProductStep, KernelStep>;

    Step step_of(const core::Unit& unit) {
        if (unit.kind == core::Unit::Kind::group) return GroupStep{TileGroup(*program_, unit, threads())};
        if (unit.kind == core::Unit::Kind::matmul) return product_of(unit);
        const core::ProgramNode& n = program_->node(unit.nodes[0]);
        KernelStep s{&n, {}, {}, {}, program_->place(unit.nodes[0])};
        for (NodeId in : n.inputs) {
            s.in.push_back(program_->place(in));
            s.in_dims.push_back(program_->node(in).dims);
        }
        s.pointers.resize(s.in.size());
        return s;
    }

    ProductStep product_of(const core::Unit& unit) {
        const core::ProgramNode& n = program_->node(unit.nodes[0]);
        const core::Attributes a(n.attributes);
        const core::Dims& left = program_->node(n.inputs[0]).dims;
        ProductSpec spec{n.dims[0],
                         a.flag("transpose_a") ? left[0] : left[1],
                         n.dims[1],
                         a.flag("transpose_a"),
                         a.flag("transpose_b"),
                         false,
                         ""};
        Place bias;
        core::TileFn own = nullptr;
        for (std::size_t i = 1; i < unit.nodes.size(); ++i) {
            const core::ProgramNode& after = program_->node(unit.nodes[i]);
            if (after.op->name == "add") {
                const NodeId other = after.inputs[0] == unit.nodes[0] ? after.inputs[1] : after.inputs[0];
                bias = program_->place(other);
                spec.bias = true;
            } else if (after.op->name == "relu") {
                own = after.op->tile; // oneDNN's turns NaN into 0, and a diverged loss would look finite
            } else {
                spec.activation = after.op->name;
            }
        }
        return {Product(spec),
                program_->place(n.inputs[0]),
                program_->place(n.inputs[1]),
                bias,
                program_->place(unit.nodes.back()),
                n.dims.numel(),
                spec.k,
                own};
    }

    std::shared_ptr<const Program> program_;
    std::vector<float*> tensors_;
    core::AlignedFloats slab_;
    std::vector<Step> steps_;
    std::vector<const float*> inputs_;
    int guard_unit_;
};

class DnnlExecutor : public core::Executor {
public:
    explicit DnnlExecutor(int n) { set_threads(n); }
    std::string name() const override { return "dnnl"; }
    std::unique_ptr<core::Bound> bind(std::shared_ptr<const Program> program, std::vector<float*> tensors) override {
        return std::make_unique<DnnlBound>(std::move(program), std::move(tensors));
    }
    core::NonFinite find_non_finite(const Program& program, const std::vector<float*>& tensors,
                                    const core::Feed& feed) override {
        return first_non_finite(program, tensors, feed);
    }
};

} // namespace

std::unique_ptr<core::Executor> make_dnnl_executor(int threads) { return std::make_unique<DnnlExecutor>(threads); }

} // namespace elbo::ops
