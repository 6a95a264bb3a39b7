// How a kind's methods cross the boundary: from one row of its table come the call on this side, the call of another
// part, and the sizes the host checks. A signature gives sizes of operands and results:
//
//     "[B, L] -> [B, O]"     B rows, L the code, D the values of a row, O what a decoder gives, X... the shape of a
//     row;
//                            other capitals are any size, the same one wherever they stand; ... is any dimensions
//     "[B, ...]* -> [B]?"    * any number of operands or results; ? one or none
//     "[~, ...]*, [~, L] -> [~]"   ~ dimensions that broadcast, as many as the last operand has
//
// docs/interface.md is generated from these tables.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <variant>
#include <vector>

#include "ops.hpp"

namespace elbo {

/// Several Vars: the parameters of a posterior. An index that is not there is refused.
struct Vars : std::vector<Var> {
    using std::vector<Var>::vector;
    Vars(const std::vector<Var>& v) : std::vector<Var>(v) {}
    const Var& operator[](std::size_t i) const { return const_cast<Vars&>(*this)[i]; }
    Var& operator[](std::size_t i) {
        if (i >= size())
            throw std::out_of_range("value " + std::to_string(i) + " of a list of " + std::to_string(size()) +
                                    " was asked for");
        return std::vector<Var>::operator[](i);
    }
};

/// Something a part says of itself.
using Fact = std::variant<bool, std::int64_t, double, std::string, std::vector<std::int64_t>, std::vector<double>>;

struct Component;

namespace detail {

/// Whether a part must have a method, may lack it, or gets the kind's own version where it has none.
enum class Presence : std::uint8_t { needed, optional, defaulted };

/// One row of a kind's table of methods.
struct Method {
    const char *name, *signature;
    Presence presence;
    bool takes_text; ///< a text goes with the operands
    bool own;        ///< this part has it: a class that does not override an optional method lacks it
    Vars (*run)(const Component&, std::string_view argument, const Vars& in);
};

/// One row of a kind's table of facts.
struct FactRow {
    const char* name;
    std::uint32_t type; ///< ELBO_BOOL, ...
    Fact (*get)(const Component&);
};

inline Vars to_vars(Var v) { return {v}; }
inline Vars to_vars(Vars v) { return v; }
inline Vars to_vars(std::optional<Var> v) { return v ? Vars{*v} : Vars{}; }

template <class R>
R from_vars(const char* method, const Vars& v) {
    if constexpr (std::is_same_v<R, Vars>) return v;
    else if constexpr (std::is_same_v<R, std::optional<Var>>) return v.empty() ? R{} : R{v[0]};
    else if (v.size() == 1) return v[0];
    throw std::invalid_argument(std::string(method) + " must give one value and gives " + std::to_string(v.size()));
}

/// Hands out the operands of a call to parameters of type Var, Vars and std::string_view, in order.
class Operands {
public:
    Operands(std::string_view argument, const Vars& in, std::size_t singles, bool list)
        : argument_(argument), in_(in), listed_(list ? in.size() - std::min(singles, in.size()) : 0) {
        if (in.size() < singles || (!list && in.size() > singles))
            throw std::invalid_argument("takes " + std::to_string(singles) + (list ? " or more" : "") +
                                        " operands, given " + std::to_string(in.size()));
    }
    template <class T>
    auto next() {
        if constexpr (std::is_same_v<T, Var>) return in_[at_++];
        else if constexpr (std::is_same_v<T, std::string_view>) return argument_;
        else {
            const auto begin = in_.begin() + std::ptrdiff_t(at_);
            at_ += listed_;
            return Vars(begin, begin + std::ptrdiff_t(listed_));
        }
    }

private:
    std::string_view argument_;
    const Vars& in_;
    std::size_t listed_, at_ = 0;
};

template <class K, class R, class... A>
Vars invoke(const K& self, R (K::*method)(A...) const, std::string_view argument, const Vars& in) {
    constexpr std::size_t singles = (std::size_t(std::is_same_v<std::decay_t<A>, Var>) + ... + 0);
    constexpr bool list = (std::is_same_v<std::decay_t<A>, Vars> || ...);
    Operands operands(argument, in, singles, list);
    std::tuple<std::decay_t<A>...> given{operands.template next<std::decay_t<A>>()...}; // braces: in order
    return std::apply([&](auto&... a) { return to_vars((self.*method)(a...)); }, given);
}

template <auto method>
struct Row;
template <class K, class R, class... A, R (K::*method)(A...) const>
struct Row<method> {
    static constexpr bool takes_text = (std::is_same_v<std::decay_t<A>, std::string_view> || ...);
    static Vars run(const Component& self, std::string_view argument, const Vars& in) {
        return invoke(static_cast<const K&>(self), method, argument, in);
    }
};
template <auto get>
struct FactOf;
template <class K, class R, R (K::*get)() const>
struct FactOf<get> {
    static constexpr std::uint32_t type = std::is_same_v<R, bool>                        ? ELBO_BOOL
                                          : std::is_same_v<R, std::int64_t>              ? ELBO_INT
                                          : std::is_same_v<R, double>                    ? ELBO_REAL
                                          : std::is_same_v<R, std::string>               ? ELBO_TEXT
                                          : std::is_same_v<R, std::vector<std::int64_t>> ? ELBO_INTS
                                                                                         : ELBO_REALS;
    static Fact read(const Component& self) { return (static_cast<const K&>(self).*get)(); }
};

/// T of `methods<T>()` where a kind's rows are read and there is no part: everything is T's own.
struct AnyPart {};

// clang-format off
/// Whether T has its own version of a method of kind K. What cannot be named from outside is T's own.
#define ELBO_OWN(K, NAME)                                                                                              \
    [] {                                                                                                               \
        if constexpr (requires { &T::NAME; }) return !std::is_same_v<decltype(&T::NAME), decltype(&K::NAME)>;          \
        else return true;                                                                                              \
    }()
#define ELBO_ROW(K, NAME, SIGNATURE, PRESENCE, OWN)                                                                    \
    ::elbo::detail::Method{#NAME, SIGNATURE, ::elbo::detail::Presence::PRESENCE,                                       \
                           ::elbo::detail::Row<&K::NAME>::takes_text, OWN, ::elbo::detail::Row<&K::NAME>::run}
/// Rows of a table, within `template <class T> static std::vector<detail::Method> methods()`.
#define ELBO_METHOD(K, NAME, SIGNATURE)                                                                                \
    ELBO_ROW(K, NAME, SIGNATURE, needed, [] {                                                                        \
        constexpr bool own = ELBO_OWN(K, NAME);                                                                        \
        static_assert(own, #K "::" #NAME " is missing");                                                               \
        return own;                                                                                                    \
    }())
/// A method a part may lack.
#define ELBO_OPTIONAL(K, NAME, SIGNATURE) ELBO_ROW(K, NAME, SIGNATURE, optional, ELBO_OWN(K, NAME))
/// A method with a version in the kind itself.
#define ELBO_DEFAULTED(K, NAME, SIGNATURE) ELBO_ROW(K, NAME, SIGNATURE, defaulted, true)
#define ELBO_FACT(K, NAME)                                                                                             \
    ::elbo::detail::FactRow{#NAME, ::elbo::detail::FactOf<&K::NAME>::type, ::elbo::detail::FactOf<&K::NAME>::read}
// clang-format on

/// Stands for a part of the run that the host holds; all null in a part that is being asked itself.
struct Far {
    elbo_trace* trace = nullptr;
    elbo_part* part = nullptr;
    Site site{nullptr, 0};
    std::uint32_t flags = 0;
};

inline Fact fact_of(const elbo_value& v) {
    switch (v.type) {
        case ELBO_BOOL: return v.as.integer != 0;
        case ELBO_INT: return v.as.integer;
        case ELBO_REAL: return v.as.real;
        case ELBO_INTS: return std::vector<std::int64_t>(v.as.ints, v.as.ints + v.count);
        case ELBO_REALS: return std::vector<double>(v.as.reals, v.as.reals + v.count);
        default: return std::string(v.as.text);
    }
}

/// The other way; what it points to is the fact's.
inline elbo_value value_of_fact(const char* key, const Fact& fact) {
    elbo_value v{key, ELBO_TEXT, 0, {}};
    if (auto* b = std::get_if<bool>(&fact)) v.type = ELBO_BOOL, v.as.integer = *b;
    if (auto* i = std::get_if<std::int64_t>(&fact)) v.type = ELBO_INT, v.as.integer = *i;
    if (auto* r = std::get_if<double>(&fact)) v.type = ELBO_REAL, v.as.real = *r;
    if (auto* t = std::get_if<std::string>(&fact)) v.as.text = t->c_str();
    if (auto* l = std::get_if<std::vector<std::int64_t>>(&fact))
        v.type = ELBO_INTS, v.as.ints = l->data(), v.count = std::uint32_t(l->size());
    if (auto* l = std::get_if<std::vector<double>>(&fact))
        v.type = ELBO_REALS, v.as.reals = l->data(), v.count = std::uint32_t(l->size());
    return v;
}

template <class T>
T fact_as(const char* key, const elbo_value& v) {
    const Fact f = fact_of(v);
    if (const T* value = std::get_if<T>(&f)) return *value;
    throw std::invalid_argument(std::string("'") + key + "' is of another type than was asked for");
}

/// A fact about the run.
template <class T>
T query(const char* key, In like) {
    elbo_trace* trace = recording_of(key, {&like, 1}, like.site);
    elbo_value v{};
    check(trace, host->query(trace, key, Inside::at(like.site), &v));
    return fact_as<T>(key, v);
}

} // namespace detail

/// What every part is. Construct cheaply: a specimen is made to read the declared parameters.
struct Component {
    virtual ~Component() = default;
    /// Hide this with your own to declare parameters.
    void parameters(auto&) {}
    /// Called after the parameters are set; throw std::invalid_argument for combinations that make no sense.
    virtual void ready() {}
    /// Roles of other parts it uses, each with its default: "encoder=mlp critic:encoder=mlp" (role:kind=default; the
    /// kind may be left out where the role is named as it).
    virtual std::string uses() const { return {}; }
    /// Facts beyond those of the kind, which other parts may ask for by name.
    virtual std::optional<Fact> fact(std::string_view) const { return {}; }

    /// The tables of a kind; a kind hides these with its own.
    template <class T>
    static std::vector<detail::Method> methods() {
        return {};
    }
    static std::vector<detail::FactRow> facts() { return {ELBO_FACT(Component, uses)}; }

    detail::Far far_; ///< set where this object stands for another part of the run

protected:
    /// What a method that a part does not have does: asks the part this object stands for.
    template <class R = Var, class... A>
    R ask(const char* method, A&&... operands) const {
        if (!far_.trace) throw std::invalid_argument(std::string("this part has no method '") + method + "'");
        std::vector<elbo_node> in;
        const char* argument = nullptr;
        std::string text;
        auto take = [&](const auto& x) {
            using X = std::decay_t<decltype(x)>;
            if constexpr (std::is_same_v<X, Var>) in.push_back(x.node), same(method, x);
            else if constexpr (std::is_same_v<X, Vars>)
                for (Var v : x) in.push_back(v.node), same(method, v);
            else text = std::string(x), argument = text.c_str();
        };
        (take(operands), ...);
        std::vector<elbo_node> out(in.size() + ELBO_MOST_RESULTS);
        std::uint32_t n = 0;
        detail::check(far_.trace, detail::host->call(far_.trace, far_.part, method, argument, far_.flags, in.data(),
                                                     std::uint32_t(in.size()), out.data(), std::uint32_t(out.size()),
                                                     &n, detail::Inside::at(far_.site)));
        Vars result;
        for (std::uint32_t i = 0; i < n; ++i) result.push_back({far_.trace, out[i]});
        return detail::from_vars<R>(method, result);
    }
    /// A fact of the part this object stands for.
    template <class T>
    T told(const char* key) const {
        if (!far_.trace) throw std::invalid_argument(std::string("this part says nothing of '") + key + "'");
        elbo_value v{};
        detail::check(far_.trace,
                      detail::host->property(far_.trace, far_.part, key, detail::Inside::at(far_.site), &v));
        return detail::fact_as<T>(key, v);
    }
    bool is_far() const { return far_.trace != nullptr; }

private:
    void same(const char* method, Var v) const {
        const std::array<In, 1> one{In(v)};
        if (detail::recording_of(method, one, far_.site) != far_.trace)
            detail::refuse(far_.trace, std::string(method) + ": an operand comes from another recording", far_.site);
    }
};

/// The part of the run in a role: `the<Encoder>(x)`, `the<Encoder>(x, "critic")`. Sizes are checked where they cross.
template <class Kind>
Kind the(In like, const char* role = Kind::kind) {
    Kind k;
    k.far_ = {detail::recording_of(role, {&like, 1}, like.site), nullptr, like.site, 0};
    detail::check(k.far_.trace,
                  detail::host->part(k.far_.trace, role, Kind::kind, detail::Inside::at(like.site), &k.far_.part));
    return k;
}
/// The same, asked on the side: what the part assigns while it is asked (running statistics) is dropped.
template <class Kind>
Kind auxiliary(In like, const char* role = Kind::kind) {
    Kind k = the<Kind>(like, role);
    k.far_.flags |= ELBO_CALL_AUXILIARY;
    return k;
}

} // namespace elbo
