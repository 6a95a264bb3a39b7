// Numbers of any type as files hold them, and how they become floats.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace stored {

enum class Number : std::uint8_t { u8, i8, u16, i16, u32, i32, u64, i64, f32, f64 };

struct Format {
    Number number = Number::u8;
    bool swap = false; ///< the bytes of each number are in the other order than this machine's
};

constexpr std::size_t size_of(Number n) {
    constexpr std::size_t sizes[] = {1, 1, 2, 2, 4, 4, 8, 8, 4, 8};
    return sizes[std::size_t(n)];
}
constexpr bool f32_holds(Number n) { return size_of(n) <= 2 || n == Number::f32; }

namespace detail {

template <class Stored>
Stored number_at(const std::uint8_t* from) {
    Stored v;
    std::memcpy(&v, from, sizeof v);
    return v;
}
template <class Stored>
Stored swapped_at(const std::uint8_t* from) {
    std::array<std::uint8_t, sizeof(Stored)> b;
    std::reverse_copy(from, from + sizeof(Stored), b.begin());
    return std::bit_cast<Stored>(b);
}

// Large whole numbers are rounded to f64 first, as for whoever asks for f64.
template <class To, class Stored>
To to(Stored v) {
    if constexpr (std::is_integral_v<Stored> && sizeof(Stored) == 8) return To(double(v));
    else return To(v);
}

template <class Stored, class To>
void convert(const std::uint8_t* __restrict from, std::size_t n, bool swap, To* __restrict out) {
    if (swap && sizeof(Stored) > 1)
        for (std::size_t i = 0; i < n; ++i) out[i] = to<To>(swapped_at<Stored>(from + i * sizeof(Stored)));
    else
        for (std::size_t i = 0; i < n; ++i) out[i] = to<To>(number_at<Stored>(from + i * sizeof(Stored)));
}

} // namespace detail

/// n numbers from their bytes.
template <class To>
void convert(Format f, const std::uint8_t* from, std::size_t n, To* out) {
    switch (f.number) {
        case Number::u8: return detail::convert<std::uint8_t>(from, n, f.swap, out);
        case Number::i8: return detail::convert<std::int8_t>(from, n, f.swap, out);
        case Number::u16: return detail::convert<std::uint16_t>(from, n, f.swap, out);
        case Number::i16: return detail::convert<std::int16_t>(from, n, f.swap, out);
        case Number::u32: return detail::convert<std::uint32_t>(from, n, f.swap, out);
        case Number::i32: return detail::convert<std::int32_t>(from, n, f.swap, out);
        case Number::u64: return detail::convert<std::uint64_t>(from, n, f.swap, out);
        case Number::i64: return detail::convert<std::int64_t>(from, n, f.swap, out);
        case Number::f32: return detail::convert<float>(from, n, f.swap, out);
        case Number::f64: return detail::convert<double>(from, n, f.swap, out);
    }
}

} // namespace stored
