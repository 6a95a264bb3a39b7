// The record: an append-only list of nodes. A node says which op, of which nodes, with which attributes, of which
// size, and which line of whose source asked for it. It owns no value. Recording is linear in nodes.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/dims.hpp"
#include "core/graph/op.hpp"

namespace elbo::core {

/// Of one tensor.
inline constexpr std::int64_t kMostValues = std::int64_t(1) << 40;

using NodeId = std::int32_t;

/// One value per node.
template <class T>
class PerNode {
public:
    PerNode() = default;
    explicit PerNode(std::size_t n, T value = T{}) : all_(n, std::move(value)) {}
    decltype(auto) operator[](NodeId id) { return all_[std::size_t(id)]; }
    decltype(auto) operator[](NodeId id) const { return all_[std::size_t(id)]; }
    std::size_t size() const { return all_.size(); }
    void push_back(T value) { all_.push_back(std::move(value)); }

private:
    std::vector<T> all_;
};

class Tape;

/// A composite written out on a tape of its own, for operands of given sizes.
struct Expanded {
    std::shared_ptr<const Tape> tape;
    std::vector<NodeId> inputs; ///< of that tape, one per operand
    NodeId result;
};

struct Node {
    const Op* op;
    std::uint32_t first_input, n_inputs;
    std::uint32_t first_attribute, n_attributes;
    Dims dims;
    std::uint32_t file, line;                      ///< who asked for it
    std::uint32_t scope;                           ///< which part was being recorded
    std::uint32_t name = 0;                        ///< of a tensor or an input
    std::shared_ptr<const Expanded> expanded = {}; ///< of a composite
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

    /// Appends a node. Throws Error (plugin) naming the op and `site` when shapes or attributes do not fit. A composite
    /// comes with what it expands to.
    NodeId emit(const Op& op, std::span<const NodeId> inputs, std::span<const Attribute> attributes, elbo_site site,
                std::string_view scope, std::shared_ptr<const Expanded> expanded = nullptr);
    /// Throws as emit does for attributes that are missing, unknown or of another type.
    void check_attributes(const Op& op, std::span<const Attribute> attributes, elbo_site site) const;
    /// A tensor or an input.
    NodeId emit_given(Runs how, const std::string& name, const Dims& dims, elbo_site site, std::string_view scope);

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
    /// Of a tensor or an input.
    const std::string& name(NodeId id) const { return texts_[node(id).name]; }
    const OpTable& ops() const { return ops_; }

private:
    std::vector<Attribute> complete(const Op& op, std::span<const Attribute> given) const;
    NodeId append(Node node, std::span<const NodeId> inputs, std::span<const Attribute> attributes, elbo_site site,
                  std::string_view scope);
    std::uint32_t intern(std::string_view text);

    const OpTable& ops_;
    std::vector<Node> nodes_;
    std::vector<NodeId> inputs_;
    std::vector<Attribute> attributes_;
    std::deque<std::string> texts_; // stable addresses: the map's keys look into them
    std::unordered_map<std::string_view, std::uint32_t> text_index_;
};

/// "mlp.cpp:41", or "" when nothing is known.
std::string place_text(elbo_site site);

} // namespace elbo::core
