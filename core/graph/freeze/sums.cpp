// Sums of many terms, as unrolled loops leave them: the gradient of a weight that every step uses becomes one product
// of all steps' values, and the gradient of a value of which every step took a part becomes these parts, joined.
#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>

#include "core/graph/freeze/passes.hpp"

namespace elbo::core::freezing {

namespace {

constexpr std::size_t kFewestProducts = 4; // fewer do not pay for what may have to be copied

class Sums {
public:
    Sums(const OpTable& ops, Program& program)
        : ops_(ops), p_(program), readers_(program), moved_(program.nodes.size(), -1), copies_(copying(ops)) {}

    // The nodes again, with what takes the place of a sum before it; ids move. What nobody reads any more is dropped
    // later.
    void run() {
        std::vector<Sum> sums;
        for (NodeId id = 0; std::size_t(id) < p_.nodes.size(); ++id)
            if (is_sum(id) && !within_a_sum(id))
                if (Sum s = sum_at(id); s.worth_it()) sums.push_back(std::move(s));
        std::vector<ProgramNode> old = std::move(p_.nodes);
        p_.nodes.clear();
        auto next = sums.begin();
        for (NodeId id = 0; std::size_t(id) < old.size(); ++id) {
            ProgramNode& n = old[std::size_t(id)];
            for (NodeId& in : n.inputs) in = moved_[in];
            if (next != sums.end() && next->at == id) moved_[id] = rewritten(n, *next++);
            else moved_[id] = carried(n);
        }
        for (auto& o : p_.outputs) o.node = moved_[o.node];
        if (p_.guard >= 0) p_.guard = moved_[p_.guard];
    }

private:
    /// What is added up at a node, by what can become of it.
    struct Sum {
        NodeId at;
        std::vector<NodeId> parts, products, rest;
        bool worth_it() const { return parts.size() > 1 || products.size() >= kFewestProducts; }
    };

    // A part of what is joined that is one of those it is joined of is that one.
    NodeId carried(ProgramNode& n) {
        if (n.op->joins && is_first(n))
            for (NodeId& in : n.inputs) in = for_one_whole(in);
        const ProgramNode* whole = n.op->part ? &p_.node(n.inputs[0]) : nullptr;
        if (!whole || !whole->op->joins) return append(std::move(n));
        const AxisPart part = n.op->part(Attributes(n.attributes), whole->dims);
        if (whole->op->joins(Attributes(whole->attributes), whole->dims) != part.axis) return append(std::move(n));
        std::int64_t at = 0;
        for (NodeId in : whole->inputs) {
            if (at == part.begin && p_.dims(in) == n.dims) return in;
            at += p_.dims(in)[part.axis];
        }
        return append(std::move(n));
    }

    // Whether what is joined lies there without gaps.
    bool is_first(const ProgramNode& n) const {
        const int axis = n.op->joins(Attributes(n.attributes), n.dims);
        for (int i = 0; i < axis; ++i)
            if (n.dims[i] != 1) return false;
        return true;
    }

    bool is_sum(NodeId id) const {
        const ProgramNode& n = p_.node(id);
        return n.op->left_unit == 0. && n.op->right_unit == 0. && p_.dims(n.inputs[0]) == n.dims &&
               p_.dims(n.inputs[1]) == n.dims;
    }
    bool only_read_once(NodeId id) const { return !readers_.pinned(id) && readers_.of(id).size() == 1; }
    bool within_a_sum(NodeId id) const { return only_read_once(id) && is_sum(readers_.of(id)[0]); }

    Sum sum_at(NodeId sum) const {
        std::vector<NodeId> terms, open{sum};
        while (!open.empty()) {
            const NodeId id = open.back();
            open.pop_back();
            if (id != sum && !(is_sum(id) && within_a_sum(id))) terms.push_back(id);
            else
                for (NodeId in : p_.node(id).inputs) open.push_back(in);
        }
        std::sort(terms.begin(), terms.end());
        Sum out{sum, {}, {}, {}};
        for (NodeId id : terms)
            (p_.node(id).op->surrounds ? out.parts : is_product(id) ? out.products : out.rest).push_back(id);
        return out;
    }
    bool is_product(NodeId id) const {
        const ProgramNode& n = p_.node(id);
        if (!n.op->stacks || !only_read_once(id)) return false;
        std::vector<Dims> in;
        for (NodeId i : n.inputs) in.push_back(p_.dims(i));
        return n.op->stacks(Attributes(n.attributes), in);
    }

    /// `n` has its new operands already.
    NodeId rewritten(const ProgramNode& n, const Sum& sum) {
        auto moved = [&](const std::vector<NodeId>& ids) {
            std::vector<NodeId> out;
            for (NodeId id : ids) out.push_back(moved_[id]);
            return out;
        };
        std::vector<NodeId> rest = moved(sum.rest), products = moved(sum.products);
        std::map<int, std::vector<NodeId>> parts; // by the axis they lie along
        for (NodeId id : moved(sum.parts)) parts[part(id).axis].push_back(id);
        for (auto& [axis, ids] : parts) join_parts(n, ids, rest);
        stack(products, rest);
        NodeId total = rest[0];
        for (std::size_t k = 1; k < rest.size(); ++k) {
            ProgramNode both = n;
            both.inputs = {total, rest[k]};
            total = append(std::move(both));
        }
        return total;
    }

    AxisPart part(NodeId id) const {
        const ProgramNode& n = p_.node(id);
        return n.op->surrounds(Attributes(n.attributes), n.dims);
    }
    std::int64_t end(NodeId id) const {
        const AxisPart p = part(id);
        return p.begin + p_.dims(p_.node(id).inputs[0])[p.axis];
    }

