// Help texts, and how a parameter is shown in them.
#pragma once

#include <string>

#include "tools/runner/words.hpp"

namespace elbo::tools {

/// Of the program.
std::string help();
/// Of a verb; for train, with the parameters of the chosen parts.
std::string help(const Arguments& arguments, core::Registry& registry);

/// "  --prior.scale <real>    spread b of each latent (=1; > 0)" for each; kind: "" for what belongs to the run.
std::string parameter_lines(const std::string& kind, const std::vector<core::ParameterSpec>& specs);
/// The flag of a parameter: '_' is written '-'.
std::string flag_name(const std::string& kind, const std::string& parameter);

} // namespace elbo::tools
