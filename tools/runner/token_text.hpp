// Rows of tokens as lines of text, for verbs whose results would be pictures of other data.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "core/data/token_text.hpp"
#include "core/files/atomic.hpp"
#include "tools/runner/open_run.hpp"

namespace elbo::tools {

/// Lines for whoever reads them: on standard output, or in the file of --out.
class TokenText {
public:
    /// Nothing where the rows are no tokens with names, or --out asks for numbers. Throws as out_file.
    static std::optional<TokenText> wanted(const Arguments& arguments, const OpenRun& open);

    /// A row as a line, without its end.
    std::string line(std::span<const float> row) const { return lines_.line(row); }
    /// The row of that number among several.
    std::string line(std::span<const float> rows, std::int64_t i) const;
    /// A whole line.
    void add(const std::string& line);
    /// Every row as a line.
    void add_rows(std::span<const float> rows);
    /// Where --out names a file, it is there only now, and its name is printed.
    void finish();

private:
    TokenText(const OpenRun& open, const std::string& file);
    core::TokenLines lines_;
    std::size_t values_;
    std::string name_;
    std::shared_ptr<core::AtomicFile> file_;
};

} // namespace elbo::tools
