#include "ops/backend/executors.hpp"

#include <hwy/highway.h>

#include "core/base/error.hpp"
#include "ops/backend/dnnl/product.hpp"

namespace elbo::ops {

std::unique_ptr<core::Executor> make_executor(const std::string& name, int threads) {
    if (name == "dnnl") return make_dnnl_executor(threads);
    if (name == "reference") return make_reference_executor();
    throw core::Error(core::Exit::usage, "no executor is called '" + name + "'; there are dnnl, reference");
}

std::string backend_description() {
    const auto targets = static_cast<std::uint64_t>(hwy::SupportedTargets());
    // The lowest bit is the best target.
    return dnnl_version() + ", " + hwy::TargetName(std::int64_t(targets & (~targets + 1)));
}

} // namespace elbo::ops
