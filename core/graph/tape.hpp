// The record: an append-only list of nodes. A node says which op, of which nodes, with which attributes, of which
// size, and which line of whose source asked for it. It owns no value. Recording is linear in nodes.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/dims.hpp"
#include "core/graph/op.hpp"

namespace elbo::core {

using NodeId = std::int32_t;

struct Node {
    const Op* op;
    std::uint32_t first_input, n_inputs;
    std::uint32_t first_attribute, n_attributes;
    Dims dims;
    std::uint32_t file, line; ///< who asked for it
    std::uint32_t scope;      ///< which part was being recorded
};

/// A value that a run hands back.
struct NamedNode {
    std::string name;
    NodeId node;
};

/// At the end of a run, `value` is written over the tensor that `target` reads.
struct Assignment {
    NodeId target, value;
};

class Tape {
public:
    explicit Tape(const OpTable& ops);

    /// Appends a node. Throws Error (plugin) naming the op and `site` when the shapes or attributes do not fit.
    NodeId emit(std::string_view op, std::span<const NodeId> inputs, std::span<const Attribute> attributes,
                elbo_site site, std::string_view scope);

    std::size_t size() const { return nodes_.size(); }
    const Node& node(NodeId id) const { return nodes_[std::size_t(id)]; }
    const Dims& dims(NodeId id) const { return node(id).dims; }
    std::span<const NodeId> inputs(NodeId id) const {
        return {inputs_.data() + node(id).first_input, node(id).n_inputs};
    }
    Attributes attributes(NodeId id) const {
        return Attributes({attributes_.data() + node(id).first_attribute, node(id).n_attributes});
    }
    elbo_site site(NodeId id) const;
    /// "plugins/encoder/mlp.cpp:41"; "" when nothing is known.
    std::string where(NodeId id) const;
    const std::string& scope(NodeId id) const { return texts_[node(id).scope]; }
    const OpTable& ops() const { return ops_; }

    /// Index of a name that nodes of kind `given` refer to; made on first use.
    std::int64_t intern_name(const std::string& name);
    const std::string& name(std::int64_t index) const { return texts_[std::size_t(index)]; }

private:
    std::vector<Attribute> complete(const Op& op, std::span<const Attribute> given) const;
    std::uint32_t intern(std::string_view text);

    const OpTable& ops_;
    std::vector<Node> nodes_;
    std::vector<NodeId> inputs_;
    std::vector<Attribute> attributes_;
    std::deque<std::string> texts_; // stable addresses: the map's keys look into them
    std::unordered_map<std::string_view, std::uint32_t> text_index_;
};

/// Appends the adjoint nodes of `scalar` and returns d scalar / d each of `wrt`, of the same shapes; zeros where there
/// is no path. `recording` is the trace that holds the tape.
std::vector<NodeId> append_gradient(elbo_trace* recording, Tape& tape, NodeId scalar, std::span<const NodeId> wrt);

} // namespace elbo::core
