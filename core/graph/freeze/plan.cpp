// Memory: every value that crosses units gets a place in one slab. A group may write over an operand it reads for the
// last time. Scratch of a unit is a block that lives while it runs.
#include <algorithm>
#include <set>

#include "core/graph/freeze/passes.hpp"

namespace elbo::core::freezing {

namespace {

constexpr std::int64_t kAlign = 64;

struct Block {
    std::int64_t bytes;
    int first, last; ///< units between which it lives
    std::int64_t offset = -1;
};

// Biggest first, each at the lowest gap that is free while it lives (Pisarchyk and Lee 2020). Quadratic in blocks.
std::int64_t pack_by_size(std::vector<Block>& blocks) {
    std::vector<Block*> order;
    for (Block& b : blocks) order.push_back(&b);
    std::stable_sort(order.begin(), order.end(), [](auto* a, auto* b) { return a->bytes > b->bytes; });
    std::vector<Block> placed; // by offset, so that the search ends at the first gap
    std::int64_t end = 0;
    for (Block* b : order) {
        std::int64_t at = 0;
        for (const Block& other : placed) {
            if (other.first > b->last || b->first > other.last) continue;
            if (at + b->bytes <= other.offset) break;
            at = std::max(at, other.offset + other.bytes);
        }
        b->offset = at;
        placed.insert(std::upper_bound(placed.begin(), placed.end(), at,
                                       [](std::int64_t v, const Block& o) { return v < o.offset; }),
                      *b);
        end = std::max(end, at + b->bytes);
    }
    return end;
}

/// Gaps of a slab that grows: the smallest that fits is taken, neighbours are joined again when freed.
class Gaps {
public:
    std::int64_t take(std::int64_t bytes) {
        auto gap = by_size_.lower_bound({bytes, 0});
        if (gap == by_size_.end()) {
            const std::int64_t at = end_;
            end_ += bytes;
            return at;
        }
        const auto [size, at] = *gap;
        remove(at, size);
        if (size > bytes) insert(at + bytes, size - bytes);
        return at;
    }
    void give(std::int64_t at, std::int64_t bytes) {
        auto after = by_offset_.lower_bound({at, 0});
        if (after != by_offset_.end() && after->first == at + bytes) {
            const auto [o, size] = *after;
            remove(o, size);
            bytes += size;
        }
        auto before = by_offset_.lower_bound({at, 0});
        if (before != by_offset_.begin() && std::prev(before)->first + std::prev(before)->second == at) {
            const auto [o, size] = *std::prev(before);
            remove(o, size);
            at = o;
            bytes += size;
        }
        insert(at, bytes);
    }
    std::int64_t end() const { return end_; }

private:
    void insert(std::int64_t at, std::int64_t size) { by_size_.insert({size, at}), by_offset_.insert({at, size}); }
    void remove(std::int64_t at, std::int64_t size) { by_size_.erase({size, at}), by_offset_.erase({at, size}); }
    std::set<std::pair<std::int64_t, std::int64_t>> by_size_, by_offset_;
    std::int64_t end_ = 0;
};

// In the order of time, each in the smallest gap that fits: n log n, a little looser.
std::int64_t pack_by_time(std::vector<Block>& blocks, int units) {
    std::vector<std::vector<Block*>> born(std::size_t(units) + 1), dead(std::size_t(units) + 2);
    for (Block& b : blocks) {
        born[std::size_t(b.first)].push_back(&b);
        dead[std::size_t(b.last) + 1].push_back(&b);
    }
    Gaps gaps;
    for (std::size_t u = 0; u < born.size(); ++u) {
        for (const Block* b : dead[u]) gaps.give(b->offset, b->bytes);
        std::sort(born[u].begin(), born[u].end(), [](auto* a, auto* b) { return a->bytes > b->bytes; });
        for (Block* b : born[u]) b->offset = gaps.take(b->bytes);
    }
    return gaps.end();
}

class Planner {
public:
    explicit Planner(Program& program)
        : p_(program), unit_(unit_of(program)), block_of_(program.nodes.size(), -1), last_(program.nodes.size(), -1),
          viewed_(program.nodes.size(), 0) {}

    void run() {
        find_last_reads();
        for (std::size_t u = 0; u < p_.units.size(); ++u) give_blocks(int(u));
        pack();
        p_.places = PerNode<Place>(p_.nodes.size());
        for (NodeId id = 0; std::size_t(id) < p_.nodes.size(); ++id) p_.places[id] = place_of(id);
        for (std::size_t u = 0; u < p_.units.size(); ++u)
            if (scratch_[u] >= 0) p_.units[u].scratch_at = blocks_[std::size_t(scratch_[u])].offset;
    }

private:
    NodeId behind(NodeId id) const { return source(p_, id); }

