#include "core/host/part.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "core/base/text.hpp"
#include "core/host/outside.hpp"

namespace elbo::core {

std::string ParameterSpec::type_text() const {
    if (!choices.empty()) return choices;
    switch (type) {
        case ELBO_BOOL: return "true|false";
        case ELBO_INT: return "whole number";
        case ELBO_REAL: return "real";
        case ELBO_INTS: return "whole numbers";
        default: return "text";
    }
}

std::string ParameterSpec::bounds_text() const {
    const bool has_low = std::isfinite(low), has_high = std::isfinite(high);
    if (has_low && has_high)
        return fmt::format("{} {} value {} {}", low, low_open ? "<" : "<=", high_open ? "<" : "<=", high);
    if (has_low) return fmt::format("{} {}", low_open ? ">" : ">=", low);
    if (has_high) return fmt::format("{} {}", high_open ? "<" : "<=", high);
    return "";
}

ParameterValue ParameterSpec::parse(const std::string& text, const std::string& flag) const {
    auto wrong = [&] {
        return Error(Exit::usage, fmt::format("{}: '{}' is not a {}", flag, text,
                                              type == ELBO_INTS ? "list of whole numbers like 400,400" : type_text()));
    };
    ParameterValue value;
    if (type == ELBO_BOOL) {
        if (text != "true" && text != "false" && text != "1" && text != "0") throw wrong();
        value = text == "true" || text == "1";
    } else if (type == ELBO_INT) {
        auto v = parse_number<std::int64_t>(text);
        if (!v) throw wrong();
        value = *v;
    } else if (type == ELBO_REAL) {
        auto v = parse_number<double>(text);
        if (!v || !std::isfinite(*v)) throw wrong();
        value = *v;
    } else if (type == ELBO_INTS) {
        std::vector<std::int64_t> list;
        for (const auto& piece : pieces(text, ',')) {
            auto v = parse_number<std::int64_t>(piece);
            if (!v) throw wrong();
            list.push_back(*v);
        }
        value = list;
    } else {
        value = text;
    }
    check(value, flag);
    return value;
}

void ParameterSpec::check(const ParameterValue& value, const std::string& flag) const {
    auto bounded = [&](double v) {
        const bool fits = (low_open ? v > low : v >= low) && (high_open ? v < high : v <= high);
        if (!fits)
            throw Error(Exit::usage, fmt::format("{}: {} is out of bounds; it must be {}", flag, v, bounds_text()));
    };
    if (auto* i = std::get_if<std::int64_t>(&value)) bounded(double(*i));
    if (auto* r = std::get_if<double>(&value)) bounded(*r);
    if (auto* list = std::get_if<std::vector<std::int64_t>>(&value))
        for (auto v : *list) bounded(double(v));
    if (auto* text = std::get_if<std::string>(&value); text && !choices.empty()) {
        auto allowed = pieces(choices, '|');
        if (std::find(allowed.begin(), allowed.end(), *text) == allowed.end())
            throw Error(Exit::usage, fmt::format("{}: '{}' is not a choice; there are {}{}", flag, *text, choices,
                                                 did_you_mean(*text, allowed)));
    }
}

ParameterSpec spec_of(const elbo_param& p) {
    ParameterSpec s;
    s.name = p.fallback.key;
    s.help = p.help ? p.help : "";
    s.choices = p.choices ? p.choices : "";
    s.type = p.fallback.type;
    s.low = p.low;
    s.high = p.high;
    s.low_open = (p.flags & ELBO_LOW_OPEN) != 0;
    s.high_open = (p.flags & ELBO_HIGH_OPEN) != 0;
    s.schedulable = (p.flags & ELBO_SCHEDULABLE) != 0 && p.fallback.type == ELBO_REAL;
    switch (p.fallback.type) {
        case ELBO_BOOL: s.fallback = p.fallback.as.integer != 0; break;
        case ELBO_INT: s.fallback = p.fallback.as.integer; break;
        case ELBO_REAL: s.fallback = p.fallback.as.real; break;
        case ELBO_TEXT: s.fallback = std::string(p.fallback.as.text ? p.fallback.as.text : ""); break;
        case ELBO_INTS:
            s.fallback = std::vector<std::int64_t>(p.fallback.as.ints, p.fallback.as.ints + p.fallback.count);
            break;
        default: throw Error(Exit::plugin, fmt::format("parameter '{}' has unknown type {}", s.name, p.fallback.type));
    }
    return s;
}

std::string value_text(const ParameterValue& value) {
    struct Text {
        std::string operator()(bool v) const { return v ? "true" : "false"; }
        std::string operator()(std::int64_t v) const { return std::to_string(v); }
        std::string operator()(double v) const { return fmt::format("{}", v); }
        std::string operator()(const std::string& v) const { return v; }
        std::string operator()(const std::vector<std::int64_t>& v) const {
            return fmt::format("{}", fmt::join(v, ","));
        }
    };
    return std::visit(Text{}, value);
}

const ParameterSpec* ComponentInfo::find(const std::string& parameter) const {
    for (const auto& p : parameters)
        if (p.name == parameter) return &p;
    return nullptr;
}

const MethodInfo* ComponentInfo::method(std::string_view wanted) const {
    for (const auto& m : methods)
        if (m.name == wanted) return &m;
    return nullptr;
}

std::string ComponentInfo::label() const {
    return fmt::format("{} '{}' ({} {})", kind, name, std::filesystem::path(file).filename().string(), version);
}

Part::Part(const ComponentInfo& info, const std::vector<NamedValue>& given, std::string role)
    : info_(info), role_(role.empty() ? info.kind : std::move(role)),
      label_(role_ == info.kind ? info.label()
                                : fmt::format("{} '{}' ({} {})", role_, info.name,
                                              std::filesystem::path(info.file).filename().string(), info.version)) {
    for (const auto& g : given) {
        if (info.find(g.name)) continue;
        std::vector<std::string> known;
        for (const auto& p : info.parameters) known.push_back(p.name);
        throw Error(Exit::usage, fmt::format("{} '{}' has no parameter '{}'{}", info.kind, info.name, g.name,
                                             did_you_mean(g.name, known)))
            .note(known.empty() ? "it has none" : fmt::format("it has {}", fmt::join(known, ", ")));
    }
    for (const auto& p : info.parameters) {
        ParameterValue value = p.fallback;
        for (const auto& g : given)
            if (g.name == p.name) value = g.value;
        if (value.index() != p.fallback.index())
            throw Error(Exit::usage, fmt::format("{}.{}: expected {}", info.kind, p.name, p.type_text()));
        p.check(value, info.kind + "." + p.name);
        values_.push_back({p.name, std::move(value)});
    }
    std::vector<elbo_value> raw;
    std::vector<Fact> facts; // what the raw values point to
    facts.reserve(values_.size());
    for (const auto& v : values_) {
        facts.push_back(std::visit([](const auto& one) { return Fact(one); }, v.value));
        raw.push_back(elbo::detail::value_of_fact(v.name.c_str(), facts.back()));
    }
    elbo_why why{sizeof(elbo_why), {}};
    const Outside outside(label_, true);
    if (info.table->create(raw.data(), std::uint32_t(raw.size()), &self_, &why) != 0)
        throw Error(Exit::usage, why.text).note("while making " + info.label());
}

Part::~Part() {
    if (!self_) return;
    const Outside outside(label_);
    info_.table->destroy(self_);
}

std::optional<Fact> Part::property(const std::string& key) const {
    elbo_value v{};
    const Outside outside(label_);
    if (info_.table->property(self_, key.c_str(), &v) != 0) return {};
    return elbo::detail::fact_of(v);
}

elbo_part* Part::handle() {
    if (!handle_) handle_ = std::make_unique<elbo_part>(elbo_part{this});
    return handle_.get();
}

} // namespace elbo::core
