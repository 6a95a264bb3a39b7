// Ops that plugins bring: a part of kind composite, made an op whose expansion is the part's `expand`.
#pragma once

#include <memory>

#include "core/host/recording.hpp"

namespace elbo::core {

class PartComposite : public Expansion {
public:
    explicit PartComposite(std::unique_ptr<Part> part) : part_(std::move(part)) {
        op_.name = part_->info().name;
        op_.arity = kAnyArity;
        op_.runs = Runs::composite;
        op_.expansion = this;
    }
    Var expand(std::span<const Var> in, Attributes) const override {
        auto& r = dynamic_cast<Recording&>(*in[0].trace->builder);
        return r.call(*part_, "expand", in).at(0);
    }
    const Op& op() const { return op_; }

private:
    std::unique_ptr<Part> part_;
    Op op_{};
};

} // namespace elbo::core
