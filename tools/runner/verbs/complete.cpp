// complete: what may follow the words that were typed, for the scripts that `completion` prints.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "tools/runner/completing.hpp"
#include "tools/runner/words.hpp"

namespace elbo::tools {

namespace {

// What is offered is one line: the word, a tab, and what it is, cut where a line would be too long.
std::string line_of(const Candidate& c) {
    constexpr std::size_t kLongest = 70;
    if (c.word.find_first_of("\t\n") != std::string::npos) return ""; // no shell could take it
    std::string about = c.about;
    std::replace(about.begin(), about.end(), '\n', ' ');
    if (about.size() > kLongest) about.resize(about.rfind(' ', kLongest));
    return c.word + (about.empty() ? "" : "\t" + about) + "\n";
}

int complete_words(const Arguments& arguments, core::Registry& registry) {
    constexpr unsigned kPatience = 3;
    ::alarm(kPatience); // a plugin that never comes back must not hold the shell
    std::vector<std::string> words = arguments.operands;
    if (!words.empty() && words[0] == "--") words.erase(words.begin());
    const Completion found = complete(words, registry);
    using Names = Completion::Names;
    if (found.names == Names::files) fmt::print(":files\n");
    if (found.names == Names::folders) fmt::print(":folders\n");
    if (found.names == Names::runs) fmt::print(":runs\n");
    for (const Candidate& c : found.candidates) fmt::print("{}", line_of(c));
    return 0;
}

const VerbEntry entry({.order = 1000,
                       .name = "complete",
                       .operand = "",
                       .summary = "what may follow these words",
                       .computes = false,
                       .hidden = true,
                       .takes_any_words = true,
                       .run = complete_words});

} // namespace
} // namespace elbo::tools
