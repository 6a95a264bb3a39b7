// Facts about the machine this process runs on.
#pragma once

#include <cstdint>
#include <string>

namespace elbo::core {

/// As many as there are processors for this process.
std::int64_t default_threads();

/// "x86_64 avx2 fma ...": the features of this processor that matter here.
std::string cpu_features();

/// Of a clock that never goes back; only differences mean something.
double seconds_now();

} // namespace elbo::core
