#include "ops/backend/backends.hpp"

#include <hwy/highway.h>

#include "core/base/error.hpp"
#include "ops/backend/dnnl/claims.hpp"

namespace elbo::ops {

std::unique_ptr<core::Backend> make_backend(const std::string& name, int threads, Precision precision) {
    if (name == "dnnl") return make_dnnl_backend(threads, precision);
    if (name == "reference") return make_reference_backend();
    throw core::Error(core::Exit::usage, "no backend is called '" + name + "'; there are dnnl, reference");
}

std::string backend_description() {
    const auto targets = static_cast<std::uint64_t>(hwy::SupportedTargets());
    // The lowest bit is the best target.
    return dnnl_version() + ", " + hwy::TargetName(std::int64_t(targets & (~targets + 1)));
}

} // namespace elbo::ops
