// topics: what each latent stands for, by the values that are likeliest where it is alone: of words, a topic.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base/error.hpp"
#include "core/base/text.hpp"
#include "tools/metrics/ranking.hpp"
#include "tools/runner/codes.hpp"
#include "tools/runner/judging.hpp"
#include "tools/runner/results.hpp"
#include "tools/runner/value_names.hpp"

namespace elbo::tools {

using core::Error;
using core::Exit;
using Json = nlohmann::ordered_json;

namespace {

double at_of(const Arguments& arguments) {
    const auto text = arguments.value("at");
    if (!text) return 30;
    const auto at = core::parse_number<double>(*text);
    if (!at || *at == 0) throw Error(Exit::usage, fmt::format("--at: '{}' is no number other than 0", *text));
    return *at;
}

int topics(const Arguments& arguments, core::Registry& registry) {
    const OpenRun open = open_run(arguments, registry);
    must_decode(open, "topics");
    const Matrix decoded = decoded_latents(open.session(), at_of(arguments));
    const std::int64_t count = arguments.number("count", 1).value_or(std::min<std::int64_t>(10, decoded.columns));
    if (count > decoded.columns) throw Error(Exit::usage, fmt::format("--count: a row has {} values", decoded.columns));
    const auto names = value_names(open);
    std::string text;
    Json all = Json::array();
    for (std::int64_t k = 0; k < decoded.rows; ++k) {
        std::vector<std::string> words;
        const std::vector<char> none(std::size_t(decoded.columns));
        for (std::int64_t i : best_of(decoded.row(k), none, count)) words.push_back(name_of_value(names, i));
        text += fmt::format("{:>4}  {}\n", k, fmt::join(words, " "));
        all.push_back({{"latent", k}, {"values", words}});
    }
    print_result(
        arguments,
        [&] {
            return Json{{"run", arguments.operand}, {"topics", all}}.dump(-1, ' ', false,
                                                                          Json::error_handler_t::replace);
        },
        [&] { return text; });
    return 0;
}

const VerbEntry entry({.order = 76,
                       .name = "topics",
                       .operand = "RUN",
                       .summary = "of each latent, the values that are likeliest where it is alone: words of topics",
                       .flags = {{"count", "K", "values of each (default: 10)"},
                                 {"at", "A", "the latent's value; the others are 0 (default: 30)"},
                                 kThreads,
                                 kJson},
                       .run = topics});

} // namespace
} // namespace elbo::tools
