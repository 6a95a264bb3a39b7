#include "tools/runner/value_names.hpp"

#include <fmt/format.h>

#include "core/base/error.hpp"
#include "core/base/text.hpp"

namespace elbo::tools {

std::vector<std::string> value_names(const OpenRun& open) {
    const auto told = open.assembly.data->property("value_names");
    const std::string* text = told ? std::get_if<std::string>(&*told) : nullptr;
    if (!text || text->empty()) return {};
    std::vector<std::string> out = core::pieces(*text, '\n');
    if (std::int64_t(out.size()) != open.rows().values())
        throw core::Error(core::Exit::data, fmt::format("the data names {} values of a row, and there are {}",
                                                        out.size(), open.rows().values()));
    return out;
}

std::string name_of_value(const std::vector<std::string>& names, std::int64_t value) {
    return names.empty() ? std::to_string(value) : names.at(std::size_t(value));
}

} // namespace elbo::tools
