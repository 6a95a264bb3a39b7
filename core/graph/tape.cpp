#include "core/graph/tape.hpp"

#include <fmt/format.h>

#include "core/base/error.hpp"

namespace elbo::core {

namespace {

std::string place(elbo_site site) { return site.file ? fmt::format("{}:{}", site.file, site.line) : ""; }

std::string listed(std::span<const Dims> dims, const char* between) {
    std::string s;
    for (const auto& d : dims) s += (s.empty() ? "" : between) + d.text();
    return s;
}

} // namespace

Tape::Tape(const OpTable& ops) : ops_(ops) { intern(""); }

NodeId Tape::emit(std::string_view name, std::span<const NodeId> inputs, std::span<const Attribute> attributes,
                  elbo_site site, std::string_view scope) {
    const Op* op = ops_.find(name);
    if (!op) {
        std::vector<std::string> known;
        for (const Op* o : ops_.all()) known.emplace_back(o->name);
        throw Error(Exit::plugin,
                    fmt::format("this elbo has no op '{}'{}", name, did_you_mean(std::string(name), known)),
                    place(site));
    }
    if (op->arity != int(inputs.size()))
        throw Error(Exit::plugin, fmt::format("{}: takes {} operands, given {}", name, op->arity, inputs.size()),
                    place(site));
    std::vector<Dims> in;
    for (NodeId i : inputs) {
        if (i < 0 || std::size_t(i) >= nodes_.size())
            throw Error(Exit::plugin, fmt::format("{}: operand {} is not a node of this recording", name, i),
                        place(site));
        in.push_back(dims(i));
    }
    std::vector<Attribute> full;
    Dims out;
    try {
        full = complete(*op, attributes);
        out = op->shape({in, Attributes(full)});
    } catch (const ShapeError& e) {
        throw Error(Exit::plugin, fmt::format("{}: {}: {}", name, e.why, listed(in, name == "matmul" ? " · " : ", ")),
                    place(site));
    }
    nodes_.push_back({op, std::uint32_t(inputs_.size()), std::uint32_t(inputs.size()),
                      std::uint32_t(attributes_.size()), std::uint32_t(full.size()), out,
                      intern(site.file ? site.file : ""), std::uint32_t(site.line), intern(scope)});
    inputs_.insert(inputs_.end(), inputs.begin(), inputs.end());
    attributes_.insert(attributes_.end(), full.begin(), full.end());
    return NodeId(nodes_.size() - 1);
}

std::vector<Attribute> Tape::complete(const Op& op, std::span<const Attribute> given) const {
    std::vector<Attribute> full;
    for (const auto& spec : op.attributes) {
        const Attribute* found = nullptr;
        for (const auto& a : given)
            if (a.key == spec.key) found = &a;
        if (!found) throw ShapeError{fmt::format("attribute '{}' is missing", spec.key)};
        if (found->type != spec.type) throw ShapeError{fmt::format("attribute '{}' has the wrong type", spec.key)};
        full.push_back(*found);
        full.back().key = spec.key;
    }
    for (const auto& a : given) {
        bool known = false;
        for (const auto& spec : op.attributes) known |= spec.key == a.key;
        if (!known) throw ShapeError{fmt::format("there is no attribute '{}'", a.key)};
    }
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

std::int64_t Tape::intern_name(const std::string& name) { return intern(name); }

elbo_site Tape::site(NodeId id) const {
    const Node& n = node(id);
    return {texts_[n.file].empty() ? nullptr : texts_[n.file].c_str(), std::int32_t(n.line)};
}

std::string Tape::where(NodeId id) const { return place(site(id)); }

} // namespace elbo::core
