// Lines for whoever waits: progress, warnings, errors. They go to standard error, whole; what cannot be written there
// is dropped, since nobody who cannot read should end a run.
#pragma once

#include <string>
#include <string_view>

namespace elbo::core {

/// Writes to standard error, as it is: no newline is added.
void write_error(std::string_view text) noexcept;
/// A line.
void tell(std::string_view line) noexcept;
/// The same, as a function of a text.
inline void tell_line(const std::string& line) { tell(line); }
/// A line that is told once in this process, however often it comes up.
void tell_once(std::string_view line) noexcept;

} // namespace elbo::core
