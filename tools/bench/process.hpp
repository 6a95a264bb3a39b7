// What the system knows of this process, and what it allocates.
#pragma once

#include <cstdint>
#include <functional>

namespace elbo::bench {

/// Seconds since this process began, by the system's record of it (in hundredths of a second); a program that starts
/// itself once more is the same process.
double seconds_since_start();
/// Most memory that was resident at once [bytes].
double peak_bytes();

/// Calls of operator new on this thread.
struct Allocations {
    std::int64_t ours = 0, of_dnnl = 0;
};
/// Those that f makes.
Allocations allocations_of(const std::function<void()>& f);

} // namespace elbo::bench