    // The same part several times becomes that part of a sum. Parts that follow each other become one: what surrounds
    // them all, around what they are when joined.
    void join_parts(const ProgramNode& sum, std::vector<NodeId>& ids, std::vector<NodeId>& out) {
        std::stable_sort(ids.begin(), ids.end(), [&](NodeId a, NodeId b) {
            return std::pair(part(a).begin, end(a)) < std::pair(part(b).begin, end(b));
        });
        std::vector<NodeId> once;
        for (NodeId id : ids) {
            const bool again =
                !once.empty() && part(once.back()).begin == part(id).begin && end(once.back()) == end(id);
            if (again) once.back() = summed(sum, once.back(), id);
            else once.push_back(id);
        }
        for (std::size_t first = 0; first < once.size();) {
            std::size_t last = first + 1;
            while (last < once.size() && part(once[last]).begin == end(once[last - 1])) ++last;
            if (last == first + 1) out.push_back(once[first]);
            else out.push_back(joined({once.begin() + std::ptrdiff_t(first), once.begin() + std::ptrdiff_t(last)}));
            first = last;
        }
    }

    NodeId summed(const ProgramNode& sum, NodeId a, NodeId b) {
        ProgramNode inner = sum, outer = p_.node(a);
        inner.inputs = {outer.inputs[0], p_.node(b).inputs[0]};
        inner.dims = p_.dims(inner.inputs[0]);
        outer.inputs = {append(std::move(inner))};
        return append(std::move(outer));
    }

    NodeId joined(const std::vector<NodeId>& ids) {
        const ProgramNode outer = p_.node(ids[0]);
        const AxisPart lies = part(ids[0]);
        std::vector<NodeId> inner;
        for (NodeId id : ids) inner.push_back(p_.node(id).inputs[0]);
        const NodeId whole = concatenated(*outer.op, inner, lies.axis, outer);
        if (p_.dims(whole) == outer.dims) return whole;
        ProgramNode n = outer;
        n.inputs = {whole};
        const std::int64_t after = outer.dims[lies.axis] - lies.begin - p_.dims(whole)[lies.axis];
        for (Attribute& a : n.attributes)
            if (a.key == "before") a.integer = lies.begin;
            else if (a.key == "after") a.integer = after;
        return append(std::move(n));
    }

    void stack(std::vector<NodeId>& ids, std::vector<NodeId>& out) {
        while (!ids.empty()) {
            const ProgramNode first = p_.node(ids[0]);
            std::vector<NodeId> alike, others;
            for (NodeId id : ids) {
                const ProgramNode& n = p_.node(id);
                (n.op == first.op && n.attributes == first.attributes ? alike : others).push_back(id);
            }
            if (alike.size() < kFewestProducts) out.insert(out.end(), alike.begin(), alike.end());
            else out.push_back(stacked(alike, first));
            ids = others;
        }
    }

    NodeId stacked(std::vector<NodeId> ids, ProgramNode product) {
        // In the order in which their first operands were made, which is that of the steps.
        std::stable_sort(ids.begin(), ids.end(),
                         [&](NodeId a, NodeId b) { return p_.node(a).inputs[0] < p_.node(b).inputs[0]; });
        for (std::size_t k = 0; k < product.inputs.size(); ++k) {
            std::vector<NodeId> operands;
            for (NodeId id : ids) operands.push_back(p_.node(id).inputs[k]);
            product.inputs[k] = concatenated(*product.op, operands, 0, product);
        }
        return append(std::move(product));
    }

    NodeId concatenated(const Op& of, const std::vector<NodeId>& ids, int axis, const ProgramNode& instead_of) {
        if (const auto known = joined_.find({axis, ids}); known != joined_.end()) return known->second;
        ProgramNode n{ops_.find(of.joined_by), ids, {}, p_.dims(ids[0]), instead_of.where, instead_of.scope};
        n.attributes.push_back(Attribute::of("axis", std::int64_t(axis)));
        for (NodeId& in : n.inputs) in = for_one_whole(in);
        for (std::size_t k = 1; k < ids.size(); ++k) n.dims[axis] += p_.dims(ids[k])[axis];
        return joined_[{axis, ids}] = append(std::move(n));
    }

    // A value can be made where it belongs in one whole. For another, whoever makes it writes it twice.
    NodeId for_one_whole(NodeId id) {
        if (in_a_whole_.insert(id).second || p_.runs(id) != Runs::elementwise) return id;
        const ProgramNode& n = p_.node(id);
        return append({&copies_, {id}, {Attribute::of("shape", n.dims)}, n.dims, n.where, n.scope});
    }

    NodeId append(ProgramNode n) {
        p_.nodes.push_back(std::move(n));
        return NodeId(p_.nodes.size() - 1);
    }

    /// An elementwise op that gives its operand, spread out.
    static const Op& copying(const OpTable& ops) {
        for (const Op* op : ops.all())
            if (op->spreads && op->passes && op->runs == Runs::elementwise) return *op;
        throw std::logic_error("there is no op that copies");
    }

    const OpTable& ops_;
    Program& p_;
    Readers readers_;
    PerNode<NodeId> moved_;
    const Op& copies_;
    std::set<NodeId> in_a_whole_;                                  ///< what has been joined
    std::map<std::pair<int, std::vector<NodeId>>, NodeId> joined_; ///< by axis and operands
};

} // namespace

void join_sums(const OpTable& ops, Program& program) { Sums(ops, program).run(); }

} // namespace elbo::core::freezing
