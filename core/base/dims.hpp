// The size of a tensor: up to six dimensions, row-major, trivially copyable so that nodes stay small.
#pragma once

#include <array>
#include <cassert>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace elbo::core {

inline constexpr int kMaxRank = 6;

struct Dims {
    std::int32_t rank = 0;
    std::array<std::int64_t, kMaxRank> d{};

    Dims() = default;
    Dims(std::initializer_list<std::int64_t> list) {
        assert(list.size() <= kMaxRank);
        for (auto v : list) d[std::size_t(rank++)] = v;
    }
    explicit Dims(const std::vector<std::int64_t>& list) {
        assert(list.size() <= kMaxRank);
        for (auto v : list) d[std::size_t(rank++)] = v;
    }

    std::int64_t operator[](int i) const { return d[std::size_t(i)]; }
    std::int64_t& operator[](int i) { return d[std::size_t(i)]; }
    /// The largest number there is, where the product does not fit.
    std::int64_t numel() const {
        std::int64_t n = 1;
        for (int i = 0; i < rank; ++i)
            if (d[std::size_t(i)] == 0) return 0;
        for (int i = 0; i < rank; ++i)
            if (__builtin_mul_overflow(n, d[std::size_t(i)], &n)) return std::numeric_limits<std::int64_t>::max();
        return n;
    }
    /// Values per row: the product of all dimensions but the first.
    std::int64_t row() const { return rank == 0 || d[0] == 0 ? 1 : numel() / d[0]; }
    void push(std::int64_t v) {
        assert(rank < kMaxRank);
        d[std::size_t(rank++)] = v;
    }
    std::vector<std::int64_t> list() const { return {d.begin(), d.begin() + rank}; }
    bool operator==(const Dims& o) const {
        if (rank != o.rank) return false;
        for (int i = 0; i < rank; ++i)
            if ((*this)[i] != o[i]) return false;
        return true;
    }
    /// "[128, 784]"
    std::string text() const {
        std::string s = "[";
        for (int i = 0; i < rank; ++i) s += (i ? ", " : "") + std::to_string((*this)[i]);
        return s + "]";
    }
};

/// NumPy's rule: aligned at the right, sizes equal or 1. Nothing when they do not fit.
inline std::optional<Dims> broadcast(const Dims& a, const Dims& b) {
    Dims out;
    out.rank = a.rank > b.rank ? a.rank : b.rank;
    for (int i = 0; i < out.rank; ++i) {
        int ia = i - (out.rank - a.rank), ib = i - (out.rank - b.rank);
        std::int64_t x = ia < 0 ? 1 : a[ia], y = ib < 0 ? 1 : b[ib];
        if (x != y && x != 1 && y != 1) return {};
        out[i] = x == 1 ? y : x;
    }
    return out;
}

/// Strides in values with which a tensor of size `from` is read over `to`: 0 along broadcast dimensions.
inline std::array<std::int64_t, kMaxRank> strides_over(const Dims& from, const Dims& to) {
    std::array<std::int64_t, kMaxRank> s{};
    std::int64_t step = 1;
    for (int i = from.rank - 1; i >= 0; --i) {
        int at = i + to.rank - from.rank;
        s[std::size_t(at)] = from[i] == 1 ? 0 : step;
        step *= from[i];
    }
    return s;
}

} // namespace elbo::core
