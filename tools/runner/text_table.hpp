// Tables for people, in columns as wide as what stands in them.
#pragma once

#include <string>
#include <vector>

namespace elbo::tools {

struct TextTable {
    std::vector<std::string> headings;
    std::vector<bool> right = {}; ///< columns of numbers; those not named stand at the left
    std::vector<std::vector<std::string>> rows = {};

    /// Of the longest line.
    std::size_t width() const;
    std::string text() const;
};

/// Columns that a text takes on a terminal: its characters, not its bytes.
std::size_t columns_of(const std::string& text);

} // namespace elbo::tools
