// The glue between a component class and the C tables, and ELBO_PLUGIN. Exceptions stop here.
#pragma once

#include <cstring>
#include <deque>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "kinds.hpp"
#include "parameters.hpp"

namespace elbo {

namespace detail {

inline void copy_text(char* to, std::size_t capacity, const std::string& text) {
    if (capacity == 0) return;
    std::size_t n = text.size() < capacity - 1 ? text.size() : capacity - 1;
    std::memcpy(to, text.data(), n);
    to[n] = 0;
}

/// Runs f; an exception becomes a message and a status.
template <class F>
std::int32_t guarded(elbo_why* why, F f) noexcept {
    try {
        f();
        return 0;
    } catch (const std::exception& e) {
        if (why) copy_text(why->text, sizeof why->text, e.what());
    } catch (...) {
        if (why) copy_text(why->text, sizeof why->text, "an exception that is not a std::exception");
    }
    return 1;
}

/// The C functions of component class T.
template <class T>
struct Bridge {
    static T* self(void* p) { return static_cast<T*>(p); }

    static std::int32_t create(const elbo_value* values, std::uint32_t n, void** out, elbo_why* why) {
        return guarded(why, [&] {
            auto made = std::make_unique<T>();
            Assign assign{values, n};
            made->parameters(assign);
            made->ready();
            *out = made.release();
        });
    }
    static void destroy(void* p) { delete self(p); }

    static std::int32_t property(void* p, const char* key, elbo_value* out) {
        std::int32_t status = 1;
        guarded(nullptr, [&] {
            std::optional<Fact> found = fact_of(*self(p), key);
            if (!found) return;
            static thread_local Fact kept; // lives until the next call
            kept = std::move(*found);
            *out = value_of_fact(key, kept);
            status = 0;
        });
        return status;
    }

    static std::int32_t call(void* p, elbo_trace* trace, const char* method, const char* argument, const elbo_node* in,
                             std::uint32_t n_in, elbo_node* out, std::uint32_t capacity,
                             std::uint32_t* n_out) noexcept {
        std::string message;
        try {
            Vars vars;
            for (std::uint32_t i = 0; i < n_in; ++i) vars.push_back({trace, in[i]});
            const Vars result = run(*self(p), method, argument ? argument : "", vars);
            if (result.size() > capacity)
                throw std::length_error(std::string(method) + " gives " + std::to_string(result.size()) +
                                        " values; at most " + std::to_string(capacity) + " can be given here");
            for (std::size_t i = 0; i < result.size(); ++i) {
                const In one = result[i];
                if (recording_of(method, {&one, 1}, {nullptr, 0}) != trace)
                    throw std::invalid_argument(std::string(method) +
                                                " gives a Var that was kept from another recording");
                out[i] = result[i].node;
            }
            *n_out = std::uint32_t(result.size());
            return 0;
        } catch (const Refused&) {
            return 1; // the host knows already
        } catch (const std::exception& e) {
            message = e.what();
        } catch (...) {
            message = "an exception that is not a std::exception";
        }
        host->fail(trace, message.c_str(), {nullptr, 0});
        return 1;
    }

