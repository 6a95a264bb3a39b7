// Tokens as text. The names of a vocabulary stand one behind the other: the text of a row is its names up to the end.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/data/rows.hpp"

namespace elbo::core {

/// Throws Error: data for another number of names than of tokens, usage for options that would change their numbers,
/// which have no order and nothing between them.
void must_stay_tokens(const Field& x, const DataOptions& options, const std::string& data);

/// The names of tokens as a data set writes them (elbo_field): one per number, a newline between two; a backslash and a
/// newline within a name as C writes them.
std::vector<std::string> token_names(std::string_view written);

/// The text of a row: the names of its tokens, one behind the other, up to the first 0. What is no number of a name is
/// U+FFFD.
std::string text_of(const std::vector<std::string>& names, std::span<const float> ids);

/// Rows as lines. A text is written as it is, unless the vocabulary has control characters, a newline say: then these,
/// and backslashes, are written as C writes them, so that a line is one row.
class TokenLines {
public:
    explicit TokenLines(const std::vector<std::string>& names);
    /// Without a newline at its end.
    std::string line(std::span<const float> ids) const;

private:
    std::vector<std::string> names_;
};

} // namespace elbo::core
