#include "ops/backend/dnnl/bf16.hpp"

#include "ops/backend/precision.hpp"

namespace elbo::ops {

using dnnl::memory;

namespace {

// A kept tensor's rows may lie apart; a value of the slab that a pack reads has no gaps.
std::int64_t row_stride(const core::Program& p, core::NodeId id) {
    return p.runs(id) == core::Runs::tensor ? p.tensors[std::size_t(p.node(id).given)].row_stride : 0;
}

bool has_product() {
    const memory::desc a({2, 2}, memory::data_type::bf16, memory::format_tag::ab),
        c({2, 2}, memory::data_type::f32, memory::format_tag::ab);
    try {
#if DNNL_VERSION_MAJOR >= 3
        dnnl::matmul::primitive_desc(cpu(), a, a, c, attributes_with(""));
#else
        dnnl::matmul::primitive_desc({a, a, c}, attributes_with(""), cpu());
#endif
    } catch (const dnnl::error&) {
        return false;
    }
    return true;
}

} // namespace

std::shared_ptr<const core::Form> as_bf16(const core::Program& p, core::NodeId id) {
    const core::Dims& d = p.dims(id);
    const std::int64_t apart = row_stride(p, id), all = d.numel();
    const std::int64_t width = apart != 0 ? d[d.rank - 1] : all;
    const memory::dims size{all / width, width};
    return std::make_shared<DnnlForm>(memory::desc(size, memory::data_type::f32, {apart != 0 ? apart : width, 1}),
                                      memory::desc(size, memory::data_type::bf16, {width, 1}), "bf16");
}

// The names of instruction sets are sets of bits, and all that have bf16 hold those of avx512_core_bf16.
bool processor_has_bf16() {
#if defined(__x86_64__)
    constexpr auto wanted = unsigned(dnnl::cpu_isa::avx512_core_bf16);
    return (unsigned(dnnl::get_effective_cpu_isa()) & wanted) == wanted;
#else
    return false;
#endif
}

bool library_has_bf16() {
    static const bool has = has_product();
    return has;
}

} // namespace elbo::ops
