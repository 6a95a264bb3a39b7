// What is chosen for data that nothing was said about: a table is not an image.
#pragma once

#include <string>
#include <vector>

#include "core/run/resolve.hpp"

namespace elbo::core {

/// Settings that suit the rows better than the general defaults, among those that were not given: a table is
/// standardized and has a Gaussian likelihood, a code smaller than its columns, and epochs enough for some hundred
/// steps. Empty for images. What is chosen lies in config.toml like any other setting.
std::vector<GivenSetting> defaults_for(const Rows& rows, const RunConfig& config,
                                       const std::vector<GivenSetting>& given);

/// One line for people: "for this table: latent 5, likelihood gaussian (say otherwise by flags)".
std::string text_of(const std::vector<GivenSetting>& chosen);

} // namespace elbo::core
