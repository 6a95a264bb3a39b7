#include "core/base/text.hpp"

#include <algorithm>

namespace elbo::core {

std::vector<std::string> pieces(std::string_view text, char by) {
    std::vector<std::string> out;
    while (!text.empty()) {
        const auto at = text.find(by);
        out.emplace_back(text.substr(0, at));
        text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
    }
    return out;
}

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> out = pieces(text, ' ');
    std::erase(out, "");
    return out;
}

bool valid_name(std::string_view name) {
    if (name.empty() || name[0] < 'a' || name[0] > 'z') return false;
    return std::all_of(name.begin(), name.end(),
                       [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

bool valid_tensor_name(std::string_view name) {
    return !name.empty() && name.size() <= 200 && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
    });
}

std::string canonical_name(std::string name) {
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

} // namespace elbo::core
