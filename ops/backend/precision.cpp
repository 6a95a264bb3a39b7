#include "ops/backend/precision.hpp"

#include "core/base/error.hpp"

namespace elbo::ops {

Precision usable_precision(const std::string& text, const std::string& flag) {
    if (text == "f32") return Precision::f32;
    if (text != "bf16")
        throw core::Error(core::Exit::usage, flag + ": '" + text + "' is not a choice; there are f32|bf16" +
                                                 core::did_you_mean(text, {"f32", "bf16"}));
    if (processor_has_bf16()) return Precision::bf16;
    throw core::Error(core::Exit::usage, flag +
                                             " bf16: this processor has no bf16 arithmetic (neither avx512_bf16 nor "
                                             "amx_bf16), or ONEDNN_MAX_CPU_ISA forbids it")
        .note("try " + flag + " f32");
}

} // namespace elbo::ops
