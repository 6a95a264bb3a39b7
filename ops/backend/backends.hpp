// The one door to the backends.
#pragma once

#include <memory>
#include <string>

#include "core/graph/backend.hpp"
#include "ops/backend/precision.hpp"

namespace elbo::ops {

/// name: "dnnl" or "reference". The number of threads holds for the whole process and is set by the first call.
/// The precision is that of programs that train; "reference" computes in f64 whatever it is. Throws core::Error (usage)
/// for another name, and for bf16 where the library has no such products.
std::unique_ptr<core::Backend> make_backend(const std::string& name, int threads, Precision precision = Precision::f32);

std::unique_ptr<core::Backend> make_dnnl_backend(int threads, Precision precision);
std::unique_ptr<core::Backend> make_reference_backend();

/// "oneDNN 2.6.3, AVX2"
std::string backend_description();

} // namespace elbo::ops
