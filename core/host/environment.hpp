// What a recording can ask of the run it belongs to: parts by role, facts, the fields of a batch, tensors.
#pragma once

#include <string>

#include "core/graph/op.hpp"
#include "core/host/part.hpp"
#include "core/host/tensors.hpp"

namespace elbo::core {

/// What a part may ask of its run, by key.
struct QueryKey {
    const char* key;
    std::uint32_t type; ///< ELBO_INT, ...
    const char* what;
};
inline constexpr QueryKey kQueries[] = {
    {"latent", ELBO_INT, "L, the size of the code"},
    {"outputs", ELBO_INT, "O, what a decoder gives per example: D times the likelihood's channels"},
    {"epochs", ELBO_INT, "epochs the run is asked to train"},
    {"rows", ELBO_INT, "rows the run trains on"},
    {"data.shape", ELBO_INTS, "the shape of one example"},
    {"data.range", ELBO_REALS, "smallest and largest value of the data, after scaling"},
    {"data.tokens", ELBO_INT, "tokens that the values of the data are numbers of; 0 where they are none"},
    {"data.fields", ELBO_TEXT, "names of the fields beside x, one space between them"},
    {"labels.classes", ELBO_INT, "classes the labels tell apart; an error where the data has none"},
    {"training", ELBO_BOOL, "whether this is recorded for training"},
};

/// A scalar that changes from step to step.
struct RunInput {
    const char *name, *what;
};
inline constexpr RunInput kRunInputs[] = {
    {"step", "1, 2, 3, ... during training; the number of the batch elsewhere"},
    {"epoch", "epochs done, with a fraction, during training; infinite elsewhere"},
    {"steps_per_epoch", "steps of one epoch"},
    {"last_loss", "the loss after the last whole epoch, of the test rows where there are any; infinite before"},
    {"temperature", "what the deviations of draws from a prior are multiplied by; 1 unless someone asks for another"},
    {"pick_temperature",
     "what logits are divided by where a value is picked after others; 0, unless someone samples: the most likely one"},
    {"pick_most", "how many of the most likely values are picked from; infinite for all"},
    {"pick_share", "the smallest set of values with that probability is picked from; 1 for all"},
};

class Environment {
public:
    virtual ~Environment() = default;
    /// The part in a role; nullptr when the run has none.
    virtual Part* find_part(const std::string& role) = 0;
    /// A fact by one of kQueries, "training" apart. Throws Error (plugin) for an unknown key.
    virtual Fact query(const std::string& key) = 0;
    /// Size of a field of one row, x among them. Throws Error (data) when the data has none of that name.
    virtual Dims field(const std::string& name) = 0;
    virtual TensorStore& tensors() = 0;
    /// The composite of that name that a plugin brings; nullptr when there is none.
    virtual const Op* composite(std::string_view) { return nullptr; }
    /// A line for whoever waits.
    virtual void notice(const std::string&) {}

    /// Throws Error (plugin) when the run has none.
    Part& part(const std::string& role);
};

} // namespace elbo::core
