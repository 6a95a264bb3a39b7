// A trained run as metrics see it.
#pragma once

#include <memory>

#include "tools/metrics/metric.hpp"
#include "tools/runner/open_run.hpp"

namespace elbo::tools {

/// Over a split of an open run, which must outlive it. `registry`: for runs that a metric names.
std::unique_ptr<Judged> judged_run(const OpenRun& open, core::Split split, core::Registry& registry);

/// Codes that are `at` in one latent and 0 elsewhere, decoded: [latents, D].
Matrix decoded_latents(core::Session& session, double at);

} // namespace elbo::tools
