// From a configuration to something that runs: parts made, data opened, the session set up, and what does not fit
// together refused with both sides named.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "core/data/kept_rows.hpp"
#include "core/graph/backend.hpp"
#include "core/host/registry.hpp"
#include "core/run/config.hpp"
#include "core/run/session.hpp"

namespace elbo::core {

struct Assembly {
    std::unique_ptr<Part> data;
    std::unique_ptr<Rows> rows;
    std::unique_ptr<Session> session;
};

/// Another configuration once the data are known; nothing to stay with the one there is. The data set is the same.
using Reconsider = std::function<std::optional<RunConfig>(const Rows&)>;

/// kept: what the run knows of its data, for when they cannot be opened: a line then says so, and whatever would read
/// a row throws. scaler: what an earlier run standardized its data with; empty otherwise. notice: takes a line for
/// whoever waits. Throws Error: usage for parameters, data for rows that do not suit the likelihood, plugin for parts
/// that do not fit.
Assembly assemble(RunConfig& config, Registry& registry, const OpTable& ops, Backend& backend,
                  const Scaler& scaler = {}, std::function<void(const std::string&)> notice = {},
                  const Reconsider& reconsider = {}, const KeptRows* kept = nullptr);

} // namespace elbo::core
