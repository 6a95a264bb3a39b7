// What a run is: the model, its parts and their parameters, the data, the seed. Written as config.toml so that
// `model-runner train --config RUN/config.toml` does the same again.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/data/rows.hpp"
#include "core/host/part.hpp"
#include "core/host/settings.hpp"

namespace elbo::core {

/// What fills a role: a part by name, with all its parameters.
struct PartChoice {
    std::string role, kind, name;
    std::vector<NamedValue> values;
};

struct RunConfig {
    std::int64_t latent = 20, batch = 128, epochs = 10, seed = 1;
    std::int64_t threads = 0;
    std::string precision = "f32";
    std::int64_t checkpoint_every = 1;
    bool drop_last = false;
    double average = 0;
    std::string keep = "last";
    std::int64_t patience = 0;
    std::vector<PartChoice> parts; ///< the model first, then the parts it uses, the optimizer and the data
    DataOptions data;

    /// The settings of the run as a whole.
    void parameters(auto& p) {
        p("latent", latent, "size of the code", within(1, 1 << 20));
        p("batch", batch, "rows per step", within(1, 1 << 20));
        p("epochs", epochs, "passes over the training rows", within(0, 1e9));
        p("seed", seed, "of weights, order and noise", not_negative);
        p("threads", threads, "of the compute team; 0: as many as this process may use", within(0, 1024));
        p("precision", precision,
          "of the operands of products and convolutions in training; bf16 where the processor has it",
          one_of("f32|bf16"));
        p("checkpoint_every", checkpoint_every, "epochs between checkpoints", within(1, 1e9));
        p("drop_last", drop_last, "leave the rows out of an epoch that do not fill a batch");
        p("average", average, "decay of a moving average of the weights, for all but training; 0: none", fraction);
        p("keep", keep, "which weights the run ends with: the last, or those of the smallest test loss",
          one_of("last|best"));
        p("patience", patience, "stop after so many epochs without a smaller test loss; 0: never", within(0, 1e9));
    }
    const PartChoice& part(const std::string& role) const;
};

/// TOML text of a configuration, with a header line.
std::string config_toml(const RunConfig& config);

} // namespace elbo::core
