// What a run keeps of its data: what they are, not the rows. With it a model can be set up and what it gives be read
// where the data are not there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/data/rows.hpp"

namespace elbo::core {

struct KeptRows {
    Field x;                         ///< as the model sees it; of tokens, its names are the vocabulary
    std::vector<Field> fields;       ///< what rows have besides
    std::int64_t count[ELBO_SPLITS]; ///< rows of each split
    std::pair<double, double> reach; ///< of all rows, after scaling
    std::string description;
};

KeptRows kept_of(const Rows& rows);

/// As JSON text with a checksum of the rest, and back; nothing where the text is none of these, was changed, or says
/// what cannot be.
std::string text_of(const KeptRows& kept);
std::optional<KeptRows> kept_rows_of(const std::string& text);

} // namespace elbo::core
