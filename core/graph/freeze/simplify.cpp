// Pruning and simplification: from the tape's nodes to the few that matter, by what ops say of themselves.
#include <algorithm>
#include <set>
#include <unordered_map>

#include "core/graph/freeze/passes.hpp"

namespace elbo::core::freezing {

namespace {

class Simplifier {
public:
    Simplifier(const Tape& tape, const FreezeRequest& request, const Backend* backend, Program& out)
        : tape_(tape), request_(request), backend_(backend), out_(out), constant_(tape.ops().only(Runs::constant)) {}

    void run() {
        out_.pack = &tape_.ops().only(Runs::pack);
        mark_live();
        mapped_ = PerNode<NodeId>(tape_.size(), -1);
        for (NodeId id = 0; std::size_t(id) < tape_.size(); ++id)
            if (live_[id]) mapped_[id] = carry_over(tape_, id, mapped_, tape_.where(id), tape_.scope(id));
        for (const auto& a : request_.assignments) assigned_.insert(mapped_[a.target]);
        for (const auto& o : request_.outputs) out_.outputs.push_back({o.name, before_assignment(o.node)});
        if (request_.guard >= 0) out_.guard = mapped_[request_.guard];
        for (const auto& a : request_.assignments)
            out_.nodes.push_back({&tape_.ops().only(Runs::assign),
                                  {mapped_[a.target], assigned_value(a)},
                                  {},
                                  tape_.dims(a.target),
                                  tape_.where(a.value),
                                  tape_.scope(a.value)});
        if (request_.fuse) {
            drop_unused(); // so that only what is needed counts as a reader
            join_sums(tape_.ops(), out_);
        }
        drop_unused();
        for (auto& n : out_.nodes) {
            auto* list = n.op->runs == Runs::tensor  ? &out_.tensors
                         : n.op->runs == Runs::input ? &out_.inputs
                                                     : nullptr;
            if (!list) continue;
            n.given = std::int64_t(list->size());
            const std::int64_t stride = backend_ && n.op->runs == Runs::tensor ? backend_->row_stride(n.dims) : 0;
            list->push_back({n.scope, n.dims, stride});
        }
    }

private:
    ProgramNode& node(NodeId id) { return out_.nodes[std::size_t(id)]; }
    bool is_constant(NodeId id) { return node(id).op->runs == Runs::constant; }
    std::optional<double> number(NodeId id) {
        return is_constant(id) ? std::optional(out_.constant(id)) : std::nullopt;
    }
    bool is(NodeId id, const std::optional<double>& value) {
        return value && is_constant(id) && out_.constant(id) == *value;
    }

    // A copy of a tensor as it stands before anything is assigned.
    NodeId copied(NodeId id) {
        const ProgramNode& n = node(id);
        return add({out_.pack, {id}, {}, n.dims, n.where, n.scope});
    }

    NodeId assigned_value(const Assignment& a) {
        const NodeId value = mapped_[a.value];
        return out_.runs(source(out_, value)) == Runs::tensor ? copied(value) : value;
    }

    NodeId before_assignment(NodeId output) {
        const NodeId id = mapped_[output];
        return assigned_.contains(source(out_, id)) ? copied(id) : id;
    }

    void mark_live() {
        live_ = PerNode<char>(tape_.size(), 0);
        for (const auto& o : request_.outputs) live_[o.node] = 1;
        for (const auto& a : request_.assignments) live_[a.target] = live_[a.value] = 1;
        if (request_.guard >= 0) live_[request_.guard] = 1;
        for (NodeId id = NodeId(tape_.size()); id-- > 0;)
            if (live_[id])
                for (NodeId in : tape_.inputs(id)) live_[in] = 1;
    }

    NodeId carry_over(const Tape& from, NodeId id, const PerNode<NodeId>& mapped, const std::string& where,
                      const std::string& scope) {
        const Node& n = from.node(id);
        ProgramNode made{n.op, {}, {}, n.dims, where, scope};
        for (NodeId in : from.inputs(id)) made.inputs.push_back(mapped[in]);
        if (n.op->runs == Runs::composite) {
            if (!keeps(made)) return write_out(*n.expanded, made);
            made.expanded = n.expanded;
        }
        const auto all = from.attributes(id).all();
        made.attributes.assign(all.begin(), all.end());
        if (n.op->runs == Runs::tensor || n.op->runs == Runs::input) made.scope = from.name(id);
        return made_of(std::move(made));
    }

    bool keeps(const ProgramNode& n) {
        std::vector<Dims> in;
        for (NodeId i : n.inputs) in.push_back(node(i).dims);
        return backend_ && backend_->keeps(*n.op, in);
    }

