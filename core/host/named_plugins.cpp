#include "core/host/named_plugins.hpp"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "core/base/text.hpp"
#include "core/files/atomic.hpp"

namespace elbo::core {

namespace fs = std::filesystem;

namespace {

fs::path list_file() {
    const char *state = std::getenv("XDG_STATE_HOME"), *home = std::getenv("HOME");
    if (state && fs::path(state).is_absolute()) return fs::path(state) / "elbo" / "plugins";
    if (home && fs::path(home).is_absolute()) return fs::path(home) / ".local" / "state" / "elbo" / "plugins";
    return {};
}

// Symbolic links are followed, so that a link in a stranger's folder is what it points to.
std::string full(const fs::path& path) { return fs::weakly_canonical(fs::absolute(path)).string(); }

std::vector<std::string> named() {
    const fs::path file = list_file();
    std::error_code status;
    if (file.empty() || !fs::is_regular_file(file, status)) return {};
    return pieces(read_file(file), '\n');
}

} // namespace

void remember_plugin(const fs::path& path) noexcept {
    try {
        const fs::path file = list_file();
        if (file.empty()) return;
        auto all = named();
        const std::string entry = full(path);
        if (entry.find('\n') != std::string::npos || std::find(all.begin(), all.end(), entry) != all.end()) return;
        all.push_back(entry);
        std::string text;
        for (const auto& one : all) text += one + "\n";
        fs::create_directories(file.parent_path());
        write_atomically(file, text);
    } catch (...) { // a convenience: without it, --plugin is given again
    }
}

bool is_named_plugin(const fs::path& path) {
    std::error_code status;
    if (!fs::is_regular_file(path, status)) return false;
    const auto all = named();
    const std::string file = full(path), folder = fs::path(file).parent_path().string();
    return std::any_of(all.begin(), all.end(), [&](const std::string& one) { return one == file || one == folder; });
}

} // namespace elbo::core
