// Runs that a word may become.
#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "tools/runner/completing.hpp"

namespace elbo::tools {

namespace fs = std::filesystem;

namespace {

bool is_run(const fs::path& folder) {
    std::error_code status;
    return fs::is_regular_file(folder / "config.toml", status);
}

// A person waits: where there is too much to look through, runs may be there.
bool may_hold_runs(const fs::path& folder, int depth, int& budget) {
    std::error_code status;
    for (const auto& entry : fs::directory_iterator(folder, fs::directory_options::skip_permission_denied, status)) {
        if (--budget < 0) return true;
        if (!entry.is_directory(status)) continue;
        if (is_run(entry.path())) return true;
        if (depth > 1 && !entry.is_symlink(status) && may_hold_runs(entry.path(), depth - 1, budget)) return true;
    }
    return false;
}

} // namespace

std::vector<Candidate> run_folders(const std::string& typed) {
    constexpr int kDepth = 3, kBudget = 3000;
    const auto slash = typed.rfind('/');
    const std::string before = slash == std::string::npos ? "" : typed.substr(0, slash + 1);
    const std::string begins = typed.substr(before.size());
    const char* home = std::getenv("HOME");
    const fs::path folder = before.empty()                     ? "."
                            : home && before.starts_with("~/") ? fs::path(home) / before.substr(2)
                                                               : fs::path(before);
    std::vector<Candidate> out;
    if (is_run(folder)) return out;
    std::error_code status;
    for (const auto& entry : fs::directory_iterator(folder, fs::directory_options::skip_permission_denied, status)) {
        const std::string name = entry.path().filename().string();
        if (!name.starts_with(begins) || (name[0] == '.' && begins.empty()) || !entry.is_directory(status)) continue;
        int budget = kBudget;
        if (is_run(entry.path())) out.push_back({before + name, "run"});
        else if (may_hold_runs(entry.path(), kDepth, budget)) out.push_back({before + name + "/", "runs"});
    }
    std::sort(out.begin(), out.end(), [](const Candidate& a, const Candidate& b) { return a.word < b.word; });
    return out;
}

} // namespace elbo::tools
