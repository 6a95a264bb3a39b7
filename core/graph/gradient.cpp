// Reverse sweep (Griewank and Walther 2008, ch. 3): visits each node between `wrt` and the scalar once, asks its op for
// the adjoints of its inputs, and adds up what arrives at a node. Everything is appended to the same tape, so the
// result can be differentiated again. A composite without a rule of its own is written out and swept through.
#include <elbo/ops.hpp>

#include "core/graph/builder.hpp"

namespace elbo::core {

namespace {

// Sums an adjoint over the dimensions along which its input was broadcast.
Var unbroadcast(Var g, const Dims& to) {
    const Dims from(shape(g));
    if (from == to) return g;
    Dims gone, kept;
    for (int i = 0; i < from.rank; ++i) {
        int at = i - (from.rank - to.rank);
        if (at < 0) gone.push(i);
        else if (to[at] == 1 && from[i] != 1) kept.push(at);
    }
    if (gone.rank > 0) g = sum(g, gone.list());
    if (kept.rank > 0) g = sum_keep(g, kept.list());
    if (Dims(shape(g)) == to) return g;
    return broadcast_to(g, to.list());
}

/// Adjoints of the nodes from `first` on; what arrives at earlier ones is handed to `outside`.
class Sweep {
public:
    Sweep(Builder& b, NodeId first, NodeId end, Sweep* outside)
        : b_(b), first_(first), adjoint_(std::size_t(end - first)), leads_(std::size_t(end - first), 0),
          outside_(outside) {}

    void mark(NodeId wrt) {
        if (inside(wrt)) leads_[wrt - first_] = 1;
    }

    bool leads(NodeId id) const { return inside(id) ? leads_[id - first_] != 0 : outside_ && outside_->leads(id); }

    /// Which nodes lie on a path to what is differentiated for.
    void spread() {
        for (NodeId id = first_; id < end(); ++id)
            for (NodeId in : b_.tape.inputs(id)) leads_[id - first_] |= char(leads(in));
    }

    void add(NodeId to, Var g) {
        if (!inside(to)) return outside_->add(to, g);
        Var arriving = unbroadcast(g, Dims(b_.tape.dims(to)));
        Var& sum = adjoint_[to - first_];
        sum = sum.trace ? sum + arriving : arriving;
    }

    void run() {
        for (NodeId id = end(); id-- > first_;) {
            const Var g = adjoint_[id - first_];
            if (!g.trace || !leads(id) || b_.tape.inputs(id).empty()) continue;
            const elbo_site at = b_.tape.site(id);
            const detail::Inside caller(Site{at.file ? at.file : "", at.line});
            const Op& op = *b_.tape.node(id).op;
            if (op.gradient) by_rule(op, id, g);
            else through(id, g);
        }
    }

    Var found(NodeId id) const { return inside(id) ? adjoint_[id - first_] : Var{}; }

private:
    NodeId end() const { return first_ + NodeId(adjoint_.size()); }
    bool inside(NodeId id) const { return id >= first_ && id < end(); }

    void by_rule(const Op& op, NodeId id, Var g) {
        std::vector<Var> x, given(b_.tape.inputs(id).size());
        for (NodeId in : b_.tape.inputs(id)) x.push_back(b_.var(in));
        const auto all = b_.tape.attributes(id).all();
        const std::vector<Attribute> copy(all.begin(), all.end()); // the tape grows while the rule runs
        Adjoint rule(x, b_.var(id), g, Attributes(copy), given);
        op.gradient(rule);
        for (std::size_t k = 0; k < x.size(); ++k)
            if (given[k].trace && leads(x[k].node)) add(x[k].node, given[k]);
    }

    void through(NodeId id, Var g) {
        const auto expanded = b_.tape.node(id).expanded;
        const std::vector<NodeId> in(b_.tape.inputs(id).begin(), b_.tape.inputs(id).end());
        const NodeId first = NodeId(b_.tape.size());
        const NodeId result = splice(b_.tape, *expanded, in, b_.tape.site(id), b_.tape.scope(id));
        Sweep inner(b_, first, NodeId(b_.tape.size()), this);
        inner.spread();
        inner.add(result, g);
        inner.run();
    }

    Builder& b_;
    NodeId first_;
    PerNode<Var> adjoint_;
    PerNode<char> leads_;
    Sweep* outside_;
};

} // namespace

std::vector<NodeId> Builder::gradient(NodeId scalar, std::span<const NodeId> wrt) {
    if (tape.dims(scalar).numel() != 1)
        throw Error(Exit::plugin, "gradient: only a scalar can be differentiated, this is " + tape.dims(scalar).text(),
                    tape.where(scalar));
    Sweep sweep(*this, 0, scalar + 1, nullptr);
    for (NodeId w : wrt) sweep.mark(w);
    sweep.spread();
    sweep.add(scalar, elbo::detail::constant(handle(), 1.0, tape.dims(scalar).list(), Site::here()));
    sweep.run();
    std::vector<NodeId> out;
    for (NodeId w : wrt) {
        const Var g = sweep.found(w);
        out.push_back(g.trace ? g.node : elbo::detail::constant(handle(), 0.0, tape.dims(w).list(), Site::here()).node);
    }
    return out;
}

} // namespace elbo::core
