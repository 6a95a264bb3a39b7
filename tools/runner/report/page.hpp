// Pieces of a static page: text, tables and pictures that need no request, in light and dark.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/files/picture.hpp"

namespace elbo::tools::report {

/// For text and attributes.
std::string escaped(std::string_view text);
/// An <img> that holds its picture; alt: what it shows, for those who do not see it.
std::string image(const core::Picture& picture, const std::string& alt);
/// A section with a heading and, below it, what the reader should know of it ("" for nothing).
std::string section(const std::string& heading, const std::string& about, const std::string& body);
/// Two columns: what and how much.
std::string facts(const std::vector<std::pair<std::string, std::string>>& rows);
/// A table whose first line are headings.
std::string table(const std::vector<std::vector<std::string>>& rows);
/// Text to copy, as it is.
std::string code(std::string_view text);
/// The whole page.
std::string page(const std::string& title, const std::string& body);

} // namespace elbo::tools::report