    NodeId write_out(const Expanded& what, const ProgramNode& instead_of) {
        PerNode<NodeId> inner(what.tape->size(), -1);
        for (std::size_t k = 0; k < what.inputs.size(); ++k) inner[what.inputs[k]] = instead_of.inputs[k];
        for (NodeId id = 0; std::size_t(id) < what.tape->size(); ++id)
            if (what.tape->node(id).op->runs != Runs::input)
                inner[id] = carry_over(*what.tape, id, inner, instead_of.where, instead_of.scope);
        return inner[what.result];
    }

    // Something that is already there and equal, or -1. May rewrite the node it is given.
    NodeId simpler(ProgramNode& n) {
        const Op& op = *n.op;
        if (op.passes && node(n.inputs[0]).dims == n.dims) return n.inputs[0];
        if (op.of_constant && is_constant(n.inputs[0]) && n.dims.numel() > 0)
            return add_constant(op.of_constant(out_.constant(n.inputs[0]), node(n.inputs[0]).dims, n.dims), n);
        if (op.runs == Runs::row_sum) return linear_sum(n);
        if (op.runs != Runs::elementwise || op.noise) return -1;
        if (op.same_as)
            if (const auto plainer = op.same_as(number(n.inputs[0])); !plainer.empty()) {
                n.op = tape_.ops().find(plainer);
                return simpler(n);
            }
        read_through_broadcasts(n);
        if (std::all_of(n.inputs.begin(), n.inputs.end(), [&](NodeId i) { return is_constant(i); })) return fold(n);
        if (const NodeId late = spread_late(n); late >= 0) return late;
        if (n.inputs.size() != 2) return -1;
        if (is(n.inputs[1], op.right_unit) && node(n.inputs[0]).dims == n.dims) return n.inputs[0];
        if (is(n.inputs[0], op.left_unit) && node(n.inputs[1]).dims == n.dims) return n.inputs[1];
        return -1;
    }

    // What a value is before it is spread out and before sizes of 1 are put in front of its own.
    NodeId unspread(NodeId id) {
        while (node(id).op->spreads || adds_leading_ones(id)) id = node(id).inputs[0];
        return id;
    }
    bool adds_leading_ones(NodeId id) {
        if (node(id).op->runs != Runs::view) return false;
        const Dims &d = node(id).dims, &from = node(node(id).inputs[0]).dims;
        const int more = d.rank - from.rank;
        if (more <= 0 || d.numel() != from.numel()) return false;
        for (int i = 0; i < d.rank; ++i)
            if (d[i] != (i < more ? 1 : from[i - more])) return false;
        return true;
    }

    // Elementwise ops broadcast by themselves: an operand that was only spread out is read where it lies.
    void read_through_broadcasts(ProgramNode& n) {
        for (NodeId& in : n.inputs) {
            const NodeId was = in;
            in = unspread(in);
            if (in == was) continue;
            std::optional<Dims> all = Dims{};
            for (NodeId i : n.inputs) all = all ? broadcast(*all, node(i).dims) : all;
            if (!all || !(*all == n.dims)) in = was;
        }
    }

    // What only spread values go into is computed before they are spread.
    NodeId spread_late(const ProgramNode& n) {
        ProgramNode small = n;
        std::optional<Dims> all = Dims{};
        const Op* spreads = nullptr;
        for (NodeId& in : small.inputs) {
            if (const Op* op = node(in).op; op->spreads) spreads = op;
            in = unspread(in);
            all = all ? broadcast(*all, node(in).dims) : all;
        }
        if (!spreads || !all || all->numel() == n.dims.numel()) return -1;
        small.dims = *all;
        const NodeId made = made_of(std::move(small));
        return add({spreads, {made}, {Attribute::of("shape", n.dims)}, n.dims, n.where, n.scope});
    }

    // The sum of b v over first axes is b times the sum of v where b is the same along them: batch norm's adjoint then
    // needs no sum but those of its two parameters.
    NodeId linear_sum(const ProgramNode& sum) {
        const ProgramNode v = node(sum.inputs[0]);
        if (v.op->runs != Runs::elementwise || v.op->linear == 0 || !over_first_axes(sum)) return -1;
        for (std::size_t k = 0; k < v.inputs.size(); ++k) {
            if ((v.op->linear >> k & 1) == 0 || !(node(v.inputs[k]).dims == v.dims)) continue;
            bool same_along = true, pays = false;
            for (std::size_t i = 0; i < v.inputs.size(); ++i) {
                if (i == k) continue;
                const auto both = broadcast(node(v.inputs[i]).dims, sum.dims);
                same_along = same_along && both && *both == sum.dims;
                pays = pays || node(v.inputs[i]).dims.numel() > 1;
            }
            if (!same_along) continue;
            ProgramNode inner = sum, outer = v;
            inner.inputs[0] = v.inputs[k];
            NodeId of_v = linear_sum(inner);
            if (of_v < 0 && !pays) return -1;
            outer.inputs[k] = of_v < 0 ? add(std::move(inner)) : of_v;
            outer.dims = sum.dims;
            return made_of(std::move(outer));
        }
        return -1;
    }

