// What the operands of products and convolutions are rounded to while a model is trained. Everything else stays f32:
// sums and results of products, weights as they are kept, losses, statistics, updates.
#pragma once

#include <string>

namespace elbo::ops {

enum class Precision { f32, bf16 };

/// Whether this processor multiplies in bf16, and the library may use that.
bool processor_has_bf16();
/// Whether the library has products in bf16 here, be they emulated: right, and slower than f32.
bool library_has_bf16();

/// "f32" or "bf16". Throws core::Error (usage) for another text, and for bf16 where the processor has none; `flag` is
/// what gave it.
Precision usable_precision(const std::string& text, const std::string& flag = "--precision");

} // namespace elbo::ops
