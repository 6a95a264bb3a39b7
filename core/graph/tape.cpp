#include "core/graph/tape.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.hpp"

namespace elbo::core {

std::string place_text(elbo_site site) { return site.file ? fmt::format("{}:{}", site.file, site.line) : ""; }

namespace {

std::string listed(std::span<const Dims> dims, std::string_view between) {
    std::string s;
    for (const auto& d : dims) s.append(s.empty() ? "" : between).append(d.text());
    return s;
}

} // namespace

Tape::Tape(const OpTable& ops) : ops_(ops) { intern(""); }

NodeId Tape::emit(const Op& op, std::span<const NodeId> inputs, std::span<const Attribute> attributes, elbo_site site,
                  std::string_view scope, std::shared_ptr<const Expanded> expanded) {
    std::vector<Dims> in;
    for (NodeId i : inputs) in.push_back(dims(i));
    std::vector<Attribute> full;
    Dims out;
    try {
        full = complete(op, attributes);
        out = expanded ? expanded->tape->dims(expanded->result) : op.shape({in, Attributes(full)});
    } catch (const ShapeError& e) {
        throw Error(Exit::plugin, fmt::format("{}: {}: {}", op.name, e.why, listed(in, op.between)), place_text(site));
    }
    Node node{&op, 0, 0, 0, 0, out, 0, 0, 0};
    node.expanded = std::move(expanded);
    return append(std::move(node), inputs, full, site, scope);
}

void Tape::check_attributes(const Op& op, std::span<const Attribute> attributes, elbo_site site) const {
    try {
        complete(op, attributes);
    } catch (const ShapeError& e) {
        throw Error(Exit::plugin, fmt::format("{}: {}", op.name, e.why), place_text(site));
    }
}

NodeId Tape::emit_given(Runs how, const std::string& name, const Dims& dims, elbo_site site, std::string_view scope) {
    Node node{&ops_.only(how), 0, 0, 0, 0, dims, 0, 0, 0};
    node.name = intern(name);
    return append(std::move(node), {}, {}, site, scope);
}

NodeId Tape::append(Node node, std::span<const NodeId> inputs, std::span<const Attribute> attributes, elbo_site site,
                    std::string_view scope) {
    if (node.dims.numel() > kMostValues)
        throw Error(Exit::plugin,
                    fmt::format("{}: {} has more than {} values", node.op->name, node.dims.text(), kMostValues),
                    place_text(site));
    node.first_input = std::uint32_t(inputs_.size());
    node.n_inputs = std::uint32_t(inputs.size());
    node.first_attribute = std::uint32_t(attributes_.size());
    node.n_attributes = std::uint32_t(attributes.size());
    node.file = intern(site.file ? site.file : "");
    node.line = std::uint32_t(site.line);
    node.scope = intern(scope);
    nodes_.push_back(std::move(node));
    inputs_.insert(inputs_.end(), inputs.begin(), inputs.end());
    attributes_.insert(attributes_.end(), attributes.begin(), attributes.end());
    return NodeId(nodes_.size() - 1);
}

std::vector<Attribute> Tape::complete(const Op& op, std::span<const Attribute> given) const {
    std::vector<Attribute> full;
    for (const auto& spec : op.attributes) {
        const auto found = std::find_if(given.begin(), given.end(), [&](auto& a) { return a.key == spec.key; });
        if (found == given.end()) throw ShapeError{fmt::format("attribute '{}' is missing", spec.key)};
        if (found->type != spec.type) throw ShapeError{fmt::format("attribute '{}' has the wrong type", spec.key)};
        full.push_back(*found);
        full.back().key = spec.key;
    }
    for (const auto& a : given)
        if (std::none_of(full.begin(), full.end(), [&](auto& f) { return f.key == a.key; }))
            throw ShapeError{fmt::format("there is no attribute '{}'", a.key)};
    return full;
}

std::uint32_t Tape::intern(std::string_view text) {
    auto it = text_index_.find(text);
    if (it != text_index_.end()) return it->second;
    texts_.emplace_back(text);
    auto index = std::uint32_t(texts_.size() - 1);
    text_index_.emplace(texts_.back(), index);
    return index;
}

elbo_site Tape::site(NodeId id) const {
    const Node& n = node(id);
    return {texts_[n.file].empty() ? nullptr : texts_[n.file].c_str(), std::int32_t(n.line)};
}

std::string Tape::where(NodeId id) const { return place_text(site(id)); }

} // namespace elbo::core
