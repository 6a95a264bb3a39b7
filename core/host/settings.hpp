// Settings of the host's own structs, declared as plugins declare their parameters:
//
//     std::int64_t latent = 20;
//     void parameters(auto& p) { p("latent", latent, "size of the code", within(1, 1 << 20)); }
//
// One line gives the flag, the config key, the check and the help.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <elbo/parameters.hpp>

#include "core/host/part.hpp"

namespace elbo::core {

/// In the order of their declaration, with the values of a fresh T as defaults.
template <class T>
std::vector<ParameterSpec> declared() {
    T specimen;
    std::vector<elbo_param> params;
    elbo::detail::Declare declare{params};
    specimen.parameters(declare);
    std::vector<ParameterSpec> out;
    for (const elbo_param& p : params) out.push_back(spec_of(p));
    return out;
}

/// Calls use(member) with the member of that name, which must be declared.
template <class T, class Use>
void with_setting(T& settings, std::string_view name, Use use) {
    bool found = false;
    auto visit = [&](const char* member_name, auto& member, const char*, const Rule& = anything) {
        if (member_name != name) return;
        use(member);
        found = true;
    };
    settings.parameters(visit);
    if (!found) throw std::logic_error("no setting " + std::string(name));
}

/// The value must be of the type that was declared.
template <class T>
void set_value(T& settings, std::string_view name, const ParameterValue& value) {
    with_setting(settings, name,
                 [&](auto& member) { member = std::get<std::remove_reference_t<decltype(member)>>(value); });
}

template <class T>
ParameterValue value_of(T settings, std::string_view name) {
    ParameterValue out;
    with_setting(settings, name, [&](auto& member) { out = member; });
    return out;
}

} // namespace elbo::core
