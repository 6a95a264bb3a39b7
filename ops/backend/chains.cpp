#include "ops/backend/chains.hpp"

#include <algorithm>
#include <cassert>
#include <map>
#include <optional>
#include <string>

#include "core/base/text.hpp"

namespace elbo::ops {

namespace {

using From = TileCode::From;
using Source = TileCode::Source;

/// add(mul(b1, m), g), or a name.
struct Term {
    std::string name;
    std::vector<Term> operands;
};

class Parser {
public:
    explicit Parser(std::string_view text) : text_(text) {}
    Term term() {
        Term t{word(), {}};
        if (!take('(')) return t;
        do t.operands.push_back(term());
        while (take(','));
        take(')');
        return t;
    }
    std::string word() {
        skip();
        std::string out;
        while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_'))
            out += text_[at_++];
        return out;
    }
    bool take(char c) {
        skip();
        if (at_ >= text_.size() || text_[at_] != c) return false;
        ++at_;
        return true;
    }

private:
    void skip() {
        while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    }
    std::string_view text_;
    std::size_t at_ = 0;
};

struct Parsed {
    Chain chain;
    std::vector<std::pair<std::string, bool>> inputs; ///< name, whether it is one number
    std::vector<std::pair<std::string, Term>> results;

    explicit Parsed(const Chain& c) : chain(c) {
        for (const std::string& word : core::pieces(std::string(c.inputs), ' ')) {
            const bool number = word.ends_with('#');
            inputs.emplace_back(number ? word.substr(0, word.size() - 1) : word, number);
        }
        for (const std::string& line : core::pieces(std::string(c.results), ';')) {
            Parser p(line);
            const std::string name = p.word();
            p.take('=');
            results.emplace_back(name, p.term());
        }
        assert(inputs.size() <= std::size_t(kMostInputs) && results.size() <= std::size_t(kMostResults));
    }
    const Term* result(const std::string& name) const {
        for (const auto& [n, term] : results)
            if (n == name) return &term;
        return nullptr;
    }
};

std::vector<Parsed>& chains() {
    static std::vector<Parsed> all;
    return all;
}

/// Where the names of a chain are in a group.
struct Match {
    std::map<std::string, Source> bound;
    std::vector<std::size_t> taken; ///< instructions
};

class Matcher {
public:
    Matcher(const TileCode& code, const Parsed& chain) : c_(code), chain_(chain), maker_(std::size_t(code.registers)) {
        for (std::size_t i = 0; i < c_.code.size(); ++i)
            for (int r = 0; r < c_.code[i].n_out; ++r) maker_[std::size_t(c_.code[i].reg[std::size_t(r)])] = i;
    }

    /// The chain with its last result made by instruction `root`.
    std::optional<Match> at(std::size_t root) const {
        Match m;
        const auto& last = chain_.results.back();
        if (!named(last.first, last.second, reg(root), m)) return {};
        for (const auto& [name, term] : chain_.results) {
            if (m.bound.count(name)) continue;
            bool found = false;
            for (std::size_t i = 0; i < c_.code.size() && !found; ++i) {
                Match with = m;
                if (named(name, term, reg(i), with)) m = std::move(with), found = true;
            }
            if (!found) return {};
        }
        std::sort(m.taken.begin(), m.taken.end());
        m.taken.erase(std::unique(m.taken.begin(), m.taken.end()), m.taken.end());
        if (!alone(m)) return {};
        return m;
    }

private:
    Source reg(std::size_t instruction) const { return {From::reg, c_.code[instruction].reg[0]}; }

    bool same(const Source& a, const Source& b) const {
        if (a.from == From::immediate && b.from == From::immediate)
            return c_.immediates[std::size_t(a.index)] == c_.immediates[std::size_t(b.index)];
        return a == b;
    }

    bool bind(const std::string& name, const Source& to, Match& m) const {
        const auto [it, fresh] = m.bound.emplace(name, to);
        return fresh || same(it->second, to);
    }

    bool named(const std::string& name, const Term& term, const Source& from, Match& m) const {
        return bind(name, from, m) && made(term, from, m);
    }