    static std::int32_t open(void* p, elbo_rows* out, elbo_why* why) {
        return guarded(why, [&] { *out = self(p)->open(); });
    }
    static std::int32_t read(void* p, std::uint32_t field, std::int32_t split, const std::int64_t* rows, std::int64_t n,
                             float* out, elbo_why* why) {
        return guarded(why, [&] { self(p)->read(field, split, rows, n, out); });
    }
    static std::int32_t read_f64(void* p, std::uint32_t field, std::int32_t split, const std::int64_t* rows,
                                 std::int64_t n, double* out, elbo_why* why) {
        return guarded(why, [&] { self(p)->read_f64(field, split, rows, n, out); });
    }

private:
    static std::optional<Fact> fact_of(const T& part, std::string_view key) {
        for (const auto& rows : {Component::facts(), T::facts()})
            for (const FactRow& row : rows)
                if (key == row.name) return row.get(part);
        return part.fact(key);
    }
    static Vars run(const T& part, std::string_view method, std::string_view argument, const Vars& in) {
        for (const Method& row : T::template methods<T>())
            if (method == row.name && row.own) return row.run(part, argument, in);
        throw std::invalid_argument("this part has no method '" + std::string(method) +
                                    "'; a method that overrides one is declared const");
    }
};

/// The table of a component class under a name, which lives as long as the plugin; one class may have several names.
template <class T>
const elbo_component& component_of(const char* name, const char* summary) {
    static std::deque<elbo_component> tables;
    static T specimen;
    static const std::vector<elbo_param> params = [] {
        std::vector<elbo_param> all;
        Declare declare{all};
        specimen.parameters(declare);
        return all;
    }();
    static const std::vector<elbo_method> methods = [] {
        std::vector<elbo_method> all;
        for (const Method& m : T::template methods<T>())
            if (m.own) all.push_back({sizeof(elbo_method), 0, m.name, m.signature});
        return all;
    }();
    const elbo_data* rows = nullptr;
    if constexpr (std::is_base_of_v<DataSet, T>) {
        static const elbo_data data{sizeof(elbo_data), Bridge<T>::open, Bridge<T>::read,
                                    ELBO_OWN(DataSet, read_f64) ? Bridge<T>::read_f64 : nullptr};
        rows = &data;
    }
    tables.push_back({sizeof(elbo_component), std::uint32_t(params.size()), std::uint32_t(methods.size()), 0, T::kind,
                      name, summary, params.data(), methods.data(), Bridge<T>::create, Bridge<T>::destroy,
                      Bridge<T>::property, Bridge<T>::call, rows});
    return tables.back();
}

} // namespace detail

/// What the body of ELBO_PLUGIN adds its components to.
class Plugin {
public:
    explicit Plugin(elbo_registrar* registrar) : registrar_(registrar) {}

    /// Offers component class T as `name`; names match [a-z][a-z0-9_]*.
    template <class T>
    void add(const char* name, const char* summary) {
        status_ |= detail::host->add(registrar_, &detail::component_of<T>(name, summary));
    }
    std::int32_t status() const { return status_; }

private:
    elbo_registrar* registrar_;
    std::int32_t status_ = 0;
};

namespace detail {

template <void (*Register)(Plugin&)>
std::int32_t init(const elbo_host* table, elbo_registrar* registrar, elbo_why* why) {
    host = table;
    Plugin plugin(registrar);
    if (guarded(why, [&] { Register(plugin); }) != 0) return 1;
    return plugin.status();
}

/// The ELF note that says what a file is before it is loaded.
template <std::size_t N>
struct alignas(4) Note {
    std::uint32_t name_size, desc_size, type;
    char name[8];
    std::uint32_t magic;
    std::uint16_t major, minor;
    char text[(N + 3) / 4 * 4];
};

template <std::size_t N>
constexpr Note<N> make_note(const char (&text)[N]) {
    Note<N> note{5,
                 std::uint32_t(8 + sizeof(Note<N>::text)),
                 ELBO_NOTE_TYPE,
                 {'e', 'l', 'b', 'o'},
                 ELBO_NOTE_MAGIC,
                 ELBO_ABI_MAJOR,
                 ELBO_ABI_MINOR,
                 {}};
    for (std::size_t i = 0; i < N; ++i) note.text[i] = text[i];
    return note;
}

} // namespace detail
} // namespace elbo

/// ELBO_PLUGIN("laplace", "1.0.0", "prior/laplace") { plugin.add<Laplace>("laplace", "what it is"); }
/// The third text lists every component, separated by spaces; adding another one, or fewer, refuses the plugin.
#define ELBO_PLUGIN(NAME, VERSION, PROVIDES)                                                                       \
    static void elbo_register(::elbo::Plugin& plugin);                                                             \
    __attribute__((section(".note.elbo"), used, aligned(4))) static constexpr auto elbo_note =                     \
        ::elbo::detail::make_note(NAME "\n" VERSION "\n" PROVIDES);                                                \
    extern "C" {                                                                                                   \
    extern __attribute__((visibility("default"))) const elbo_entry elbo_plugin;                                    \
    __attribute__((used)) const elbo_entry elbo_plugin = {                                                         \
        sizeof(elbo_entry), ELBO_ABI_MAJOR, ELBO_ABI_MINOR, NAME, VERSION, &::elbo::detail::init<&elbo_register>}; \
    }                                                                                                              \
    static void elbo_register([[maybe_unused]] ::elbo::Plugin& plugin)
