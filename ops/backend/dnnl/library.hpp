// oneDNN itself, in one place: its engine, and a primitive with its arguments. Included by the files of this folder
// only. Source for 2.6 and 3.x alike.
#pragma once

#include <dnnl.hpp>

#include <string>
#include <vector>

#include "core/graph/program.hpp"

namespace elbo::ops {

inline const dnnl::engine& cpu() {
    static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    return engine;
}

/// User scratchpad, and the activation as a post-op where there is one: "tanh" or "sigmoid".
dnnl::primitive_attr attributes_with(const std::string& activation);

/// A value laid out as a primitive asked for.
struct DnnlForm : core::Form {
    DnnlForm(const dnnl::memory::desc& plain, const dnnl::memory::desc& wanted, const char* kind = "blocked");
    bool same(const core::Form& other) const override;
    dnnl::memory::desc plain, wanted;
};

/// A primitive and the arguments it is run with. Made when a program is bound; a run allocates nothing of ours.
class Primitive {
public:
    Primitive(const dnnl::primitive& primitive) : primitive_(primitive), stream_(cpu()) {}
    /// An argument whose place is told before each run.
    void add(int argument, const dnnl::memory::desc& desc);
    /// Where argument number k (in the order of add) lies now.
    void point(std::size_t k, const void* at) { memories_[k].set_data_handle(const_cast<void*>(at)); }
    void run();

private:
    dnnl::primitive primitive_;
    dnnl::stream stream_;
    std::vector<dnnl::memory> memories_;
    std::vector<dnnl_exec_arg_t> arguments_;
};

} // namespace elbo::ops
