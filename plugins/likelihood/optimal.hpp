// The variance that fits best, in closed form (Rybkin et al. 2021): the mean squared error.
#pragma once

#include "values.hpp"

namespace elbo {

/// In training the mean squared error of the batch; elsewhere its running average, weighed by the number of values, so
/// that it is right after one step and a small last batch counts for little.
class OptimalVariance {
public:
    /// Mean of squared errors [B, D] over `axes`, kept; no gradient. With `steady` the average, this batch included,
    /// serves in training too: where the batch alone has few values.
    Var of(Var squared, const Shape& axes, const Spread& spread, bool steady = false) const {
        const Shape s = shape(squared);
        double n = 1;
        Shape kept = s;
        for (std::int64_t a : axes) n *= double(s[std::size_t(a)]), kept[std::size_t(a)] = 1;
        if (!training(squared)) return remembered(squared, kept, spread);
        Var total = stop_gradient(sum_keep(squared, axes));
        Var sum_before = state(squared, "squared_error", kept), n_before = state(squared, "values", {1});
        Var sum_after = kDecay * sum_before + total, n_after = kDecay * n_before + n;
        if (assigned_ != squared.trace) { // a model may ask twice in a step; a state moves once
            assign(sum_before, sum_after);
            assign(n_before, n_after);
            assigned_ = squared.trace;
        }
        return max(steady ? sum_after / n_after : total / n, std::exp(spread.log_lowest()));
    }
    /// What training left; scale^2 before its first step.
    Var remembered(Var like, const Shape& dims, const Spread& spread) const {
        Var total = state(like, "squared_error", dims), n = state(like, "values", {1});
        return where(greater(n, 0), max(total / max(n, 1), std::exp(spread.log_lowest())), spread.scale * spread.scale);
    }

private:
    static constexpr double kDecay = 0.9;
    mutable const elbo_trace* assigned_ = nullptr; // recordings' handles are never used again
};

} // namespace elbo
