// Help texts, and how a parameter is shown in them.
#pragma once

#include <string>

#include "tools/runner/words.hpp"

namespace elbo::tools {

/// What help and the manual say alike.
struct Example {
    const char *line, *about;
};
inline constexpr const char* kAbout = "trains and uses autoencoders whose parts are plugins, chosen by name";
inline constexpr const char* kStreams = "Results go to standard output, everything else to standard error.";
inline constexpr const char* kEnvironment =
    "Every flag has a name in the environment: ELBO_ARG_OPTIMIZER__LR=0.01 is --optimizer.lr 0.01. Flags win over it, "
    "and "
    "it wins over --config.";
inline constexpr Example kExamples[] = {
    {"model-runner train vae --data fashion-mnist --prior vamp --out runs/first", ""},
    {"model-runner train vae --prior vamp --help", "parameters of the chosen parts"},
    {"model-runner eval runs/first --json", ""}};
inline constexpr Example kExitCodes[] = {{"0", "done"},
                                         {"1", "failure"},
                                         {"2", "usage"},
                                         {"3", "data"},
                                         {"4", "plugin"},
                                         {"5", "diverged"},
                                         {"129/130/143", "stopped by a signal after saving"}};

/// Of the program.
std::string help();
/// Of a verb; for train, with the parameters of the chosen parts.
std::string help(const Arguments& arguments, core::Registry& registry);

/// "  --prior.scale <real>    spread b of each latent (=1; > 0)" for each; kind: "" for what belongs to the run.
std::string parameter_lines(const std::string& kind, const std::vector<core::ParameterSpec>& specs);
/// The flag of a parameter: '_' is written '-'.
std::string flag_name(const std::string& kind, const std::string& parameter);

} // namespace elbo::tools
