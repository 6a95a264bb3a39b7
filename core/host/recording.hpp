// One recording: the tape being written, the part being asked, and what came of it. The C functions that plugins call
// (elbo_host) end here.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <elbo/abi.h>
#include <elbo/ops.hpp>

#include "core/base/error.hpp"
#include "core/graph/tape.hpp"
#include "core/host/part.hpp"
#include "core/host/tensors.hpp"

namespace elbo::core {
class Recording;
}
/// The C face of a Recording.
struct elbo_trace {
    elbo::core::Recording* recording;
};

namespace elbo::core {

/// What a recording can ask of the run it belongs to.
class Environment {
public:
    virtual ~Environment() = default;
    /// The part of that kind. Throws Error (plugin) when the run has none.
    virtual Part& part(const std::string& kind) = 0;
    /// Numbers by key (see elbo_host::query). Throws Error (plugin) for an unknown key.
    virtual std::vector<double> query(const std::string& key) = 0;
    virtual TensorStore& tensors() = 0;
};

class Recording {
public:
    /// purpose: "train", "evaluate", ...; noise of different purposes comes from different streams.
    Recording(const OpTable& ops, Environment* of, std::string purpose);
    Recording(const Recording&) = delete;
    Recording& operator=(const Recording&) = delete;

    elbo_trace* handle() { return &handle_; }
    Var var(NodeId id) { return {&handle_, id}; }

    /// An input of the program: the batch, a scalar that changes from step to step.
    Var input(const std::string& name, const Dims& dims, elbo_site site = {nullptr, 0});
    Var tensor(const std::string& name, const Dims& dims, const InitSpec& init, bool trained, elbo_site site);
    /// Runs a traced method of a part; names made within it are relative to the part. Throws what went wrong.
    std::vector<Var> call(Part& part, const std::string& method, const std::vector<Var>& in);
    NodeId emit(const char* op, std::span<const NodeId> in, std::vector<Attribute> attributes, elbo_site site);

    Tape tape;
    std::vector<NamedNode> terms;
    std::vector<Assignment> assignments;
    std::vector<std::string> scopes;
    std::string current_tensor; ///< while its update is recorded: states belong to it
    std::optional<Error> error;
    std::string error_text;
    Environment* environment;

    std::string scope() const;

private:
    elbo_trace handle_{this};
    std::string purpose_;
    std::vector<std::pair<std::string, NodeId>> inputs_;
    std::unordered_map<std::string, NodeId> tensors_; // a tensor is one node, so that all its readers share a gradient
    std::unordered_map<std::string, int> draws_;      // per scope: how many noise nodes
};

/// The table given to plugins.
const elbo_host* host_table();
/// What ELBO_PLUGIN's init reports its components to.
struct Registrar {
    std::vector<const elbo_component*> components;
};

} // namespace elbo::core

struct elbo_registrar : elbo::core::Registrar {};
