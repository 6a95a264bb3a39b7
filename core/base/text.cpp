#include "core/base/text.hpp"

#include <algorithm>

namespace elbo::core {

std::vector<std::string> pieces(std::string_view text, char by) {
    std::vector<std::string> out;
    while (!text.empty()) {
        const auto at = text.find(by);
        out.emplace_back(text.substr(0, at));
        text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
    }
    return out;
}

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> out = pieces(text, ' ');
    std::erase(out, "");
    return out;
}

bool valid_name(std::string_view name) {
    if (name.empty() || name[0] < 'a' || name[0] > 'z') return false;
    return std::all_of(name.begin(), name.end(),
                       [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

bool valid_tensor_name(std::string_view name) {
    return !name.empty() && name.size() <= 200 && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
    });
}

bool is_tiny(std::string_view number) {
    const auto e = number.find_first_of("eE");
    if (e != std::string_view::npos) return e + 1 < number.size() && number[e + 1] == '-';
    return number.starts_with("0.") || number.starts_with("-0.") || number.starts_with(".") || number.starts_with("-.");
}

bool valid_utf8(std::string_view bytes) {
    for (std::size_t i = 0; i < bytes.size();) {
        const auto at = [&](std::size_t k) { return static_cast<unsigned char>(bytes[i + k]); };
        const unsigned char first = at(0);
        const std::size_t n = first < 0x80   ? 1
                              : first < 0xC2 ? 0
                              : first < 0xE0 ? 2
                              : first < 0xF0 ? 3
                              : first < 0xF5 ? 4
                                             : 0;
        if (n == 0 || i + n > bytes.size()) return false;
        for (std::size_t k = 1; k < n; ++k)
            if ((at(k) & 0xC0) != 0x80) return false;
        if ((first == 0xE0 && at(1) < 0xA0) || (first == 0xED && at(1) > 0x9F) || (first == 0xF0 && at(1) < 0x90) ||
            (first == 0xF4 && at(1) > 0x8F))
            return false;
        i += n;
    }
    return true;
}

int nesting(std::string_view text) {
    int depth = 0, deepest = 0;
    for (char c : text) {
        if (c == '[' || c == '{') deepest = std::max(deepest, ++depth);
        if ((c == ']' || c == '}') && depth > 0) --depth;
    }
    return deepest;
}

std::string canonical_name(std::string name) {
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

} // namespace elbo::core
