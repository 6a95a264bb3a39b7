// A component's parameters, declared once as members:
//
//     double scale = 1;
//     void parameters(auto& p) { p("scale", scale, "spread of each latent", positive); }
//
// The declaration gives the flag, the config key, the check and the help. Types: bool, int64_t, double, std::string,
// std::vector<int64_t>, and Scheduled for a real number that a schedule may move; the member's initial value is the
// default.
#pragma once

#include <cmath>
#include <cstdint>
#include <deque>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "ops.hpp"

namespace elbo {

/// Which values a parameter may take; checked by the host before the component is made.
struct Rule {
    double low = -std::numeric_limits<double>::infinity();
    double high = std::numeric_limits<double>::infinity();
    std::uint32_t flags = 0;
    const char* choices = nullptr;
};
inline constexpr Rule anything{};
inline constexpr Rule positive{0, std::numeric_limits<double>::infinity(), ELBO_LOW_OPEN, nullptr};
inline constexpr Rule not_negative{0, std::numeric_limits<double>::infinity(), 0, nullptr};
inline constexpr Rule fraction{0, 1, ELBO_HIGH_OPEN, nullptr}; ///< 0 <= v < 1
/// low <= v <= high
constexpr Rule within(double low, double high) { return {low, high, 0, nullptr}; }
/// One of the texts separated by '|'. The argument must live as long as the plugin.
constexpr Rule one_of(const char* choices) { return {anything.low, anything.high, 0, choices}; }

/// A real parameter that may follow a schedule: `Scheduled lr{1e-3};`, used as lr(x). The user writes
/// --optimizer.lr.schedule cosine.
struct Scheduled {
    double value = 0; ///< as it was given
    const char* name = "";

    Scheduled(double v) : value(v) {}
    /// The number at this step, a scalar; outside of training, the number as it was given.
    Var operator()(In like) const {
        Var out{detail::recording_of(name, {&like, 1}, like.site), -1};
        detail::check(out.trace,
                      detail::host->scheduled(out.trace, name, value, detail::Inside::at(like.site), &out.node));
        return out;
    }
};

namespace detail {

template <class T>
inline constexpr bool is_parameter =
    std::is_same_v<T, bool> || std::is_same_v<T, std::int64_t> || std::is_same_v<T, double> ||
    std::is_same_v<T, std::string> || std::is_same_v<T, std::vector<std::int64_t>> || std::is_same_v<T, Scheduled>;

inline elbo_value value_of(const char* key, bool v) {
    elbo_value out{key, ELBO_BOOL, 0, {}};
    out.as.integer = v;
    return out;
}
inline elbo_value value_of(const char* key, std::int64_t v) {
    elbo_value out{key, ELBO_INT, 0, {}};
    out.as.integer = v;
    return out;
}
inline elbo_value value_of(const char* key, double v) {
    elbo_value out{key, ELBO_REAL, 0, {}};
    out.as.real = v;
    return out;
}
inline elbo_value value_of(const char* key, const std::string& v) {
    elbo_value out{key, ELBO_TEXT, 0, {}};
    out.as.text = v.c_str();
    return out;
}
inline elbo_value value_of(const char* key, const std::vector<std::int64_t>& v) {
    elbo_value out{key, ELBO_INTS, std::uint32_t(v.size()), {}};
    out.as.ints = v.data();
    return out;
}
inline elbo_value value_of(const char* key, const Scheduled& v) { return value_of(key, v.value); }
inline void take(bool& to, const elbo_value& v) { to = v.as.integer != 0; }
inline void take(std::int64_t& to, const elbo_value& v) { to = v.as.integer; }
inline void take(double& to, const elbo_value& v) { to = v.as.real; }
inline void take(Scheduled& to, const elbo_value& v) { to.value = v.as.real; }
inline void take(std::string& to, const elbo_value& v) { to = v.as.text; }
inline void take(std::vector<std::int64_t>& to, const elbo_value& v) { to.assign(v.as.ints, v.as.ints + v.count); }

/// Collects declarations; the texts and lists of the defaults live in the specimen they were read from.
struct Declare {
    std::vector<elbo_param>& out;
    template <class T>
    void operator()(const char* name, T& member, const char* help, const Rule& rule = anything) {
        static_assert(is_parameter<T>,
                      "a parameter is a bool, std::int64_t, double, std::string, "
                      "std::vector<std::int64_t> or elbo::Scheduled");
        const std::uint32_t flags = rule.flags | (std::is_same_v<T, Scheduled> ? std::uint32_t(ELBO_SCHEDULABLE) : 0u);
        out.push_back({sizeof(elbo_param), flags, help, value_of(name, member), rule.low, rule.high, rule.choices});
    }
};

/// Copies the host's values into the members.
struct Assign {
    const elbo_value* values;
    std::uint32_t n;
    template <class T>
    void operator()(const char* name, T& member, const char*, const Rule& = anything) {
        if constexpr (std::is_same_v<T, Scheduled>) member.name = name;
        for (std::uint32_t i = 0; i < n; ++i)
            if (std::string_view(values[i].key) == name) take(member, values[i]);
    }
};

} // namespace detail
} // namespace elbo
