#include "core/host/recording.hpp"

#include <fmt/format.h>

#include "core/base/philox.hpp"
#include "core/host/contract.hpp"

namespace elbo::core {

Recording::Recording(const OpTable& ops, Environment* of, std::string purpose)
    : tape(ops), environment(of), purpose_(std::move(purpose)) {
    detail::host = host_table();
}

std::string Recording::scope() const { return fmt::format("{}", fmt::join(scopes, ".")); }

namespace {

Attribute shape_attribute(const Dims& dims) {
    Attribute a{"shape", AttributeType::integers};
    a.integers = dims;
    return a;
}

Attribute integer_attribute(std::string_view key, std::int64_t value) {
    Attribute a{key, AttributeType::integer};
    a.integer = value;
    return a;
}

} // namespace

Var Recording::input(const std::string& name, const Dims& dims, elbo_site site) {
    for (const auto& [known, node] : inputs_)
        if (known == name) {
            if (tape.dims(node) == dims) return var(node);
            throw Error(Exit::failure, fmt::format("input '{}' is {} and is asked for as {}", name,
                                                   tape.dims(node).text(), dims.text()));
        }
    NodeId id = emit("input", {}, {shape_attribute(dims), integer_attribute("name", tape.intern_name(name))}, site);
    inputs_.emplace_back(name, id);
    return var(id);
}

Var Recording::tensor(const std::string& name, const Dims& dims, const InitSpec& init, bool trained, elbo_site site) {
    const std::string full = scopes.empty() ? name : scope() + "." + name;
    try {
        environment->tensors().declare(full, dims, init, trained);
    } catch (Error& e) {
        e.set_where(site.file ? fmt::format("{}:{}", site.file, site.line) : "");
        throw;
    }
    auto [it, fresh] = tensors_.try_emplace(full, -1);
    if (fresh)
        it->second =
            emit("tensor", {}, {shape_attribute(dims), integer_attribute("name", tape.intern_name(full))}, site);
    return var(it->second);
}

NodeId Recording::emit(const char* op, std::span<const NodeId> in, std::vector<Attribute> attributes, elbo_site site) {
    if (const Op* found = tape.ops().find(op); found && found->noise) {
        const std::string where = scope();
        const int draw = draws_[where]++;
        attributes.push_back(integer_attribute("stream", stream_of(fmt::format("{}/{}/{}", purpose_, where, draw))));
    }
    return tape.emit(op, in, attributes, site, scope());
}

std::vector<Var> Recording::call(Part& part, const std::string& method, const std::vector<Var>& in) {
    std::vector<NodeId> nodes;
    for (Var v : in) nodes.push_back(v.node);
    NodeId out[16];
    std::uint32_t n = 0;
    // A part's names never depend on who asks: a prior that calls the encoder shares its weights.
    std::vector<std::string> outer{part.info().kind};
    if (!current_tensor.empty()) outer.push_back(current_tensor);
    std::swap(outer, scopes);
    const std::int32_t status = part.info().table->call(part.self(), &handle_, method.c_str(), nodes.data(),
                                                        std::uint32_t(nodes.size()), out, 16, &n);
    std::swap(outer, scopes);
    if (status != 0) {
        Error e = error ? *error : Error(Exit::plugin, "the plugin gave up without saying why");
        error.reset();
        e.note(fmt::format("while recording {} of {}", method, part.info().label()));
        throw e;
    }
    std::vector<Var> result;
    for (std::uint32_t i = 0; i < n; ++i) {
        if (out[i] < 0 || std::size_t(out[i]) >= tape.size())
            throw Error(Exit::plugin,
                        fmt::format("{} of {} returned a node that does not exist", method, part.info().label()));
        result.push_back(var(out[i]));
    }
    check_contract(tape, *environment, part.info(), method, nodes, {out, n});
    return result;
}

} // namespace elbo::core
