// Which pieces of text have a number: the most frequent ones of the training rows, or byte pairs learned from them.
// 0 is the end of a text, 1 whatever has no number, and the others begin at 2.
#pragma once

#include <algorithm>
#include <cstdint>
#include <queue>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "utf8.hpp"

namespace tokens {

using Id = std::uint16_t;
using Ids = std::vector<Id>;
using Counts = std::unordered_map<std::string_view, std::int64_t>;
inline constexpr Id kEnd = 0, kUnknown = 1;
inline constexpr std::int64_t kMostIds = 1 << 16;

class Vocabulary {
public:
    /// The most frequent pieces get a number, until there are `most`; of equally frequent ones those first in the
    /// order of their bytes.
    void learn(const Counts& pieces, std::int64_t most) {
        clear();
        take_most_frequent(pieces, most);
    }
    /// Byte pairs (Sennrich et al. 2016): the characters of the words, then again and again the most frequent pair of
    /// neighbours within a word as one, until there are `most` or no pair comes twice.
    void learn_pairs(const Counts& words, std::int64_t most) {
        clear();
        pairs_ = true;
        Counts characters;
        for (const auto& [word, n] : words)
            for (std::size_t at = 0; at < word.size();) {
                const auto c = utf8::character_at(word, at);
                characters[c] += n;
                at += c.size();
            }
        take_most_frequent(characters, most);
        merge(words, most);
    }

    /// A piece, or of byte pairs a word, as numbers behind those that are there; gives how many are unknown.
    std::int64_t encode(std::string_view piece, Ids& out) {
        if (!pairs_) {
            const Id id = id_of(piece);
            out.push_back(id);
            return id == kUnknown;
        }
        auto known = words_.find(std::string(piece));
        if (known == words_.end()) known = words_.emplace(piece, merged(piece)).first;
        out.insert(out.end(), known->second.begin(), known->second.end());
        return std::count(known->second.begin(), known->second.end(), kUnknown);
    }

    std::int64_t size() const { return std::int64_t(names_.size()); }
    const std::vector<std::string>& names() const { return names_; }
    /// As elbo_field's `names` has them for tokens.
    std::string text() const {
        std::string out;
        for (std::size_t i = 0; i < names_.size(); ++i) {
            if (i > 0) out += '\n';
            for (char c : names_[i])
                if (c == '\\') out += "\\\\";
                else if (c == '\n') out += "\\n";
                else out += c;
        }
        return out;
    }
    /// What only encode() needs.
    void forget_words() { words_.clear(); }

private:
    using Pair = std::uint32_t; ///< the first id in the upper half
    static Pair pair_of(Id a, Id b) { return Pair(a) << 16 | b; }

    void clear() {
        names_ = {"", "\xEF\xBF\xBD"};
        ids_.clear();
        ranks_.clear();
        words_.clear();
        pairs_ = false;
    }
    Id id_of(std::string_view piece) const {
        const auto at = ids_.find(std::string(piece));
        return at == ids_.end() ? kUnknown : at->second;
    }
    Id add(const std::string& name) {
        const auto [at, fresh] = ids_.emplace(name, Id(names_.size()));
        if (fresh) names_.push_back(name);
        return at->second;
    }
    void take_most_frequent(const Counts& pieces, std::int64_t most) {
        std::vector<std::pair<std::int64_t, std::string_view>> all;
        for (const auto& [piece, n] : pieces) all.emplace_back(-n, piece);
        std::sort(all.begin(), all.end());
        for (const auto& one : all)
            if (size() < most) add(std::string(one.second));
    }

    Ids characters_of(std::string_view word) const {
        Ids out;
        for (std::size_t at = 0; at < word.size(); at += utf8::length_at(word, at))
            out.push_back(id_of(utf8::character_at(word, at)));
        return out;
    }
    static void join(Ids& ids, Id a, Id b, Id as) {
        std::size_t to = 0;
        for (std::size_t i = 0; i < ids.size(); ++i)
            if (i + 1 < ids.size() && ids[i] == a && ids[i + 1] == b) ids[to++] = as, ++i;
            else ids[to++] = ids[i];
        ids.resize(to);
    }

    struct Word {
        Ids ids;
        std::int64_t count;
    };
    struct Seen {
        std::int64_t count = 0;
        std::vector<std::uint32_t> words = {}; ///< where it is, or was
    };

    /// Counts are kept from one merge to the next; the queue may hold old ones, which are seen when they come up.
    void merge(const Counts& counted, std::int64_t most) {
        std::vector<std::pair<std::string_view, std::int64_t>> sorted(counted.begin(), counted.end());
        std::sort(sorted.begin(), sorted.end());
        std::vector<Word> words;
        for (const auto& [word, n] : sorted) words.push_back({characters_of(word), n});
        std::unordered_map<Pair, Seen> seen;
        std::vector<Pair> touched;
        const auto count = [&](std::uint32_t w, std::int64_t sign) {
            const Ids& ids = words[w].ids;
            for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
                if (ids[i] == kUnknown || ids[i + 1] == kUnknown) continue;
                const Pair p = pair_of(ids[i], ids[i + 1]);
                Seen& s = seen[p];
                s.count += sign * words[w].count;
                touched.push_back(p);
                if (sign > 0 && (s.words.empty() || s.words.back() != w)) s.words.push_back(w);
            }
        };
        // The largest count first, and the smallest numbers of equal ones.
        using Entry = std::pair<std::int64_t, Pair>;
        const auto later = [](const Entry& a, const Entry& b) {
            return a.first != b.first ? a.first < b.first : a.second > b.second;
        };
        std::priority_queue<Entry, std::vector<Entry>, decltype(later)> queue(later);
        const auto enqueue = [&] {
            std::sort(touched.begin(), touched.end());
            touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
            for (Pair p : touched)
                if (seen[p].count > 1) queue.emplace(seen[p].count, p);
            touched.clear();
        };
        for (std::uint32_t w = 0; w < words.size(); ++w) count(w, 1);
        enqueue();
        while (size() < most && !queue.empty()) {
            const auto [n, pair] = queue.top();
            queue.pop();
            if (seen[pair].count != n) continue;
            const Id a = Id(pair >> 16), b = Id(pair & 0xFFFF), as = add(names_[a] + names_[b]);
            ranks_.emplace(pair, std::pair(ranks_.size(), as));
            const std::vector<std::uint32_t> in = std::move(seen[pair].words);
            for (std::uint32_t w : in) {
                count(w, -1);
                join(words[w].ids, a, b, as);
                count(w, 1);
            }
            enqueue();
        }
    }

    /// The pairs that were learned first are joined first.
    Ids merged(std::string_view word) const {
        Ids ids = characters_of(word);
        for (;;) {
            auto best = ranks_.end();
            for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
                const auto at = ranks_.find(pair_of(ids[i], ids[i + 1]));
                if (at != ranks_.end() && (best == ranks_.end() || at->second.first < best->second.first)) best = at;
            }
            if (best == ranks_.end()) return ids;
            join(ids, Id(best->first >> 16), Id(best->first & 0xFFFF), best->second.second);
        }
    }

    std::vector<std::string> names_;
    std::unordered_map<std::string, Id> ids_;
    std::unordered_map<Pair, std::pair<std::size_t, Id>>
        ranks_;                                  ///< of a pair: when it was learned, and what it becomes
    std::unordered_map<std::string, Ids> words_; ///< that were encoded
    bool pairs_ = false;
};

} // namespace tokens
