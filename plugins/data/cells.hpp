// Cells of a table as text: what a field says, which names are meant, and where fields of a line begin and end.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "gz.hpp"

namespace elbo::cells {

enum class Reading { number, text, empty, missing, not_finite, too_large };

/// What a field says; `out` is set where it is a number.
inline Reading read_number(std::string_view text, double& out) {
    if (text.empty()) return Reading::empty;
    std::string_view digits = text.size() > 1 && text[0] == '+' && text[1] != '-' ? text.substr(1) : text;
    auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
    if (long double wide = 0; problem == std::errc::result_out_of_range) { // 1e-400 is a number, and 0 here
        std::from_chars(digits.data(), digits.data() + digits.size(), wide);
        if (out = double(wide); std::fabs(out) <= 1) problem = {};
    }
    if (problem != std::errc::invalid_argument && end == digits.data() + digits.size()) {
        if (problem == std::errc::result_out_of_range) return Reading::too_large;
        return std::isfinite(out) ? Reading::number : Reading::not_finite;
    }
    std::string lower(text.substr(0, 8));
    for (char& c : lower) c = c >= 'A' && c <= 'Z' ? char(c + 32) : c;
    for (const char* mark : {"na", "n/a", "#n/a", "null", "none", "?", "-"})
        if (lower == mark) return Reading::missing;
    return Reading::text;
}

/// A whole number from 0, and nothing else.
inline bool read_index(std::string_view text, std::size_t& out) {
    auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), out);
    return problem == std::errc() && end == text.data() + text.size();
}

/// Letters to exchange, add or leave out (Levenshtein 1966).
inline std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t(0));
    for (std::size_t i = 0; i < a.size(); ++i) {
        std::size_t diagonal = row[0]++;
        for (std::size_t j = 0; j < b.size(); ++j) {
            std::size_t changed = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            row[j + 1] = std::min({changed, row[j] + 1, diagonal + 1});
        }
    }
    return row.back();
}

using Fields = std::vector<std::string_view>;

/// Lines of fields with one separator between them.
class Splitter {
public:
    explicit Splitter(char mark = ',') : mark_(mark) {}

    /// Fields of the next line. Blank lines may end a file but not stand between rows, where they could be lost data.
    bool next(gz::Lines& lines, std::string& line, Fields& fields) const {
        std::size_t gap = 0;
        while (lines.next(line)) {
            if (std::all_of(line.begin(), line.end(), [&](char c) { return blank(c); })) {
                if (!gap) gap = lines.number();
                continue;
            }
            if (gap) lines.fail_at(gap, "blank line; remove it");
            split(lines, line, fields);
            return true;
        }
        return false;
    }

    /// The pieces of a list that a person wrote: "age, height".
    static std::vector<std::string> list(std::string_view text) {
        std::vector<std::string> out;
        while (!text.empty()) {
            const std::size_t end = std::min(text.find(','), text.size());
            std::string_view piece = text.substr(0, end);
            while (!piece.empty() && piece.front() == ' ') piece.remove_prefix(1);
            while (!piece.empty() && piece.back() == ' ') piece.remove_suffix(1);
            if (!piece.empty()) out.emplace_back(piece);
            text.remove_prefix(std::min(end + 1, text.size()));
        }
        return out;
    }

private:
    bool blank(char c) const { return (c == ' ' || c == '\t') && c != mark_; }

    void split(const gz::Lines& lines, std::string_view line, Fields& fields) const {
        fields.clear();
        for (std::size_t at = 0;;) {
            while (at < line.size() && blank(line[at])) ++at;
            bool quoted = at < line.size() && line[at] == '"';
            std::size_t close = quoted ? line.find('"', at + 1) : at;
            if (close == std::string_view::npos) lines.fail_at(lines.number(), "a quote is opened and not closed");
            std::size_t end = std::min(line.find(mark_, close), line.size());
            std::string_view field = line.substr(at, end - at);
            while (!field.empty() && blank(field.back())) field.remove_suffix(1);
            if (quoted && field.size() == close + 1 - at) field = field.substr(1, field.size() - 2);
            fields.push_back(field);
            if (end == line.size()) return;
            at = end + 1;
        }
    }

    char mark_;
};

} // namespace elbo::cells
