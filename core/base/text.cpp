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

std::string canonical_name(std::string name) {
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

} // namespace elbo::core
