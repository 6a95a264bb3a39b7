// Rows of which few values are not 0, given by the numbers of these and the values themselves: products that touch
// nothing else, and how a part finds out that the batch is there in that form. What is not included by elbo/plugin.hpp:
// parts that want it include it.
#pragma once

#include <optional>
#include <string>

#include "kinds.hpp"

namespace elbo {

/// y[b] = sum_m weights[b, m] table[ids[b, m]]: table [V, H], ids and weights [B, M] -> [B, H]. An entry of weight 0 is
/// not there, whatever stands in the row of its number: shorter rows end so.
inline Var bag_sum(In table, In ids, In weights) { return detail::emit("bag_sum", {table, ids, weights}); }
/// Its adjoint in the table: g [B, H] -> [rows, H].
inline Var bag_rows(In ids, In weights, In g, std::int64_t rows) {
    return detail::emit("bag_rows", {ids, weights, g}, {{"rows", rows}});
}
/// Its adjoint in the weights: table[ids[b, m]] . g[b], [B, M].
inline Var bag_weights(In table, In ids, In g) { return detail::emit("bag_weights", {table, ids, g}); }

/// Whether the batch has a field of that name.
inline bool has_field(In like, const std::string& name) {
    detail::Inside caller(like.site);
    return (" " + detail::query<std::string>("data.fields", like) + " ").find(" " + name + " ") != std::string::npos;
}

/// A batch of rows of D values, as the numbers of those that are not 0 and the values themselves, [B, M] each. Rows
/// with fewer than M end with value 0 at number 0; `lengths` [B, 1] says how many there are.
struct SparseRows {
    Var ids, values, lengths;
};
/// The batch in that form where `x` is the batch itself, [B, D], and the data is of such rows. A part that reads these
/// instead of x spares the run to write x out: an x that no program reads is never made.
inline std::optional<SparseRows> sparse_rows(Var x) {
    if (!has_field(x, "ids") || !has_field(x, "values") || field(x, "x").node != x.node) return {};
    return SparseRows{field(x, "ids"), field(x, "values"), field(x, "lengths")};
}

} // namespace elbo
