// Reverse sweep (Griewank and Walther 2008, ch. 3): visits each node between `wrt` and the scalar once, asks its op for
// the adjoints of its inputs, and adds up what arrives at a node. Everything is appended to the same tape, so the
// result can be differentiated again.
#include <cassert>

#include <elbo/ops.hpp>

#include "core/base/error.hpp"
#include "core/graph/tape.hpp"

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

} // namespace

std::vector<NodeId> append_gradient(elbo_trace* recording, Tape& tape, NodeId scalar, std::span<const NodeId> wrt) {
    if (tape.dims(scalar).numel() != 1)
        throw Error(Exit::plugin, "gradient: only a scalar can be differentiated, this is " + tape.dims(scalar).text(),
                    tape.where(scalar));
    const std::size_t n = std::size_t(scalar) + 1;
    std::vector<char> leads_to_wrt(n, 0);
    for (NodeId w : wrt)
        if (std::size_t(w) < n) leads_to_wrt[std::size_t(w)] = 1;
    for (std::size_t i = 0; i < n; ++i)
        for (NodeId in : tape.inputs(NodeId(i))) leads_to_wrt[i] |= leads_to_wrt[std::size_t(in)];

    std::vector<Var> adjoint(n);
    auto var = [&](NodeId id) { return Var{recording, id}; };
    adjoint[n - 1] = detail::constant(recording, 1.0, tape.dims(scalar).list(), Site::here());
    for (std::size_t i = n; i-- > 0;) {
        const NodeId id = NodeId(i);
        if (!adjoint[i].trace || !leads_to_wrt[i] || tape.inputs(id).empty()) continue;
        elbo_site at = tape.site(id);
        detail::Inside caller(Site{at.file ? at.file : "", at.line});
        std::vector<Var> x, given(tape.inputs(id).size());
        for (NodeId in : tape.inputs(id)) x.push_back(var(in));
        const std::vector<Attribute> copy(tape.attributes(id).all().begin(), tape.attributes(id).all().end());
        Adjoint rule(x, var(id), adjoint[i], Attributes(copy), given);
        tape.node(id).op->gradient(rule);
        for (std::size_t k = 0; k < x.size(); ++k) {
            const NodeId in = x[k].node;
            if (!given[k].trace || !leads_to_wrt[std::size_t(in)]) continue;
            Var arriving = unbroadcast(given[k], Dims(tape.dims(in)));
            Var& sum = adjoint[std::size_t(in)];
            sum = sum.trace ? sum + arriving : arriving;
        }
    }
    std::vector<NodeId> out;
    for (NodeId w : wrt) {
        bool reached = std::size_t(w) < n && adjoint[std::size_t(w)].trace;
        out.push_back(reached ? adjoint[std::size_t(w)].node
                              : detail::constant(recording, 0.0, tape.dims(w).list(), Site::here()).node);
    }
    return out;
}

} // namespace elbo::core
