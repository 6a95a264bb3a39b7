#include "tools/runner/text_table.hpp"

#include <algorithm>

namespace elbo::tools {

namespace {

constexpr std::size_t kGap = 2;

std::vector<std::size_t> widths_of(const TextTable& table) {
    std::vector<std::size_t> out;
    for (const auto& h : table.headings) out.push_back(columns_of(h));
    for (const auto& row : table.rows)
        for (std::size_t i = 0; i < row.size(); ++i) out[i] = std::max(out[i], columns_of(row[i]));
    return out;
}

std::string line_of(const TextTable& table, const std::vector<std::string>& cells,
                    const std::vector<std::size_t>& widths) {
    std::string out;
    for (std::size_t i = 0; i < cells.size(); ++i) {
        const std::string space(widths[i] - columns_of(cells[i]), ' ');
        const bool right = i < table.right.size() && table.right[i];
        out += (i == 0 ? "" : std::string(kGap, ' ')) + (right ? space + cells[i] : cells[i] + space);
    }
    out.erase(out.find_last_not_of(' ') + 1);
    return out + "\n";
}

} // namespace

std::size_t columns_of(const std::string& text) {
    return std::size_t(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::size_t TextTable::width() const {
    std::size_t out = 0;
    for (std::size_t w : widths_of(*this)) out += w + (out == 0 ? 0 : kGap);
    return out;
}

std::string TextTable::text() const {
    const auto widths = widths_of(*this);
    std::string out = line_of(*this, headings, widths);
    for (const auto& row : rows) out += line_of(*this, row, widths);
    return out;
}

} // namespace elbo::tools
