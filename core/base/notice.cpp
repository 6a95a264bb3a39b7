#include "core/base/notice.hpp"

#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <set>
#include <string>

namespace elbo::core {

void write_error(std::string_view text) noexcept {
    while (!text.empty()) {
        const ssize_t put = ::write(STDERR_FILENO, text.data(), text.size());
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) return;
        text.remove_prefix(std::size_t(put));
    }
}

void tell(std::string_view line) noexcept {
    try {
        write_error(std::string(line) + "\n");
    } catch (...) { // no memory for a line: it is not told
    }
}

void tell_once(std::string_view line) noexcept {
    try {
        static std::mutex mutex;
        static std::set<std::string, std::less<>> told;
        const std::lock_guard lock(mutex);
        if (told.emplace(line).second) tell(line);
    } catch (...) {}
}

} // namespace elbo::core
