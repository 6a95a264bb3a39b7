#include "core/graph/builder.hpp"

#include <fmt/format.h>

#include <mutex>

namespace elbo::core {

namespace {

thread_local Builder* latest = nullptr;

// Handles are never freed: a Var that was kept points to one for ever, and no other recording takes its place.
elbo_trace* new_handle(Builder* builder, std::string what) {
    static std::mutex mutex;
    static std::deque<elbo_trace>& all = *new std::deque<elbo_trace>;
    std::lock_guard lock(mutex);
    all.push_back({builder, std::move(what)});
    return &all.back();
}

const elbo_host* graph_table() {
    static const elbo_host table = graph_functions();
    return &table;
}

} // namespace

Builder::Builder(const OpTable& ops, std::string what)
    : tape(ops), handle_(new_handle(this, std::move(what))), before_(latest) {
    if (!detail::host) detail::host = graph_table();
    latest = this;
}

Builder::~Builder() {
    handle_->builder = nullptr;
    if (latest == this) latest = before_;
    else
        for (Builder* b = latest; b; b = b->before_)
            if (b->before_ == this) b->before_ = before_;
}

Builder* Builder::current() { return latest; }

const Op* Builder::find_op(std::string_view name) { return tape.ops().find(name); }

std::unique_ptr<Builder> Builder::scratch() const { return std::make_unique<Builder>(tape.ops(), handle_->what); }

void Builder::must_exist(NodeId id) const {
    if (id < 0 || std::size_t(id) >= tape.size())
        throw Error(Exit::plugin, fmt::format("{} is not a node of {}", id, handle_->what));
}

Error Builder::take_error(const std::string& otherwise) {
    Error e = error_ ? *error_ : Error(Exit::plugin, otherwise);
    error_.reset();
    return e;
}

NodeId Builder::emit(std::string_view name, std::span<const NodeId> in, std::vector<Attribute> attributes,
                     elbo_site site) {
    const Op* op = find_op(name);
    if (!op) {
        std::vector<std::string> known;
        for (const Op* o : tape.ops().all()) known.emplace_back(o->name);
        throw Error(Exit::plugin,
                    fmt::format("this elbo has no op '{}'{}", name, did_you_mean(std::string(name), known)),
                    place_text(site));
    }
    if (op->arity == kAnyArity ? in.empty() : op->arity != int(in.size()))
        throw Error(Exit::plugin,
                    fmt::format("{}: takes {} operands, given {}", name,
                                op->arity == kAnyArity ? "one or more" : std::to_string(op->arity), in.size()),
                    place_text(site));
    for (NodeId i : in)
        if (i < 0 || std::size_t(i) >= tape.size())
            throw Error(Exit::plugin, fmt::format("{}: operand {} is not a node of this recording", name, i),
                        place_text(site));
    if (op->runs == Runs::composite) tape.check_attributes(*op, attributes, site);
    auto expanded = op->runs == Runs::composite ? expand(*op, in, attributes, site) : nullptr;
    return tape.emit(*op, in, attributes, site, scope(), std::move(expanded));
}

std::shared_ptr<const Expanded> Builder::expand(const Op& op, std::span<const NodeId> in,
                                                std::span<const Attribute> attributes, elbo_site site) {
    std::string key(op.name);
    for (NodeId i : in) key += tape.dims(i).text();
    for (const Attribute& a : attributes) key += fmt::format("{}={}{}{};", a.key, a.real, a.integer, a.integers.text());
    if (const auto known = expansions_.find(key); known != expansions_.end()) return known->second;
    constexpr int kDeepest = 16;
    static thread_local int depth = 0;
    struct Deeper {
        Deeper() { ++depth; }
        ~Deeper() { --depth; }
    } const deeper;
    if (depth > kDeepest) throw Error(Exit::plugin, fmt::format("'{}' expands into itself", op.name), place_text(site));
    auto on = scratch();
    std::vector<Var> operands;
    auto out = std::make_shared<Expanded>();
    for (std::size_t k = 0; k < in.size(); ++k) {
        operands.push_back(on->input(fmt::format("operand {}", k), tape.dims(in[k])));
        out->inputs.push_back(operands.back().node);
    }
    const Var result = [&] {
        try {
            const elbo::detail::Inside caller(Site{site.file, site.line});
            return op.expansion->expand(operands, Attributes(attributes));
        } catch (const ShapeError& e) {
            std::string sizes;
            for (NodeId i : in) sizes += (sizes.empty() ? "" : std::string(op.between)) + tape.dims(i).text();
            throw Error(Exit::plugin, fmt::format("{}: {}: {}", op.name, e.why, sizes), place_text(site));
        } catch (const Refused&) {
            throw on->take_error("refused").note(fmt::format("in what '{}' expands to", op.name));
        } catch (Error& e) {
            throw e.note(fmt::format("in what '{}' expands to", op.name));
        } catch (const std::exception& e) {
            throw Error(Exit::plugin, fmt::format("{}: {}", op.name, e.what()), place_text(site));
        }
    }();
    if (result.trace != on->handle())
        throw Error(Exit::plugin, fmt::format("{}: what it expands to is not made from its operands", op.name),
                    place_text(site));
    out->result = result.node;
    out->tape = std::make_shared<const Tape>(std::move(on->tape));
    return expansions_[key] = out;
}

Var Builder::input(const std::string& name, const Dims& dims, elbo_site site) {
    auto [it, fresh] = inputs_.try_emplace(name, -1);
    if (fresh) it->second = tape.emit_given(Runs::input, name, dims, site, scope());
    else if (!(tape.dims(it->second) == dims))
        throw Error(Exit::failure, fmt::format("input '{}' is {} and is asked for as {}", name,
                                               tape.dims(it->second).text(), dims.text()));
    return var(it->second);
}

NodeId splice(Tape& onto, const Expanded& what, std::span<const NodeId> in, elbo_site site, std::string_view scope) {
    const Tape& from = *what.tape;
    PerNode<NodeId> to(from.size(), -1);
    for (std::size_t k = 0; k < in.size(); ++k) to[what.inputs[k]] = in[k];
    std::vector<NodeId> inputs;
    for (NodeId id = 0; std::size_t(id) < from.size(); ++id) {
        const Node& n = from.node(id);
        if (n.op->runs == Runs::input) continue;
        inputs.clear();
        for (NodeId i : from.inputs(id)) inputs.push_back(to[i]);
        to[id] = onto.emit(*n.op, inputs, from.attributes(id).all(), site, scope, n.expanded);
    }
    return to[what.result];
}

// The C functions.

std::int32_t guarded_builder(elbo_trace* trace, void (*f)(Builder&, void*), void* context) noexcept {
    Builder* b = trace ? trace->builder : nullptr;
    Builder* reports = b ? b : Builder::current();
    if (!reports) return 1;
    try {
        if (!trace)
            throw Error(Exit::plugin, "a Var that belongs to no recording was used (a Var{}, or a number alone)");
        if (!b)
            throw Error(Exit::plugin,
                        fmt::format("a Var was kept from another recording, {}, which has ended", trace->what))
                .note("a part must not keep a Var between calls: record it anew");
        f(*b, context);
        return 0;
    } catch (const Error& e) {
        reports->keep(e);
    } catch (const Refused&) {
        // A rule written in the vocabulary was refused: the error is kept already.
    } catch (const std::bad_alloc&) {
        reports->keep(Error(Exit::failure, "not enough memory"));
    } catch (const std::exception& e) {
        reports->keep(Error(Exit::failure, e.what()));
    } catch (...) {
        reports->keep(Error(Exit::failure, "unknown exception in the host"));
    }
    return 1;
}

namespace {

Attribute attribute_of(const elbo_value& v) {
    switch (v.type) {
        case ELBO_BOOL: return Attribute::of(v.key, v.as.integer != 0);
        case ELBO_INT: return Attribute::of(v.key, v.as.integer);
        case ELBO_REAL: return Attribute::of(v.key, v.as.real);
        case ELBO_INTS: {
            if (v.count > kMaxRank)
                throw ShapeError{fmt::format("attribute '{}' holds more than {} numbers", v.key, kMaxRank)};
            Dims list;
            for (std::uint32_t i = 0; i < v.count; ++i) list.push(v.as.ints[i]);
            return Attribute::of(v.key, list);
        }
        default: throw ShapeError{fmt::format("attribute '{}' has a type no op takes", v.key)};
    }
}

std::int32_t emit(elbo_trace* t, const char* op, const elbo_node* in, std::uint32_t n_in, const elbo_value* values,
                  std::uint32_t n_values, elbo_site site, elbo_node* out) {
    return guarded(t, [&](Builder& b) {
        std::vector<Attribute> attributes;
        try {
            for (std::uint32_t i = 0; i < n_values; ++i) attributes.push_back(attribute_of(values[i]));
        } catch (const ShapeError& e) {
            throw Error(Exit::plugin, fmt::format("{}: {}", op, e.why), place_text(site));
        }
        const Op* known = b.tape.ops().find(op);
        for (Runs own : {Runs::tensor, Runs::input, Runs::assign, Runs::pack})
            if (known && known->runs == own)
                throw Error(Exit::plugin, fmt::format("{}: is made by the host alone", op), place_text(site));
        *out = b.emit(op, {in, n_in}, std::move(attributes), site);
    });
}

std::int32_t shape(elbo_trace* t, elbo_node node, std::int64_t* dims, std::uint32_t* rank) {
    return guarded(t, [&](Builder& b) {
        b.must_exist(node);
        const Dims& d = b.tape.dims(node);
        *rank = std::uint32_t(d.rank);
        for (int i = 0; i < d.rank; ++i) dims[i] = d[i];
    });
}

std::int32_t gradient(elbo_trace* t, elbo_node scalar, const elbo_node* wrt, std::uint32_t n, elbo_site,
                      elbo_node* out) {
    return guarded(t, [&](Builder& b) {
        b.must_exist(scalar);
        for (std::uint32_t i = 0; i < n; ++i) b.must_exist(wrt[i]);
        auto found = b.gradient(scalar, {wrt, n});
        std::copy(found.begin(), found.end(), out);
    });
}

// Without a recording at hand, the message goes to the one that is being made.
std::int32_t fail(elbo_trace* t, const char* message, elbo_site site) {
    Builder* b = t && t->builder ? t->builder : Builder::current();
    if (!b) return 1;
    return guarded(b->handle(), [&](Builder&) { throw Error(Exit::plugin, message, place_text(site)); });
}

const char* error(elbo_trace* t) {
    const Builder* b = t && t->builder ? t->builder : Builder::current();
    return b ? b->error_text() : "there is no recording";
}

} // namespace

elbo_host graph_functions() {
    elbo_host table{};
    table.size = sizeof table;
    table.major = ELBO_ABI_MAJOR;
    table.minor = ELBO_ABI_MINOR;
    table.emit = emit;
    table.shape = shape;
    table.gradient = gradient;
    table.fail = fail;
    table.error = error;
    return table;
}

} // namespace elbo::core
