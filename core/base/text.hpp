// Small things about texts: numbers in them, their pieces, and names.
#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace elbo::core {

/// Whether a number in C's notation that does not fit its type is too small, not too large.
bool is_tiny(std::string_view number);

/// The number the whole text is, in C's notation in any locale; nothing when it is none or does not fit. A real number
/// too small for its type is 0.
template <class Number>
std::optional<Number> parse_number(std::string_view text) {
    Number v{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
    if (end != text.data() + text.size()) return {};
    if constexpr (std::is_floating_point_v<Number>)
        if (error == std::errc::result_out_of_range && is_tiny(text)) return text[0] == '-' ? -Number(0) : Number(0);
    if (error != std::errc()) return {};
    return v;
}

/// "a,,b" by ',' -> "a", "", "b". What ends a piece need not follow the last: "a," is one piece and "" is none.
std::vector<std::string> pieces(std::string_view text, char by);

/// "a b  c" -> "a", "b", "c".
std::vector<std::string> words_of(std::string_view text);

/// [a-z][a-z0-9_]*: names of kinds, parts, roles, parameters and terms.
bool valid_name(std::string_view name);
/// Of a tensor within its scope, or a scope: letters, digits, '_' and '.'; not empty.
bool valid_tensor_name(std::string_view name);

/// Whether the bytes are UTF-8, without overlong forms, surrogates and what lies beyond U+10FFFF.
bool valid_utf8(std::string_view bytes);
/// How deep brackets and braces nest, those in strings counted too: an upper bound for parsers that recurse.
int nesting(std::string_view text);

/// '-' and '_' are the same in names: "fashion-mnist" is fashion_mnist.
std::string canonical_name(std::string name);

} // namespace elbo::core
