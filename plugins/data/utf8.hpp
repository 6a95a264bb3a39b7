// UTF-8: where a text is none, and its characters.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace utf8 {

/// Bytes of the character that begins with this one; 0 where none does.
inline std::size_t length_at(std::string_view text, std::size_t at) {
    const auto byte = [&](std::size_t k) {
        return at + k < text.size() ? static_cast<unsigned char>(text[at + k]) : 0u;
    };
    const unsigned first = byte(0);
    const std::size_t n = first < 0x80                    ? 1
                          : first < 0xC2 || first >= 0xF5 ? 0
                          : first < 0xE0                  ? 2
                          : first < 0xF0                  ? 3
                                                          : 4;
    for (std::size_t k = 1; k < n; ++k)
        if ((byte(k) & 0xC0) != 0x80) return 0;
    const unsigned second = byte(1); // overlong forms, surrogates, and what lies beyond U+10FFFF
    const bool none = (first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
                      (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F);
    return none ? 0 : n;
}

/// The first byte that belongs to no character; npos where there is none.
inline std::size_t first_wrong(std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t n = length_at(text, at);
        if (n == 0) return at;
        at += n;
    }
    return text.npos;
}

/// The character that begins there, in text that is UTF-8.
inline std::string_view character_at(std::string_view text, std::size_t at) {
    return text.substr(at, length_at(text, at));
}

inline std::uint32_t code_of(std::string_view character) {
    constexpr unsigned char kLow[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    std::uint32_t code = static_cast<unsigned char>(character[0]) & kLow[character.size()];
    for (std::size_t k = 1; k < character.size(); ++k)
        code = code << 6 | (static_cast<unsigned char>(character[k]) & 63u);
    return code;
}

/// What such a byte is in, most likely: 0x80..0x9F are control characters in Latin-1 and letters in Windows-1252.
inline std::string advice(std::string_view line) {
    bool windows = false;
    for (char c : line) windows |= static_cast<unsigned char>(c) >= 0x80 && static_cast<unsigned char>(c) < 0xA0;
    return windows ? "it looks like Windows-1252; convert it: iconv -f WINDOWS-1252 -t UTF-8"
                   : "it looks like Latin-1 (ISO 8859-1); convert it: iconv -f LATIN1 -t UTF-8";
}

} // namespace utf8
