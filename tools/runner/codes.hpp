// Codes of a trained model: of rows, drawn anew, and decoded again. For verbs that look at what lies between examples.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "tools/runner/open_run.hpp"

namespace elbo::tools {

/// Throws Error (usage) for a model that decodes no codes, saying what `verb` wanted them for.
void must_decode(const OpenRun& open, const std::string& verb);

/// Whether the model is given the label of each row.
bool reads_labels(const OpenRun& open);

/// The mean codes of rows first .. first + count, [count, latent].
std::vector<float> codes_of(const OpenRun& open, core::Split split, std::int64_t first, std::int64_t count);
/// The same as `codes_of` of all rows that `rows` names, in that order.
std::vector<float> codes_of(const OpenRun& open, core::Split split, const std::vector<std::int64_t>& rows);

/// n codes from the prior, or from a mixture of Gaussians fitted to the codes of the training rows where the model has
/// none; a line says so.
std::vector<float> drawn_codes(const OpenRun& open, std::int64_t n, std::uint64_t seed);

/// What the codes [n, latent] decode to, [n, values]. A decoder that reads classes or other fields gets for code i
/// those of row like[i] of the split.
std::vector<float> decoded(const OpenRun& open, std::span<const float> codes, core::Split split,
                           const std::vector<std::int64_t>& like);

/// "real", or where else the codes of the model lie: "sphere", "groups of 4 classes".
std::string space_of(const OpenRun& open);

/// These rows as the model sees them, [n, values].
std::vector<float> values_of(const OpenRun& open, core::Split split, const std::vector<std::int64_t>& rows);

/// --FLAG as the number of a row of the split. Throws Error (usage) when there is no such row.
std::optional<std::int64_t> row_of(const Arguments& arguments, const std::string& flag, const OpenRun& open,
                                   core::Split split);

} // namespace elbo::tools