    void find_last_reads() {
        for (std::size_t u = 0; u < p_.units.size(); ++u)
            for (NodeId in : reads(p_, p_.units[u])) last_[behind(in)] = std::max(last_[behind(in)], int(u));
        const int end = int(p_.units.size());
        for (const auto& o : p_.outputs) last_[behind(o.node)] = end;
        if (p_.guard >= 0) last_[behind(p_.guard)] = end;
        for (NodeId id = 0; std::size_t(id) < p_.nodes.size(); ++id)
            if (p_.runs(id) == Runs::view || p_.windows.contains(id)) viewed_[behind(id)] = 1;
    }

    static std::int64_t aligned(std::int64_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

    int new_block(std::int64_t bytes, int first, int last) {
        blocks_.push_back({bytes, first, last});
        return int(blocks_.size() - 1);
    }

    void give_blocks(int u) {
        const Unit& unit = p_.units[std::size_t(u)];
        scratch_.push_back(unit.scratch_bytes > 0 ? new_block(aligned(unit.scratch_bytes), u, u) : -1);
        std::vector<int> taken;
        for (NodeId id : unit.nodes) {
            if (p_.windows.contains(id)) {
                give_whole(u, behind(id));
                continue;
            }
            if (p_.runs(id) == Runs::assign || last_[id] < 0 || block_of_[id] >= 0) continue; // last: never leaves
            if (unit.kind == Unit::Kind::claim && id != unit.nodes.back()) continue;
            const std::int64_t bytes = aligned(p_.layout(id).bytes(p_.dims(id)));
            if (bytes == 0) continue;
            int reuse = operand_to_overwrite(u, id, taken);
            if (reuse >= 0) {
                taken.push_back(reuse);
                blocks_[std::size_t(reuse)].last = last_[id];
            } else {
                reuse = new_block(bytes, u, last_[id]);
            }
            block_of_[id] = reuse;
        }
    }

    // What values are joined to has its place as soon as the first of them is made.
    void give_whole(int u, NodeId id) {
        if (block_of_[id] < 0) block_of_[id] = new_block(aligned(p_.layout(id).bytes(p_.dims(id))), u, last_[id]);
    }

    // Within a group, an operand of the same size and layout that nobody reads later, neither elsewhere nor through a
    // view.
    int operand_to_overwrite(int u, NodeId id, const std::vector<int>& taken) const {
        const Unit& unit = p_.units[std::size_t(u)];
        if (unit.kind != Unit::Kind::group || p_.runs(id) != Runs::elementwise) return -1;
        for (NodeId in : reads(p_, unit)) {
            if (p_.runs(in) == Runs::view || viewed_[in] || block_of_[in] < 0 || last_[in] != u) continue;
            if (!(p_.dims(in) == unit.space) || !(p_.layout(in) == p_.layout(id))) continue;
            const int b = block_of_[in];
            if (std::find(taken.begin(), taken.end(), b) == taken.end() && blocks_[std::size_t(b)].last == u) return b;
        }
        return -1;
    }

    void pack() {
        constexpr std::size_t kMany = 2048;
        const int units = int(p_.units.size());
        p_.slab_bytes = blocks_.size() <= kMany ? pack_by_size(blocks_) : pack_by_time(blocks_, units);
        std::vector<std::int64_t> change(std::size_t(units) + 2, 0);
        for (const Block& b : blocks_) {
            change[std::size_t(b.first)] += b.bytes;
            change[std::size_t(b.last) + 1] -= b.bytes;
        }
        std::int64_t now = 0;
        for (auto c : change) p_.live_bytes = std::max(p_.live_bytes, now += c);
    }

    Place place_of(NodeId id) const {
        const NodeId from = behind(id);
        const ProgramNode& n = p_.node(from);
        if (n.op->runs == Runs::tensor) return {Place::In::tensor, n.given};
        if (n.op->runs == Runs::input) return {Place::In::input, n.given};
        const int block = block_of_[from];
        if (block >= 0) return {Place::In::slab, blocks_[std::size_t(block)].offset + 4 * offset_in_source(p_, id)};
        if (n.op->runs == Runs::constant && unit_[from] < 0) return {Place::In::immediate, 0};
        return {};
    }

    Program& p_;
    PerNode<int> unit_, block_of_, last_;
    PerNode<char> viewed_;
    std::vector<int> scratch_; ///< per unit: its block
    std::vector<Block> blocks_;
};

} // namespace

void plan(Program& program) { Planner(program).run(); }

} // namespace elbo::core::freezing
