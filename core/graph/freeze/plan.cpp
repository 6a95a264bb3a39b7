// Memory: every value that crosses units gets a place in one slab. A group may write over an operand it reads for the
// last time. Places: biggest first, each at the lowest gap that is free while it lives (Pisarchyk and Lee 2020).
#include <algorithm>

#include "core/graph/program.hpp"

namespace elbo::core::freezing {

namespace {

constexpr std::int64_t kAlign = 64;

struct Block {
    std::int64_t bytes;
    int first, last; ///< units between which it lives
    std::int64_t offset = -1;
};

class Planner {
public:
    explicit Planner(Program& program)
        : p_(program), unit_(unit_of(program)), block_of_(program.nodes.size(), -1), last_(program.nodes.size(), -1) {}

    void run() {
        p_.places.assign(p_.nodes.size(), Place{});
        find_last_reads();
        for (std::size_t u = 0; u < p_.units.size(); ++u) give_blocks(int(u));
        pack();
        for (std::size_t i = 0; i < p_.nodes.size(); ++i) p_.places[i] = place_of(NodeId(i));
    }

private:
    std::size_t behind(NodeId id) const { return std::size_t(source(p_, id)); }

    void find_last_reads() {
        viewed_.assign(p_.nodes.size(), 0);
        for (std::size_t u = 0; u < p_.units.size(); ++u)
            for (NodeId in : reads(p_, p_.units[u])) last_[behind(in)] = std::max(last_[behind(in)], int(u));
        const int end = int(p_.units.size());
        for (const auto& o : p_.outputs) last_[behind(o.node)] = end;
        if (p_.guard >= 0) last_[behind(p_.guard)] = end;
        for (const auto& n : p_.nodes)
            if (n.op->runs == Runs::view) viewed_[behind(n.inputs[0])] = 1;
    }

    static bool computed(const ProgramNode& n) { return n.op->runs != Runs::given && n.op->runs != Runs::view; }

    void give_blocks(int u) {
        std::vector<int> taken;
        for (NodeId id : p_.units[std::size_t(u)].nodes) {
            const ProgramNode& n = p_.node(id);
            if (n.op->runs == Runs::assign || last_[std::size_t(id)] < 0) continue;
            const std::int64_t bytes = (n.dims.numel() * 4 + kAlign - 1) / kAlign * kAlign;
            if (bytes == 0) continue;
            int reuse = operand_to_overwrite(u, id, taken);
            if (reuse >= 0) {
                taken.push_back(reuse);
                blocks_[std::size_t(reuse)].last = last_[std::size_t(id)];
            } else {
                blocks_.push_back({bytes, u, last_[std::size_t(id)]});
                reuse = int(blocks_.size() - 1);
            }
            block_of_[std::size_t(id)] = reuse;
        }
    }

    // Within a group, an operand of the same size that nobody reads later, neither elsewhere nor through a view.
    int operand_to_overwrite(int u, NodeId id, const std::vector<int>& taken) const {
        const Unit& unit = p_.units[std::size_t(u)];
        if (unit.kind != Unit::Kind::group || p_.node(id).op->runs != Runs::elementwise) return -1;
        for (NodeId in : reads(p_, unit)) {
            const std::size_t i = std::size_t(in);
            if (p_.node(in).op->runs == Runs::view || viewed_[i] || block_of_[i] < 0 || last_[i] != u) continue;
            if (!(p_.node(in).dims == unit.space)) continue;
            const int b = block_of_[i];
            if (std::find(taken.begin(), taken.end(), b) == taken.end() && blocks_[std::size_t(b)].last == u) return b;
        }
        return -1;
    }

    void pack() {
        std::vector<Block*> order;
        for (Block& b : blocks_) order.push_back(&b);
        std::stable_sort(order.begin(), order.end(), [](auto* a, auto* b) { return a->bytes > b->bytes; });
        std::vector<Block> placed; // by offset, so that the search ends at the first gap
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
            p_.slab_bytes = std::max(p_.slab_bytes, at + b->bytes);
        }
        std::vector<std::int64_t> live(p_.units.size() + 2, 0);
        for (const Block& b : blocks_) {
            live[std::size_t(b.first)] += b.bytes;
            live[std::size_t(b.last) + 1] -= b.bytes;
        }
        std::int64_t now = 0;
        for (auto change : live) p_.live_bytes = std::max(p_.live_bytes, now += change);
    }

    Place place_of(NodeId id) const {
        const ProgramNode& n = p_.node(NodeId(behind(id)));
        if (n.op->runs == Runs::given) {
            const std::int64_t index = Attributes(n.attributes).integer("name");
            return {n.op->name == "tensor" ? Place::In::tensor : Place::In::input, index};
        }
        const int block = block_of_[behind(id)];
        if (block >= 0) return {Place::In::slab, blocks_[std::size_t(block)].offset};
        if (n.op->runs == Runs::constant && unit_[behind(id)] < 0) return {Place::In::immediate, 0};
        return {};
    }

    Program& p_;
    std::vector<int> unit_, block_of_, last_;
    std::vector<char> viewed_;
    std::vector<Block> blocks_;
};

} // namespace

void plan(Program& program) { Planner(program).run(); }

} // namespace elbo::core::freezing
