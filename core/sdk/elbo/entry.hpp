// The glue between a component class and the C tables, and ELBO_PLUGIN. Exceptions stop here.
#pragma once

#include <cstring>
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

    static std::int32_t property(void* p, const char* key, char* text, std::uint32_t capacity) {
        std::int32_t status = 1;
        guarded(nullptr, [&] {
            if (auto found = self(p)->property(key)) {
                copy_text(text, capacity, *found);
                status = 0;
            }
        });
        return status;
    }

    static std::int32_t call(void* p, elbo_trace* trace, const char* method, const elbo_node* in, std::uint32_t n_in,
                             elbo_node* out, std::uint32_t capacity, std::uint32_t* n_out) noexcept {
        std::string message;
        try {
            Vars vars;
            for (std::uint32_t i = 0; i < n_in; ++i) vars.push_back({trace, in[i]});
            Vars result = self(p)->call(method, vars);
            if (result.size() > capacity) throw std::length_error("too many results");
            for (std::size_t i = 0; i < result.size(); ++i) out[i] = result[i].node;
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
    static std::int32_t read(void* p, std::int32_t split, const std::int64_t* rows, std::int64_t n, float* out,
                             elbo_why* why) {
        return guarded(why, [&] { self(p)->read(split, rows, n, out); });
    }
    static std::int32_t labels(void* p, std::int32_t split, const std::int64_t* rows, std::int64_t n, double* out,
                               elbo_why* why) {
        return guarded(why, [&] { self(p)->labels(split, rows, n, out); });
    }
};

} // namespace detail

/// What the body of ELBO_PLUGIN adds its components to.
class Plugin {
public:
    explicit Plugin(elbo_registrar* registrar) : registrar_(registrar) {}

    /// Offers component class T as `name`; names match [a-z][a-z0-9_]*.
    template <class T>
    void add(const char* name, const char* summary) {
        using Bridge = detail::Bridge<T>;
        static T specimen;
        static std::vector<elbo_param> params;
        static elbo_data data{sizeof(elbo_data), nullptr, nullptr, nullptr};
        static elbo_component table{};
        params.clear();
        detail::Declare declare{params};
        specimen.parameters(declare);
        const elbo_data* rows = nullptr;
        if constexpr (std::is_base_of_v<DataSet, T>) {
            data.open = Bridge::open;
            data.read = Bridge::read;
            data.labels = Bridge::labels;
            rows = &data;
        }
        table = {sizeof(elbo_component),
                 std::uint32_t(params.size()),
                 T::kind,
                 name,
                 summary,
                 params.data(),
                 Bridge::create,
                 Bridge::destroy,
                 Bridge::property,
                 Bridge::call,
                 rows};
        status_ |= detail::host->add(registrar_, &table);
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
