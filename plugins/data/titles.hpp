// Names for numbered things from a table of them: a CSV file with a header, raw or gzip, in quotes where it has to be
// (RFC 4180; a quote within quotes is doubled, and a line ends a row).
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "gz.hpp"

namespace elbo::titles {

inline std::vector<std::string> split(const gz::Lines& lines, std::string_view line, char mark) {
    std::vector<std::string> out(1);
    bool quoted = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        if (quoted && c == '"' && i + 1 < line.size() && line[i + 1] == '"') out.back() += line[++i];
        else if (c == '"' && (quoted || out.back().empty())) quoted = !quoted;
        else if (c == mark && !quoted) out.emplace_back();
        else out.back() += c;
    }
    if (quoted) lines.fail_at(lines.number(), "a quote is opened and not closed");
    return out;
}

/// What stands in one column, by what stands in another; `key` "": the first column.
inline std::unordered_map<std::string, std::string> read(const std::string& path, char mark, const std::string& key,
                                                         const std::string& title) {
    gz::Lines lines(path);
    std::string line;
    if (!lines.next(line)) lines.fail("the file is empty");
    const auto header = split(lines, line, mark);
    const auto column = [&](const std::string& name) {
        const auto at = std::find(header.begin(), header.end(), name);
        if (at != header.end()) return std::size_t(at - header.begin());
        std::string known;
        for (const std::string& h : header) known += (known.empty() ? "" : ", ") + h;
        lines.fail_at(1, "there is no column " + gz::shown(name) + "; there are " + known.substr(0, 400));
    };
    const std::size_t from = key.empty() ? 0 : column(key), to = column(title);
    std::unordered_map<std::string, std::string> out;
    while (lines.next(line)) {
        if (line.empty()) continue;
        const auto row = split(lines, line, mark);
        if (row.size() != header.size())
            lines.fail_at(lines.number(), "has " + std::to_string(row.size()) + " fields, the header has " +
                                              std::to_string(header.size()));
        out[row[from]] = row[to];
    }
    return out;
}

} // namespace elbo::titles
