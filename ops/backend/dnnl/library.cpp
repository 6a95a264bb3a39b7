#include "ops/backend/dnnl/library.hpp"

#include <stdexcept>

#include "ops/backend/dnnl/claims.hpp"

namespace elbo::ops {

using dnnl::memory;

dnnl::primitive_attr attributes_with(const std::string& activation) {
    dnnl::primitive_attr attr;
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    if (activation.empty()) return attr;
    const auto algorithm = activation == "tanh" ? dnnl::algorithm::eltwise_tanh : dnnl::algorithm::eltwise_logistic;
    dnnl::post_ops after;
#if DNNL_VERSION_MAJOR >= 3
    after.append_eltwise(algorithm, 0.f, 0.f);
#else
    after.append_eltwise(1.f, algorithm, 0.f, 0.f);
#endif
    attr.set_post_ops(after);
    return attr;
}

DnnlForm::DnnlForm(const memory::desc& from, const memory::desc& to, const char* kind) : plain(from), wanted(to) {
    bytes = std::int64_t(to.get_size());
    name = std::string(kind) + ", " + std::to_string(bytes) + " bytes";
}

bool DnnlForm::same(const core::Form& other) const {
    const auto* form = dynamic_cast<const DnnlForm*>(&other);
    return form && form->wanted == wanted && form->plain == plain;
}

void Primitive::add(int argument, const memory::desc& desc) {
    memories_.emplace_back(desc, cpu(), nullptr);
    arguments_.push_back({argument, memories_.back().get()});
}

// The C call: the C++ one makes a list on the heap each time.
void Primitive::run() {
    if (dnnl_primitive_execute(primitive_.get(), stream_.get(), int(arguments_.size()), arguments_.data()) !=
        dnnl_success)
        throw std::runtime_error("oneDNN could not run a primitive");
}

namespace {

class Reorder : public Step {
public:
    Reorder(const core::Program& p, core::NodeId pack, const DnnlForm& form)
        : from_(p.place(p.node(pack).inputs[0])), to_(p.place(pack)),
          primitive_(dnnl::reorder(
              dnnl::reorder::primitive_desc(cpu(), form.plain, cpu(), form.wanted, attributes_with("")))) {
        const dnnl::reorder::primitive_desc pd(cpu(), form.plain, cpu(), form.wanted, attributes_with(""));
        primitive_.add(DNNL_ARG_FROM, form.plain);
        primitive_.add(DNNL_ARG_TO, form.wanted);
        primitive_.add(DNNL_ARG_SCRATCHPAD, pd.scratchpad_desc());
        scratch_.resize(pd.scratchpad_desc().get_size() / sizeof(float) + 1);
    }
    void run(const Memory& m) override {
        primitive_.point(0, m.at(from_));
        primitive_.point(1, m.at(to_));
        primitive_.point(2, scratch_.data());
        primitive_.run();
    }

private:
    core::Place from_, to_;
    Primitive primitive_;
    std::vector<float> scratch_;
};

/// Rows closed up, or copied as they are.
class CloseUp : public Step {
public:
    CloseUp(const core::Program& p, core::NodeId pack)
        : from_(p.place(p.node(pack).inputs[0])), to_(p.place(pack)), n_(p.dims(pack).numel()), width_(n_),
          stride_(n_) {
        const core::Dims& d = p.dims(pack);
        const std::int64_t apart = p.layout(p.node(pack).inputs[0]).row_stride;
        if (apart != 0 && d.rank > 0) width_ = d[d.rank - 1], stride_ = apart;
    }
    void run(const Memory& m) override {
        const float* from = m.at(from_);
        float* to = m.at(to_);
        for (std::int64_t at = 0; at < n_; at += width_, from += stride_) std::copy_n(from, width_, to + at);
    }

private:
    core::Place from_, to_;
    std::int64_t n_, width_, stride_;
};

} // namespace

std::unique_ptr<Step> bind_pack(const core::Program& program, core::NodeId pack) {
    if (const auto* form = dynamic_cast<const DnnlForm*>(program.layout(pack).form.get()))
        return std::make_unique<Reorder>(program, pack, *form);
    return std::make_unique<CloseUp>(program, pack);
}

std::string dnnl_version() {
    const dnnl_version_t* v = ::dnnl_version();
    return "oneDNN " + std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch);
}

} // namespace elbo::ops
