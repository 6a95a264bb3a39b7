// What a recording can ask of the run it belongs to: parts by role, facts, the fields of a batch, tensors.
#pragma once

#include <string>

#include "core/graph/op.hpp"
#include "core/host/part.hpp"
#include "core/host/tensors.hpp"

namespace elbo::core {

class Environment {
public:
    virtual ~Environment() = default;
    /// The part in a role; nullptr when the run has none.
    virtual Part* find_part(const std::string& role) = 0;
    /// A fact by key: "latent", "outputs", "data.shape", "data.range", "epochs", "labels.classes". Throws Error
    /// (plugin) for an unknown key.
    virtual Fact query(const std::string& key) = 0;
    /// Size of a field of one row. Throws Error (data) when the data has none of that name.
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
