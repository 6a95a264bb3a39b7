// verify: whether every file of a run is what was written.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base/error.hpp"
#include "tools/runner/results.hpp"
#include "tools/runner/run_files.hpp"
#include "tools/runner/text_table.hpp"

namespace elbo::tools {

namespace {

std::string word_of(CheckedFile::State state) {
    switch (state) {
        case CheckedFile::State::sound: return "sound";
        case CheckedFile::State::damaged: return "damaged";
        case CheckedFile::State::missing: return "missing";
        case CheckedFile::State::changed: return "changed";
        case CheckedFile::State::note: return "note";
    }
    return "";
}

std::string text_of(const std::vector<CheckedFile>& all, std::ptrdiff_t bad) {
    TextTable table{{"state", "file", "what"}};
    for (const CheckedFile& f : all) table.rows.push_back({word_of(f.state), f.file, f.text});
    return table.text() + (bad == 0 ? "\nthe run is sound\n"
                                    : fmt::format("\nthe run is not what it was: {} of {} lines\n", bad, all.size()));
}

int verify(const Arguments& arguments, core::Registry& registry) {
    const auto all = check_files(arguments.operand, registry);
    const auto bad = std::count_if(all.begin(), all.end(), [](const CheckedFile& f) { return f.fatal; });
    nlohmann::ordered_json files = nlohmann::ordered_json::array();
    for (const CheckedFile& f : all)
        files.push_back({{"file", f.file}, {"state", word_of(f.state)}, {"text", f.text}, {"counts", f.fatal}});
    print_result(
        arguments,
        [&] {
            return nlohmann::ordered_json{{"run", arguments.operand}, {"sound", bad == 0}, {"files", files}}.dump();
        },
        [&] { return text_of(all, bad); });
    return bad == 0 ? 0 : int(core::Exit::data);
}

const VerbEntry entry({.order = 57,
                       .name = "verify",
                       .operand = "RUN",
                       .summary = "whether every file of a run is what was written",
                       .flags = {kJson},
                       .run = verify});

} // namespace
} // namespace elbo::tools
