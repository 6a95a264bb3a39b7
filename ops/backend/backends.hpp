// The one door to the backends.
#pragma once

#include <memory>
#include <string>

#include "core/graph/backend.hpp"

namespace elbo::ops {

/// name: "dnnl" or "reference". The number of threads holds for the whole process and is set by the first call.
/// Throws core::Error (usage) for another name.
std::unique_ptr<core::Backend> make_backend(const std::string& name, int threads);

std::unique_ptr<core::Backend> make_dnnl_backend(int threads);
std::unique_ptr<core::Backend> make_reference_backend();

/// "oneDNN 2.6.3, AVX2"
std::string backend_description();

} // namespace elbo::ops
