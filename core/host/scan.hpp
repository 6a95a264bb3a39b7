// Looking into a plugin that may do anything: it is loaded in a process of its own, within a time limit.
#pragma once

#include <string>
#include <vector>

#include "core/host/registry.hpp"

namespace elbo::core {

struct ScannedPart {
    std::string kind, name, summary;
};
struct Scanned {
    std::vector<ScannedPart> parts;
    std::string problem; ///< why it does not load; empty when it does
};

/// What the parts of a file say of themselves. Never throws for what the plugin does: it may crash, end the program or
/// never come back. To be called while this process has one thread.
Scanned scan(Registry& registry, Registry::File& file);

} // namespace elbo::core
