// Small things about texts: numbers in them, their pieces, and names.
#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace elbo::core {

/// The number the whole text is, in C's notation in any locale; nothing when it is none or does not fit.
template <class Number>
std::optional<Number> parse_number(std::string_view text) {
    Number v{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
    if (error != std::errc() || end != text.data() + text.size()) return {};
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

/// '-' and '_' are the same in names: "fashion-mnist" is fashion_mnist.
std::string canonical_name(std::string name);

} // namespace elbo::core
