// Loops over rows of a table that are named by number: sums of some of them, and sums back into them. Whoever owns a
// row of the result adds up all of it, in the order of the numbers, so that the bits are the same on any team.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/axes.hpp"

namespace elbo::ops {

/// to[i] += by * from[i] of n values.
void add_row(float by, const float* from, float* to, std::int64_t n);
void add_row(double by, const double* from, double* to, std::int64_t n);
float dot_rows(const float* a, const float* b, std::int64_t n);
double dot_rows(const double* a, const double* b, std::int64_t n);

/// The number as that of a row of a table.
template <class T>
std::int64_t row_of(T id, std::int64_t rows) {
    return number_below(id, rows, [&](const std::string& text) {
        return "there is no row " + text + " in a table of " + std::to_string(rows);
    });
}

/// Throws where one of n numbers is no row: before a team begins, which could not throw.
template <class T>
void must_be_rows(const T* ids, std::int64_t n, std::int64_t rows) {
    for (std::int64_t i = 0; i < n; ++i) row_of(ids[i], rows);
}

/// Which of n entries go to each row, by a counting sort. Keeps its memory from call to call.
class Owners {
public:
    /// `counts(i)` says whether entry i is there at all.
    template <class T, class Counts>
    void sort(const T* ids, std::int64_t n, std::int64_t rows, Counts counts) {
        must_be_rows(ids, n, rows);
        begin_.assign(std::size_t(rows) + 2, 0);
        std::int64_t there = 0;
        for (std::int64_t i = 0; i < n; ++i)
            if (counts(i)) ++begin_[std::size_t(ids[i]) + 2], ++there;
        for (std::size_t r = 2; r < begin_.size(); ++r) begin_[r] += begin_[r - 1];
        entries_.resize(std::size_t(there));
        for (std::int64_t i = 0; i < n; ++i)
            if (counts(i)) entries_[std::size_t(begin_[std::size_t(ids[i]) + 1]++)] = std::uint32_t(i);
    }
    /// In their order.
    std::span<const std::uint32_t> of(std::int64_t row) const {
        const auto from = std::size_t(begin_[std::size_t(row)]), to = std::size_t(begin_[std::size_t(row) + 1]);
        return {entries_.data() + from, to - from};
    }

private:
    std::vector<std::int64_t> begin_; ///< once sorted: where each row's entries begin, and their end
    std::vector<std::uint32_t> entries_;
};

/// Calls f(row) for every row of a table, by pieces of rows that do not depend on the team.
void each_row_of_table(std::int64_t rows, std::int64_t width, void (*f)(void* context, std::int64_t row),
                       void* context);
template <class F>
void each_row_of_table(std::int64_t rows, std::int64_t width, F f) {
    each_row_of_table(
        rows, width, [](void* context, std::int64_t row) { (*static_cast<F*>(context))(row); }, &f);
}

} // namespace elbo::ops
