#include "tools/runner/verb.hpp"

#include <algorithm>
#include <tuple>

namespace elbo::tools {

namespace {

constexpr Flag kEveryVerb[] = {{"plugin", "FILE", "load this plugin too (may be repeated)"},
                               {"plugin-dir", "DIR", "load every plugin of this folder too (may be repeated)"},
                               {"help", "", "this text"}};

std::vector<Verb>& registered() {
    static std::vector<Verb> all;
    return all;
}

bool before(const Verb& a, const Verb& b) { return std::tie(a.order, a.name) < std::tie(b.order, b.name); }

} // namespace

VerbEntry::VerbEntry(Verb verb) {
    verb.flags.insert(verb.flags.end(), std::begin(kEveryVerb), std::end(kEveryVerb));
    auto& all = registered();
    all.insert(std::upper_bound(all.begin(), all.end(), verb, before), std::move(verb));
}

const std::vector<Verb>& verbs() { return registered(); }

} // namespace elbo::tools
