// An axis of a tensor, for ops that work along one: which it is, what lies around it, and numbers along it.
#pragma once

#include "ops/support.hpp"

namespace elbo::ops {

/// The attribute `axis`, counted from 0.
inline int axis_of(const core::Attributes& a, const Dims& d) {
    std::int64_t axis = a.integer("axis");
    if (axis < 0) axis += d.rank;
    if (axis < 0 || axis >= d.rank) throw ShapeError{"there is no axis " + std::to_string(a.integer("axis"))};
    return int(axis);
}

/// Values before and after one axis: a tensor is [outer, axis, inner].
struct Around {
    std::int64_t outer = 1, inner = 1;
    Around(const Dims& d, int axis) {
        for (int i = 0; i < axis; ++i) outer *= d[i];
        for (int i = axis + 1; i < d.rank; ++i) inner *= d[i];
    }
};

/// A whole number within 0 .. n-1; `refused` says what is wrong with any other.
template <class T, class Refused>
std::int64_t number_below(T value, std::int64_t n, Refused refused) {
    if (!(value >= 0 && value < T(n)) || std::int64_t(value) >= n || T(std::int64_t(value)) != value)
        throw ShapeError{refused(std::to_string(value))};
    return std::int64_t(value);
}

} // namespace elbo::ops
