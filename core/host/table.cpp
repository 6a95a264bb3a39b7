// The table of C functions that plugins call: the graph's (core/graph/builder.cpp), and here those that need a run.
// Each one catches everything, keeps the error in the recording and answers with a status.
#include <fmt/format.h>

#include <algorithm>

#include "core/base/text.hpp"
#include "core/host/recording.hpp"

namespace elbo::core {

namespace {

constexpr std::int64_t kLargestDim = std::int64_t(1) << 40;

template <class F>
std::int32_t recorded(elbo_trace* trace, F f) noexcept {
    return guarded(trace, [&](Builder& b) {
        auto* r = dynamic_cast<Recording*>(&b);
        if (!r) throw Error(Exit::plugin, "this recording belongs to no run: there are no parts and no tensors");
        f(*r);
    });
}

Dims dims_of(const elbo_tensor& spec, elbo_site site) {
    if (!spec.name || !valid_tensor_name(spec.name) || spec.rank > kMaxRank)
        throw Error(Exit::plugin,
                    fmt::format("'{}' is no name for a tensor, or it has more than {} dimensions: names are letters, "
                                "digits, '_' and '.'",
                                spec.name ? spec.name : "", kMaxRank),
                    place_text(site));
    Dims dims;
    for (std::uint32_t i = 0; i < spec.rank; ++i) {
        if (spec.dims[i] < 0 || spec.dims[i] > kLargestDim)
            throw Error(Exit::plugin, fmt::format("tensor '{}': {} is no size", spec.name, spec.dims[i]),
                        place_text(site));
        dims.push(spec.dims[i]);
    }
    // Before any memory is asked for.
    if (dims.numel() > kMostValues)
        throw Error(Exit::plugin,
                    fmt::format("tensor '{}': {} has more than {} values", spec.name, dims.text(), kMostValues),
                    place_text(site));
    return dims;
}

InitSpec init_of(const elbo_tensor& spec) { return {spec.init ? spec.init : "zeros", spec.a, spec.b}; }

std::int32_t parameter(elbo_trace* t, const elbo_tensor* spec, elbo_site site, elbo_node* out) {
    return recorded(t, [&](Recording& r) {
        *out = r.tensor(spec->name, dims_of(*spec, site), init_of(*spec), Keep::trained, site).node;
    });
}

std::int32_t state(elbo_trace* t, const elbo_tensor* spec, elbo_site site, elbo_node* out) {
    return recorded(t,
                    [&](Recording& r) { *out = r.state(spec->name, dims_of(*spec, site), init_of(*spec), site).node; });
}

std::int32_t assign(elbo_trace* t, elbo_node target, elbo_node value, elbo_site site) {
    return recorded(t, [&](Recording& r) {
        r.must_exist(target);
        r.must_exist(value);
        r.assign(target, value, site);
    });
}

std::int32_t input(elbo_trace* t, const char* name, elbo_site site, elbo_node* out) {
    return guarded(t, [&](Builder& b) {
        std::vector<std::string> known;
        for (const RunInput& i : kRunInputs) known.emplace_back(i.name);
        if (std::find(known.begin(), known.end(), name) == known.end())
            throw Error(Exit::plugin,
                        fmt::format("no input is called '{}'; there are {}", name, fmt::join(known, ", ")),
                        place_text(site));
        *out = b.input(name, {}, site).node;
    });
}

std::int32_t field(elbo_trace* t, const char* name, elbo_site site, elbo_node* out) {
    return recorded(t, [&](Recording& r) { *out = r.field(name, site).node; });
}

std::int32_t scheduled(elbo_trace* t, const char* parameter, double value, elbo_site site, elbo_node* out) {
    return recorded(t, [&](Recording& r) { *out = r.scheduled(parameter, value, site).node; });
}

// What a fact points to lives until the next call of the same function on this thread.
struct Given {
    Fact fact;
    std::string key;
    void out(Fact f, const char* k, elbo_value* to) {
        fact = std::move(f);
        key = k;
        *to = elbo::detail::value_of_fact(key.c_str(), fact);
    }
};

template <class F>
std::int32_t placed(elbo_trace* t, elbo_site site, F f) {
    return recorded(t, [&](Recording& r) {
        try {
            f(r);
        } catch (Error& e) {
            if (e.where().empty()) e.set_where(place_text(site));
            throw;
        }
    });
}

std::int32_t query(elbo_trace* t, const char* key, elbo_site site, elbo_value* out) {
    static thread_local Given given;
    return placed(t, site, [&](Recording& r) { given.out(r.query(key), key, out); });
}

std::int32_t part(elbo_trace* t, const char* role, const char* kind, elbo_site site, elbo_part** out) {
    return placed(t, site, [&](Recording& r) {
        Part& found = r.environment().part(role);
        if (found.info().kind != kind)
            throw Error(Exit::plugin, fmt::format("the part in role '{}' is of kind {}, and is asked as {}", role,
                                                  found.info().kind, kind));
        *out = found.handle();
    });
}

std::int32_t property(elbo_trace* t, elbo_part* p, const char* key, elbo_site site, elbo_value* out) {
    static thread_local Given given;
    return placed(t, site, [&](Recording&) {
        auto found = p->part->property(key);
        if (!found) throw Error(Exit::plugin, fmt::format("{} says nothing of '{}'", p->part->label(), key));
        given.out(std::move(*found), key, out);
    });
}

std::int32_t call(elbo_trace* t, elbo_part* p, const char* method, const char* argument, std::uint32_t flags,
                  const elbo_node* in, std::uint32_t n_in, elbo_node* out, std::uint32_t capacity, std::uint32_t* n_out,
                  elbo_site site) {
    return recorded(t, [&](Recording& r) {
        std::vector<Var> vars;
        for (std::uint32_t i = 0; i < n_in; ++i) {
            r.must_exist(in[i]);
            vars.push_back(r.var(in[i]));
        }
        const auto result = r.call(*p->part, method, vars, argument, flags, site);
        if (result.size() > capacity)
            throw Error(Exit::plugin, fmt::format("'{}' gives {} results", method, result.size()));
        for (std::size_t i = 0; i < result.size(); ++i) out[i] = result[i].node;
        *n_out = std::uint32_t(result.size());
    });
}

std::int32_t enter(elbo_trace* t, const char* scope) {
    return recorded(t, [&](Recording& r) {
        if (!valid_tensor_name(scope)) throw Error(Exit::plugin, fmt::format("'{}' is no name for a scope", scope));
        r.enter(scope);
    });
}

std::int32_t leave(elbo_trace* t) {
    return recorded(t, [&](Recording& r) { r.leave(); });
}

std::int32_t term(elbo_trace* t, const char* name, elbo_node value, std::uint32_t flags, elbo_site site) {
    return recorded(t, [&](Recording& r) {
        r.must_exist(value);
        r.add_term(name, value, flags, site);
    });
}

std::int32_t objective(elbo_trace* t, const char* name, elbo_node value, const char* roles, const char* optimizer,
                       elbo_site site) {
    return recorded(t, [&](Recording& r) {
        r.must_exist(value);
        r.add_objective({name, value, words_of(roles), optimizer}, site);
    });
}

std::int32_t trained_tensors(elbo_trace* t, const char* role, elbo_site site, elbo_node* out, std::uint32_t capacity,
                             std::uint32_t* n_out) {
    return placed(t, site, [&](Recording& r) {
        const auto all = r.trained_tensors(role);
        for (std::size_t i = 0; i < std::min<std::size_t>(all.size(), capacity); ++i) out[i] = all[i];
        *n_out = std::uint32_t(all.size());
    });
}

const void* extension(const char* id) {
    static const elbo_trained trained{sizeof(elbo_trained), trained_tensors};
    return std::string_view(id) == ELBO_TRAINED ? &trained : nullptr;
}

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
    static const elbo_host table = [] {
        elbo_host t = graph_functions();
        t.add = add;
        t.parameter = parameter;
        t.state = state;
        t.assign = assign;
        t.input = input;
        t.field = field;
        t.scheduled = scheduled;
        t.query = query;
        t.part = part;
        t.property = property;
        t.call = call;
        t.enter = enter;
        t.leave = leave;
        t.term = term;
        t.objective = objective;
        t.extension = extension;
        return t;
    }();
    return &table;
}

} // namespace elbo::core
