// Which value each byte of a slab holds.
#pragma once

#include <map>
#include <string>

#include "core/graph/tape.hpp"

namespace elbo::test {

struct Span {
    std::int64_t begin = 0, end = 0;
};
inline bool overlap(Span a, Span b) { return a.begin < b.end && b.begin < a.end; }

class Slab {
public:
    static constexpr core::NodeId kNothing = -1, kScratch = -2;

    static std::string name(core::NodeId id) {
        if (id == kNothing) return "nothing";
        return id == kScratch ? "scratch" : "node " + std::to_string(id);
    }

    /// Overwrites what was there.
    void put(Span s, core::NodeId id) {
        if (s.begin >= s.end) return;
        cut(s.begin);
        cut(s.end);
        held_.erase(held_.lower_bound(s.begin), held_.lower_bound(s.end));
        held_[s.begin] = {s.end, id};
    }
    void put(const Slab& other) {
        for (const auto& [begin, h] : other.held_) put({begin, h.end}, h.id);
    }

    /// `id` when every byte holds it, else one that a byte holds instead.
    core::NodeId holder_other_than(Span s, core::NodeId id) const {
        std::int64_t at = s.begin;
        auto it = held_.upper_bound(at);
        if (it != held_.begin()) --it;
        for (; it != held_.end() && it->first < s.end; ++it) {
            if (it->second.end <= at) continue;
            if (it->first > at && id != kNothing) return kNothing;
            if (it->second.id != id) return it->second.id;
            at = it->second.end;
        }
        return at < s.end && id != kNothing ? kNothing : id;
    }

private:
    struct Held {
        std::int64_t end;
        core::NodeId id;
    };
    void cut(std::int64_t at) {
        auto it = held_.lower_bound(at);
        if (it == held_.begin()) return;
        --it;
        if (it->second.end <= at) return;
        held_[at] = it->second;
        it->second.end = at;
    }

    std::map<std::int64_t, Held> held_; ///< by where it begins; they do not overlap
};

} // namespace elbo::test
