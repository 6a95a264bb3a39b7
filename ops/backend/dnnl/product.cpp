#include "ops/backend/dnnl/product.hpp"

#include <dnnl.hpp>

#include <stdexcept>
#include <vector>

namespace elbo::ops {

namespace {

using dnnl::memory;

const dnnl::engine& cpu() {
    static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    return engine;
}

memory::desc matrix(std::int64_t rows, std::int64_t cols, bool transposed) {
    return {{rows, cols}, memory::data_type::f32, transposed ? memory::dims{1, rows} : memory::dims{cols, 1}};
}

dnnl::algorithm algorithm_of(const std::string& activation) {
    if (activation == "tanh") return dnnl::algorithm::eltwise_tanh;
    if (activation == "sigmoid") return dnnl::algorithm::eltwise_logistic;
    throw std::logic_error("oneDNN post-op " + activation);
}

dnnl::primitive_attr attributes_for(const ProductSpec& s) {
    dnnl::primitive_attr attr;
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    if (s.activation.empty()) return attr;
    dnnl::post_ops after;
#if DNNL_VERSION_MAJOR >= 3
    after.append_eltwise(algorithm_of(s.activation), 0.f, 0.f);
#else
    after.append_eltwise(1.f, algorithm_of(s.activation), 0.f, 0.f);
#endif
    attr.set_post_ops(after);
    return attr;
}

dnnl::matmul::primitive_desc describe(const ProductSpec& s) {
    const auto a = matrix(s.m, s.k, s.transpose_a), b = matrix(s.k, s.n, s.transpose_b), c = matrix(s.m, s.n, false);
    const memory::desc bias = matrix(1, s.n, false);
    const auto attr = attributes_for(s);
#if DNNL_VERSION_MAJOR >= 3
    return s.bias ? dnnl::matmul::primitive_desc(cpu(), a, b, bias, c, attr)
                  : dnnl::matmul::primitive_desc(cpu(), a, b, c, attr);
#else
    const auto op = s.bias ? dnnl::matmul::desc(a, b, bias, c) : dnnl::matmul::desc(a, b, c);
    return {op, attr, cpu()};
#endif
}

} // namespace

struct Product::Impl {
    explicit Impl(const ProductSpec& spec) : described(describe(spec)), primitive(described), stream(cpu()) {
        auto bound = [&](const memory::desc& d) { return memory(d, cpu(), nullptr); };
        add(DNNL_ARG_SRC, bound(described.src_desc()));
        add(DNNL_ARG_WEIGHTS, bound(described.weights_desc()));
        add(DNNL_ARG_DST, bound(described.dst_desc()));
        add(DNNL_ARG_SCRATCHPAD, memory(described.scratchpad_desc(), cpu()));
        if (spec.bias) add(DNNL_ARG_BIAS, bound(matrix(1, spec.n, false)));
    }
    void add(int argument, memory m) {
        arguments.push_back({argument, m.get()});
        memories.push_back(std::move(m));
    }
    void point(std::size_t which, const float* at) { memories[which].set_data_handle(const_cast<float*>(at)); }
    // The C call: the C++ one makes a list on the heap each time.
    void execute() {
        const auto status =
            dnnl_primitive_execute(primitive.get(), stream.get(), int(arguments.size()), arguments.data());
        if (status != dnnl_success) throw std::runtime_error("oneDNN could not run a matrix product");
    }

    dnnl::matmul::primitive_desc described;
    dnnl::matmul primitive;
    dnnl::stream stream;
    std::vector<memory> memories; ///< a, b, c, scratchpad, bias
    std::vector<dnnl_exec_arg_t> arguments;
};

Product::Product(const ProductSpec& spec) : impl_(std::make_unique<Impl>(spec)) {}
Product::~Product() = default;
Product::Product(Product&&) noexcept = default;

void Product::run(const float* a, const float* b, const float* bias, float* c) {
    impl_->point(0, a);
    impl_->point(1, b);
    impl_->point(2, c);
    if (bias) impl_->point(4, bias);
    impl_->execute();
}

std::string Product::implementation() const { return impl_->described.impl_info_str(); }

std::string dnnl_version() {
    const dnnl_version_t* v = ::dnnl_version();
    return "oneDNN " + std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch);
}

} // namespace elbo::ops
