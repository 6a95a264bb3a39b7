// Texts that are compared letter by letter with files in tests/golden/. ELBO_UPDATE_GOLDEN=1 writes them anew.
#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <regex>
#include <string>
#include <utility>

#include "tests/bench/support.hpp"

namespace elbo::test {

/// Paths of this machine become <DIR>, its number of processors <N>.
inline std::string portable(std::string text, const std::filesystem::path& folder = "") {
    for (const std::string& path : {folder.string(), std::string(ELBO_TEST_PLUGIN_DIR), std::string(ELBO_PLUGIN_DIR),
                                    std::string(ELBO_SOURCE_DIR)})
        for (std::size_t at; !path.empty() && (at = text.find(path)) != std::string::npos;)
            text.replace(at, path.size(), "<DIR>");
    return std::regex_replace(text, std::regex("(--threads [^\n]*\\(=)[0-9]+"), "$1<N>");
}

inline void check_golden(const std::string& name, const std::string& text) {
    const std::filesystem::path file = std::filesystem::path(ELBO_SOURCE_DIR) / "tests/golden" / (name + ".txt");
    if (std::getenv("ELBO_UPDATE_GOLDEN")) return put(file, text);
    const std::string wanted = get(file);
    INFO("golden file " << file.string() << "; ELBO_UPDATE_GOLDEN=1 writes it anew\n--- wanted\n"
                        << wanted << "--- got\n"
                        << text);
    CHECK(wanted == text);
}

} // namespace elbo::test
