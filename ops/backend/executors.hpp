// The one door to the executors.
#pragma once

#include <memory>
#include <string>

#include "core/graph/backend.hpp"

namespace elbo::ops {

/// name: "dnnl" or "reference". The number of threads holds for the whole process and is set by the first call.
/// Throws core::Error (usage) for another name.
std::unique_ptr<core::Executor> make_executor(const std::string& name, int threads);

std::unique_ptr<core::Executor> make_dnnl_executor(int threads);
std::unique_ptr<core::Executor> make_reference_executor();

/// "oneDNN 2.6.3, AVX2"
std::string backend_description();

} // namespace elbo::ops
