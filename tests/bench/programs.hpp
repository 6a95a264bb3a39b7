// Freezing what a test has recorded, and running it: slow in f64, and as training does.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ops/backend/reference.hpp"
#include "tests/bench/environment.hpp"

namespace elbo::test {

using Values = std::map<std::string, Doubles>;
using Frozen = std::shared_ptr<const core::Program>;

/// For the fast backend, unless another is given.
inline Frozen freeze(const core::Recording& r, std::vector<core::NamedNode> outputs, bool fuse = true,
                     const core::Backend* of = &backend("dnnl")) {
    core::FreezeRequest request;
    request.purpose = r.purpose();
    request.outputs = std::move(outputs);
    request.assignments = r.assignments();
    request.fuse = fuse;
    return core::freeze(r.tape, request, of);
}

/// Outputs of a program in f64, tensors and inputs by name.
inline std::vector<Doubles> in_f64(const core::Program& p, const Values& values, core::Noise noise = {}) {
    std::vector<Doubles> tensors, inputs, out;
    for (const auto& t : p.tensors) tensors.push_back(values.at(t.name));
    for (const auto& in : p.inputs) inputs.push_back(values.at(in.name));
    const auto all = ops::reference_values(p, tensors, inputs, noise);
    for (const auto& o : p.outputs) out.push_back(all[std::size_t(o.node)]);
    return out;
}

/// Runs a bound program once; what it gives.
inline std::vector<std::vector<float>> outputs_of(core::Bound& bound, const core::Feed& feed) {
    CHECK(bound.run(feed));
    std::vector<std::vector<float>> out;
    for (std::size_t i = 0; i < bound.program().outputs.size(); ++i)
        out.emplace_back(bound.output(i).begin(), bound.output(i).end());
    return out;
}

/// Outputs of a program without tensors, by the fast backend.
inline std::vector<std::vector<float>> in_f32(const Frozen& p, const Values& values, core::Noise noise = {},
                                              int threads = 1) {
    const auto bound = ops::make_backend("dnnl", threads)->bind(p, {});
    std::vector<std::vector<float>> given;
    std::vector<const float*> pointers;
    for (const auto& in : p->inputs) given.push_back(floats(values.at(in.name)));
    for (const auto& v : given) pointers.push_back(v.data());
    return outputs_of(*bound, {pointers, noise});
}

} // namespace elbo::test