    bool over_first_axes(const ProgramNode& sum) {
        const Dims &in = node(sum.inputs[0]).dims, &axes = Attributes(sum.attributes).integers("axes");
        if (axes.rank == 0 || sum.dims.rank != in.rank - axes.rank || sum.dims.rank == 0) return false;
        std::set<std::int64_t> is;
        for (int i = 0; i < axes.rank; ++i) is.insert(axes[i] < 0 ? axes[i] + in.rank : axes[i]);
        return int(is.size()) == axes.rank && *is.rbegin() == axes.rank - 1;
    }

    NodeId made_of(ProgramNode n) {
        const NodeId same = simpler(n);
        return same >= 0 ? same : add(std::move(n));
    }

    NodeId fold(const ProgramNode& n) {
        std::vector<double> values;
        for (NodeId i : n.inputs) values.push_back(out_.constant(i));
        std::vector<const double*> in;
        for (const double& v : values) in.push_back(&v);
        const std::vector<Dims> scalars(n.inputs.size());
        double result = 0;
        n.op->reference({in, scalars, &result, Dims{}, Attributes(n.attributes), {}});
        return add_constant(result, n);
    }

    NodeId add_constant(double value, const ProgramNode& instead_of) {
        return add({&constant_,
                    {},
                    {Attribute::of("value", value), Attribute::of("shape", instead_of.dims)},
                    instead_of.dims,
                    instead_of.where,
                    instead_of.scope});
    }

    NodeId add(ProgramNode n) {
        std::string key;
        auto append = [&](const auto& v) { key.append(reinterpret_cast<const char*>(&v), sizeof v); };
        const bool given = n.op->runs == Runs::tensor || n.op->runs == Runs::input;
        if (!n.op->noise) {
            append(n.op);
            for (NodeId i : n.inputs) append(i);
            for (const auto& a : n.attributes) {
                append(a.real);
                append(a.integer);
                append(a.integers.rank);
                append(a.integers.d);
            }
            append(n.dims.rank);
            append(n.dims.d);
            if (given) key += n.scope;
            if (auto it = known_.find(key); it != known_.end()) return it->second;
        }
        out_.nodes.push_back(std::move(n));
        const NodeId id = NodeId(out_.nodes.size() - 1);
        if (!key.empty()) known_.emplace(std::move(key), id);
        return id;
    }

    void drop_unused() {
        PerNode<char> used(out_.nodes.size(), 0);
        for (const auto& o : out_.outputs) used[o.node] = 1;
        if (out_.guard >= 0) used[out_.guard] = 1;
        for (NodeId id = NodeId(out_.nodes.size()); id-- > 0;) {
            if (out_.runs(id) == Runs::assign) used[id] = 1;
            if (used[id])
                for (NodeId in : node(id).inputs) used[in] = 1;
        }
        PerNode<NodeId> moved(out_.nodes.size(), -1);
        NodeId next = 0;
        for (NodeId id = 0; std::size_t(id) < out_.nodes.size(); ++id) {
            if (!used[id]) continue;
            for (NodeId& in : node(id).inputs) in = moved[in];
            moved[id] = next;
            if (next != id) node(next) = std::move(node(id));
            ++next;
        }
        out_.nodes.resize(std::size_t(next));
        for (auto& o : out_.outputs) o.node = moved[o.node];
        if (out_.guard >= 0) out_.guard = moved[out_.guard];
    }

    const Tape& tape_;
    const FreezeRequest& request_;
    const Backend* backend_;
    Program& out_;
    const Op& constant_;
    PerNode<NodeId> mapped_;
    PerNode<char> live_;
    std::set<NodeId> assigned_; ///< tensors that are written
    std::unordered_map<std::string, NodeId> known_;
};

} // namespace

void simplify(const Tape& tape, const FreezeRequest& request, const Backend* backend, Program& program) {
    Simplifier(tape, request, backend, program).run();
}

} // namespace elbo::core::freezing
