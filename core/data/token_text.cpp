#include "core/data/token_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/error.hpp"

namespace elbo::core {

namespace {

constexpr const char* kUnknown = "\xEF\xBF\xBD";

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

std::string escaped(const std::string& name) {
    std::string out;
    for (char c : name)
        if (c == '\\') out += "\\\\";
        else if (c == '\n') out += "\\n";
        else if (c == '\t') out += "\\t";
        else if (is_control(c)) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        else out += c;
    return out;
}

} // namespace

std::vector<std::string> token_names(std::string_view written) {
    std::vector<std::string> out(1);
    for (std::size_t i = 0; i < written.size(); ++i)
        if (written[i] == '\n') out.emplace_back();
        else if (written[i] == '\\' && i + 1 < written.size()) out.back() += written[++i] == 'n' ? '\n' : written[i];
        else out.back() += written[i];
    return out;
}

std::string text_of(const std::vector<std::string>& names, std::span<const float> ids) {
    std::string out;
    for (float id : ids) {
        if (id == 0) break;
        const bool known = id > 0 && id < float(names.size()) && id == float(std::size_t(id));
        out += known ? names[std::size_t(id)] : kUnknown;
    }
    return out;
}

TokenLines::TokenLines(const std::vector<std::string>& names) : names_(names) {
    const auto controls = [](const std::string& name) { return std::any_of(name.begin(), name.end(), is_control); };
    if (std::none_of(names.begin(), names.end(), controls)) return;
    for (std::string& name : names_) name = escaped(name);
}

std::string TokenLines::line(std::span<const float> ids) const { return text_of(names_, ids); }

void must_stay_tokens(const Field& x, const DataOptions& o, const std::string& data) {
    if (!x.names.empty() && double(x.names.size()) != x.high + 1)
        throw Error(Exit::data, fmt::format("data '{}' names {} tokens, and their numbers are {:g}..{:g}", data,
                                            x.names.size(), x.low, x.high));
    for (const auto& [asked, option] : {std::pair{o.scale == "unit", "scale unit"},
                                        std::pair{o.standardize, "standardize"}, std::pair{o.dequantize, "dequantize"},
                                        std::pair{o.mirror, "mirror"}, std::pair{o.binarize != "none", "binarize"}})
        if (asked)
            throw Error(Exit::usage, fmt::format("data.{}: the values of '{}' are numbers of tokens, which have no "
                                                 "order and nothing between them",
                                                 option, data))
                .note("leave it out");
}

} // namespace elbo::core
