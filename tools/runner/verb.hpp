// Verbs: what model-runner can be told to do. Each is one file in tools/runner/verbs that ends with a VerbEntry;
// nothing else names it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace elbo::core {
class Registry;
}

namespace elbo::tools {

struct Arguments;

/// One flag of a verb. Without a value name it is a switch. Views, so that verbs can use shared ones before main
/// begins.
struct Flag {
    std::string_view name, value, help;
    bool of_run = false; ///< takes the place of the run's own setting of that name
};

inline constexpr Flag kJson{"json", "", "machine-readable result"};
inline constexpr Flag kQuiet{"quiet", "", "no progress; warnings and errors still come"};
inline constexpr Flag kTensorBoard{"tensorboard", "", "write events for TensorBoard into RUN/tensorboard"};
inline constexpr Flag kProfile{"profile", "DIR",
                               "time of each unit over the first 300 steps: profile.txt, profile.json, and trace.json "
                               "for Perfetto"};
inline constexpr Flag kThreads{"threads", "N", "size of the compute team, instead of the run's", true};
inline constexpr Flag kSplit{"split", "train|test", "which rows (default: test)"};
constexpr Flag out_flag(std::string_view help) { return {"out", "FILE", help}; }

struct Verb {
    int order = 0; ///< its place in the help text
    std::string name;
    std::string operand = {}; ///< "MODEL", "RUN", "RUN..." (one or more), "[KIND]" (may be left out) or ""
    std::string summary = {};
    std::vector<Flag> flags = {};
    bool takes_settings = false; ///< --prior laplace --prior.scale 2 ...
    /// Roles whose settings it takes; empty: all of them, and those of the run.
    std::vector<std::string> roles = {};
    bool computes = true;         ///< runs programs: the compute team is made ready
    bool hidden = false;          ///< for programs: no text names it
    bool takes_any_words = false; ///< its words are not looked at: all of them are operands, flags too
    /// Returns the exit code; throws core::Error.
    int (*run)(const Arguments&, core::Registry&) = nullptr;

    bool takes_several() const { return takes_any_words || operand.ends_with("..."); }
};

/// Registers a verb, with the flags that every verb has after its own.
struct VerbEntry {
    explicit VerbEntry(Verb verb);
};

/// In order.
const std::vector<Verb>& verbs();

} // namespace elbo::tools
