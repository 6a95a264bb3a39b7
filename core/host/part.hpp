// A part of a run: one component of a plugin with its validated parameters.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <elbo/methods.hpp>

#include "core/base/error.hpp"

namespace elbo::core {

using ParameterValue = std::variant<bool, std::int64_t, double, std::string, std::vector<std::int64_t>>;

/// One declared parameter of a component.
struct ParameterSpec {
    std::string name, help, choices;
    std::uint32_t type = ELBO_REAL;
    ParameterValue fallback;
    double low, high;
    bool low_open = false, high_open = false;
    bool schedulable = false; ///< a schedule may stand in for the number

    /// "real", "whole number", "true|false", "text", "whole numbers", or the choices.
    std::string type_text() const;
    /// "> 0", "0 <= value < 1", "" when anything goes.
    std::string bounds_text() const;
    /// Reads a value as written on a command line or in a config file. Throws Error (usage) naming `flag`.
    ParameterValue parse(const std::string& text, const std::string& flag) const;
    /// Throws Error (usage) naming `flag` when the value is out of bounds or not a choice.
    void check(const ParameterValue& value, const std::string& flag) const;
};

/// A declaration as it crosses the C interface. Everything behind it is copied, so that nothing has to ask the plugin
/// twice.
ParameterSpec spec_of(const elbo_param& declaration);

/// "0.001", "true", "400,400"
std::string value_text(const ParameterValue& value);

/// "[B, L] -> [B, O]" (elbo/methods.hpp), read.
struct Signature {
    struct Pattern {
        std::vector<std::string> items; ///< "B", "X...", "...", "~", "3"
        char many = 0;                  ///< '*' any number, '?' one or none
    };
    std::vector<Pattern> in, out;
};
/// Throws Error (plugin) when it cannot be read.
Signature parse_signature(const std::string& text);

/// A traced method that a component has.
struct MethodInfo {
    std::string name, text; ///< text: the signature as it is written
    Signature signature;
};

/// A component as its plugin describes it.
struct ComponentInfo {
    std::string kind, name, summary;
    std::string plugin, version, file; ///< plugin's name, version and file
    std::vector<ParameterSpec> parameters;
    std::vector<MethodInfo> methods;
    const elbo_component* table = nullptr;

    const ParameterSpec* find(const std::string& parameter) const;
    /// nullptr when the part has none of that name.
    const MethodInfo* method(std::string_view name) const;
    /// "encoder 'mlp' (encoder_mlp.so 1.0.0)"
    std::string label() const;
};

struct NamedValue {
    std::string name;
    ParameterValue value;
};

class Part {
public:
    /// Makes the component; parameters not given get their default. Throws Error (usage) for an unknown or wrong one.
    /// role: what it is used as in a run; its kind when empty.
    Part(const ComponentInfo& info, const std::vector<NamedValue>& given, std::string role = "");
    ~Part();
    Part(const Part&) = delete;
    Part& operator=(const Part&) = delete;

    const ComponentInfo& info() const { return info_; }
    /// All parameters, in the order of their declaration.
    const std::vector<NamedValue>& values() const { return values_; }
    const std::string& role() const { return role_; }
    /// "encoder 'mlp' (encoder_mlp.so 1.0.0)", with the role it has.
    const std::string& label() const { return label_; }
    /// A fact it tells of itself; nothing when it does not know that key.
    std::optional<Fact> property(const std::string& key) const;
    /// The same, of the type it must have. Throws Error (plugin) when it says nothing or has another type.
    template <class T>
    T fact(const std::string& key) const {
        const auto found = property(key);
        if (const T* value = found ? std::get_if<T>(&*found) : nullptr) return *value;
        throw Error(Exit::plugin, label() + " says nothing of '" + key + "', or not in the type it must have");
    }
    void* self() const { return self_; }
    elbo_part* handle();

private:
    const ComponentInfo& info_;
    std::string role_, label_;
    std::vector<NamedValue> values_;
    void* self_ = nullptr;
    std::unique_ptr<elbo_part> handle_;
};

} // namespace elbo::core

/// The C face of a Part.
struct elbo_part {
    elbo::core::Part* part;
};
