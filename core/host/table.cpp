// The table of C functions that plugins call. Each one catches everything, keeps the error in the recording and answers
// with a status.
#include <fmt/format.h>

#include <cstring>
#include <new>

#include "core/host/recording.hpp"

namespace elbo::core {

namespace {

constexpr std::int64_t kLargestDim = std::int64_t(1) << 40;

template <class F>
std::int32_t guarded(elbo_trace* trace, F f) noexcept {
    Recording& r = *trace->recording;
    try {
        f(r);
        return 0;
    } catch (const Error& e) {
        r.error = e;
    } catch (const std::bad_alloc&) {
        r.error = Error(Exit::failure, "not enough memory");
    } catch (const std::exception& e) {
        r.error = Error(Exit::failure, e.what());
    } catch (...) {
        r.error = Error(Exit::failure, "unknown exception in the host");
    }
    r.error_text = r.error->what();
    return 1;
}

std::string place(elbo_site site) { return site.file ? fmt::format("{}:{}", site.file, site.line) : ""; }

Attribute attribute_of(const elbo_value& v) {
    Attribute a{v.key, AttributeType::integer};
    switch (v.type) {
        case ELBO_BOOL:
            a.type = AttributeType::boolean;
            a.integer = v.as.integer != 0;
            break;
        case ELBO_INT: a.integer = v.as.integer; break;
        case ELBO_REAL:
            a.type = AttributeType::real;
            a.real = v.as.real;
            break;
        case ELBO_INTS:
            a.type = AttributeType::integers;
            if (v.count > kMaxRank)
                throw ShapeError{fmt::format("attribute '{}' holds more than {} numbers", v.key, kMaxRank)};
            for (std::uint32_t i = 0; i < v.count; ++i) a.integers.push(v.as.ints[i]);
            break;
        default: throw ShapeError{fmt::format("attribute '{}' has a type no op takes", v.key)};
    }
    return a;
}

std::int32_t emit(elbo_trace* t, const char* op, const elbo_node* in, std::uint32_t n_in, const elbo_value* values,
                  std::uint32_t n_values, elbo_site site, elbo_node* out) {
    return guarded(t, [&](Recording& r) {
        std::vector<Attribute> attributes;
        try {
            for (std::uint32_t i = 0; i < n_values; ++i) attributes.push_back(attribute_of(values[i]));
        } catch (const ShapeError& e) {
            throw Error(Exit::plugin, fmt::format("{}: {}", op, e.why), place(site));
        }
        *out = r.emit(op, {in, n_in}, std::move(attributes), site);
    });
}

void must_exist(Recording& r, elbo_node node) {
    if (node < 0 || std::size_t(node) >= r.tape.size())
        throw Error(Exit::plugin, fmt::format("{} is not a node of this recording", node));
}

std::int32_t shape(elbo_trace* t, elbo_node node, std::int64_t* dims, std::uint32_t* rank) {
    return guarded(t, [&](Recording& r) {
        must_exist(r, node);
        const Dims& d = r.tape.dims(node);
        *rank = std::uint32_t(d.rank);
        for (int i = 0; i < d.rank; ++i) dims[i] = d[i];
    });
}

Environment& environment(Recording& r) {
    if (!r.environment)
        throw Error(Exit::plugin, "this recording belongs to no run: there are no parts and no tensors");
    return *r.environment;
}

std::int32_t kept(elbo_trace* t, const elbo_tensor* spec, bool trained, elbo_site site, elbo_node* out) {
    return guarded(t, [&](Recording& r) {
        environment(r);
        if (!spec->name || !*spec->name || spec->rank > kMaxRank)
            throw Error(Exit::plugin, "a tensor needs a name and at most 6 dimensions", place(site));
        Dims dims;
        for (std::uint32_t i = 0; i < spec->rank; ++i) {
            if (spec->dims[i] < 0 || spec->dims[i] > kLargestDim)
                throw Error(Exit::plugin, fmt::format("tensor '{}': {} is no size", spec->name, spec->dims[i]),
                            place(site));
            dims.push(spec->dims[i]);
        }
        *out = r.tensor(spec->name, dims, {spec->init ? spec->init : "zeros", spec->a, spec->b}, trained, site).node;
    });
}

std::int32_t parameter(elbo_trace* t, const elbo_tensor* spec, elbo_site site, elbo_node* out) {
    return kept(t, spec, true, site, out);
}

std::int32_t state(elbo_trace* t, const elbo_tensor* spec, elbo_site site, elbo_node* out) {
    return kept(t, spec, false, site, out);
}

std::int32_t assign(elbo_trace* t, elbo_node target, elbo_node value, elbo_site site) {
    return guarded(t, [&](Recording& r) {
        must_exist(r, target);
        must_exist(r, value);
        if (r.tape.node(target).op->name != "tensor")
            throw Error(Exit::plugin, "assign: only a parameter or a state can be assigned", place(site));
        if (!(r.tape.dims(target) == r.tape.dims(value)))
            throw Error(
                Exit::plugin,
                fmt::format("assign: shapes differ: {}, {}", r.tape.dims(target).text(), r.tape.dims(value).text()),
                place(site));
        r.assignments.push_back({target, value});
    });
}

std::int32_t input(elbo_trace* t, const char* name, elbo_site site, elbo_node* out) {
    return guarded(t, [&](Recording& r) {
        if (std::strcmp(name, "step") != 0 && std::strcmp(name, "epoch") != 0)
            throw Error(Exit::plugin, fmt::format("no input is called '{}'; there are step, epoch", name), place(site));
        *out = r.input(name, {}, site).node;
    });
}

std::int32_t query(elbo_trace* t, const char* key, double* values, std::uint32_t capacity, std::uint32_t* n) {
    return guarded(t, [&](Recording& r) {
        auto found = environment(r).query(key);
        if (found.size() > capacity)
            throw Error(Exit::plugin, fmt::format("query '{}' needs room for {}", key, found.size()));
        *n = std::uint32_t(found.size());
        std::copy(found.begin(), found.end(), values);
    });
}

std::int32_t part(elbo_trace* t, const char* kind, elbo_site site, elbo_part** out) {
    return guarded(t, [&](Recording& r) {
        try {
            *out = environment(r).part(kind).handle();
        } catch (Error& e) {
            if (e.where().empty()) e.set_where(place(site));
            throw;
        }
    });
}

std::int32_t property(elbo_trace* t, elbo_part* p, const char* key, char* text, std::uint32_t capacity) {
    return guarded(t, [&](Recording&) {
        auto found = p->part->property(key);
        if (!found) throw Error(Exit::plugin, fmt::format("{} has no property '{}'", p->part->info().label(), key));
        if (found->size() + 1 > capacity) throw Error(Exit::plugin, fmt::format("property '{}' is too long", key));
        std::memcpy(text, found->c_str(), found->size() + 1);
    });
}

std::int32_t call(elbo_trace* t, elbo_part* p, const char* method, const elbo_node* in, std::uint32_t n_in,
                  elbo_node* out, std::uint32_t capacity, std::uint32_t* n_out, elbo_site) {
    return guarded(t, [&](Recording& r) {
        std::vector<Var> vars;
        for (std::uint32_t i = 0; i < n_in; ++i) vars.push_back(r.var(in[i]));
        auto result = r.call(*p->part, method, vars);
        if (result.size() > capacity)
            throw Error(Exit::plugin, fmt::format("'{}' gives {} results", method, result.size()));
        for (std::size_t i = 0; i < result.size(); ++i) out[i] = result[i].node;
        *n_out = std::uint32_t(result.size());
    });
}

std::int32_t enter(elbo_trace* t, const char* scope) {
    return guarded(t, [&](Recording& r) { r.scopes.emplace_back(scope); });
}

std::int32_t leave(elbo_trace* t) {
    return guarded(t, [&](Recording& r) {
        if (r.scopes.empty()) throw Error(Exit::plugin, "leave without enter");
        r.scopes.pop_back();
    });
}

std::int32_t term(elbo_trace* t, const char* name, elbo_node value, elbo_site site) {
    return guarded(t, [&](Recording& r) {
        must_exist(r, value);
        if (r.tape.dims(value).rank != 1)
            throw Error(
                Exit::plugin,
                fmt::format("term '{}' must be one value per example, [B], and is {}", name, r.tape.dims(value).text()),
                place(site));
        r.terms.push_back({name, value});
    });
}

std::int32_t gradient(elbo_trace* t, elbo_node scalar, const elbo_node* wrt, std::uint32_t n, elbo_site,
                      elbo_node* out) {
    return guarded(t, [&](Recording& r) {
        must_exist(r, scalar);
        for (std::uint32_t i = 0; i < n; ++i) must_exist(r, wrt[i]);
        auto found = append_gradient(t, r.tape, scalar, {wrt, n});
        std::copy(found.begin(), found.end(), out);
    });
}

std::int32_t fail(elbo_trace* t, const char* message, elbo_site site) {
    return guarded(t, [&](Recording&) { throw Error(Exit::plugin, message, place(site)); });
}

const char* error(elbo_trace* t) { return t->recording->error_text.c_str(); }

std::int32_t add(elbo_registrar* registrar, const elbo_component* component) {
    try {
        registrar->components.push_back(component);
        return 0;
    } catch (...) {
        return 1;
    }
}

} // namespace

const elbo_host* host_table() {
    static const elbo_host table{sizeof(elbo_host),
                                 ELBO_ABI_MAJOR,
                                 ELBO_ABI_MINOR,
                                 add,
                                 emit,
                                 shape,
                                 parameter,
                                 state,
                                 assign,
                                 input,
                                 query,
                                 part,
                                 property,
                                 call,
                                 enter,
                                 leave,
                                 term,
                                 gradient,
                                 fail,
                                 error};
    return &table;
}

} // namespace elbo::core