    bool fits(const std::string& name, const Source& from) const {
        for (const auto& [input, number] : chain_.inputs) {
            if (input != name) continue;
            if (from.from == From::operand) {
                const TileCode::Stream& o = c_.operands[std::size_t(from.index)];
                return number ? o.scalar : o.dense && !o.scalar;
            }
            return number == (from.from == From::immediate);
        }
        return false;
    }

    bool made(const Term& term, const Source& from, Match& m) const {
        if (term.operands.empty()) {
            const Term* result = chain_.result(term.name);
            if (!result) return fits(term.name, from) && bind(term.name, from, m);
            if (m.bound.count(term.name)) return bind(term.name, from, m);
            return named(term.name, *result, from, m);
        }
        if (from.from != From::reg) return false;
        const std::size_t i = maker_[std::size_t(from.index)];
        const TileCode::Instruction& made_by = c_.code[i];
        if (!made_by.op || made_by.op->name != term.name || std::size_t(made_by.n_in) != term.operands.size())
            return false;
        m.taken.push_back(i);
        const bool swaps = term.name == "add" || term.name == "mul";
        const Match before = m;
        if (all(term, made_by, false, m)) return true;
        m = before;
        return swaps && all(term, made_by, true, m);
    }

    bool all(const Term& term, const TileCode::Instruction& i, bool swapped, Match& m) const {
        const std::size_t n = term.operands.size();
        for (std::size_t k = 0; k < n; ++k)
            if (!made(term.operands[k], i.in[swapped ? n - 1 - k : k], m)) return false;
        return true;
    }

    // What lies between is needed by nobody else, and nothing that stays needs a result before all of them are made.
    bool alone(const Match& m) const {
        std::vector<int> used = c_.uses();
        for (std::size_t i : m.taken)
            for (int k = 0; k < c_.code[i].n_in; ++k)
                if (const Source& in = c_.code[i].in[std::size_t(k)]; in.from == From::reg)
                    --used[std::size_t(in.index)];
        std::vector<char> result(used.size(), 0);
        for (const auto& [name, term] : chain_.results) result[std::size_t(m.bound.at(name).index)] = 1;
        for (std::size_t i : m.taken)
            if (const auto reg = std::size_t(c_.code[i].reg[0]); !result[reg] && used[reg] != 0) return false;
        for (std::size_t i = m.taken.front(); i < m.taken.back(); ++i) {
            if (std::binary_search(m.taken.begin(), m.taken.end(), i)) continue;
            for (int k = 0; k < c_.code[i].n_in; ++k)
                if (const Source& in = c_.code[i].in[std::size_t(k)];
                    in.from == From::reg && result[std::size_t(in.index)])
                    return false;
        }
        return true;
    }

    const TileCode& c_;
    const Parsed& chain_;
    std::vector<std::size_t> maker_;
};

// The chain stands where the last of its ops stood.
void replace(TileCode& code, const Parsed& chain, const Match& m) {
    TileCode::Instruction joined;
    joined.chain = chain.chain.run;
    joined.n_in = int(chain.inputs.size());
    joined.n_out = int(chain.results.size());
    for (std::size_t k = 0; k < chain.inputs.size(); ++k) joined.in[k] = m.bound.at(chain.inputs[k].first);
    for (std::size_t k = 0; k < chain.results.size(); ++k) joined.reg[k] = m.bound.at(chain.results[k].first).index;
    code.code[m.taken.back()] = joined;
    for (std::size_t k = m.taken.size() - 1; k-- > 0;) code.code.erase(code.code.begin() + std::ptrdiff_t(m.taken[k]));
}

} // namespace

ChainRule::ChainRule(const Chain& chain) { chains().emplace_back(chain); }

void join_chains(TileCode& code) {
    for (const Parsed& chain : chains()) {
        const std::string& last = chain.results.back().second.name;
        for (std::size_t root = code.code.size(); root-- > 0;) {
            if (root >= code.code.size() || !code.code[root].op || code.code[root].op->name != last) continue;
            if (const auto m = Matcher(code, chain).at(root)) replace(code, chain, *m);
        }
    }
}

} // namespace elbo::ops
