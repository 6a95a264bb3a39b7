// The standard workloads: models of the literature at fixed sizes, the same that the peers' scripts in
// tools/bench/peers train. An id (W1a) is a model at a batch; a model may be named itself (mlp_vae) and takes the batch
// of its first id.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/host/part.hpp"
#include "core/host/registry.hpp"

namespace elbo::bench {

struct RoleChoice {
    std::string role, name; ///< all roles are called as their kind
    std::vector<core::NamedValue> values = {};
};

/// A model with all its parts, and the rows it takes.
struct Net {
    std::string name, about;
    std::vector<std::int64_t> data; ///< height, width, channels; steps of a sequence
    std::int64_t latent;
    std::vector<RoleChoice> parts; ///< what differs from kCommon in workload.cpp
    std::int64_t tokens = 0;       ///< that the data are numbers of; 0: they are none
    std::int64_t entries = 0;      ///< so many values of a row are 1 and the others 0, given by their numbers; 0: all
                                   ///< are between 0 and 1
    std::int64_t values() const;
};

struct Workload {
    std::string id; ///< "" for a net at a batch that has none
    const Net* net;
    std::int64_t batch;
};

/// In the order of their ids.
const std::vector<Workload>& workloads();
/// By id or by the name of a net; batch 0: its own. Throws Error (usage) for another name.
Workload find_workload(const std::string& name, std::int64_t batch = 0);

/// The parts of a net, for a session.
std::vector<std::unique_ptr<core::Part>> parts_of(const Net& net, core::Registry& registry);

} // namespace elbo::bench
