// Rows of matrices that would lie a power of two apart are put further apart, as the backend likes it (products lose a
// third otherwise), where everything that makes or reads the value can follow. Kept tensors are decided by their size
// alone (simplify.cpp), since all programs share them.
#include "core/graph/freeze/passes.hpp"

namespace elbo::core::freezing {

namespace {

// A group walks rows of whatever stride, a claim if it says so.
bool follows(const Program& p, const Unit& u, NodeId made) {
    if (u.kind == Unit::Kind::claim || u.kind == Unit::Kind::streamed) return u.takes_strides;
    return u.kind == Unit::Kind::group && (made < 0 || (p.dims(made) == u.space && p.runs(made) == Runs::elementwise));
}

} // namespace

void choose_layouts(const Backend* backend, Program& p) {
    const PerNode<int> unit = unit_of(p);
    if (backend) {
        const Readers readers(p);
        for (NodeId id = 0; std::size_t(id) < p.nodes.size(); ++id) {
            const std::int64_t stride = unit[id] < 0 || readers.pinned(id) ? 0 : backend->row_stride(p.dims(id));
            if (stride == 0 || !p.layouts[id].plain() || !follows(p, p.units[std::size_t(unit[id])], id)) continue;
            bool all = true;
            for (NodeId r : readers.of(id)) all = all && unit[r] >= 0 && follows(p, p.units[std::size_t(unit[r])], -1);
            if (all) p.layouts[id].row_stride = stride;
        }
    }
    for (Unit& u : p.units)
        if (u.claimed) u.scratch_bytes = u.claimed->scratch(p, u);
}

} // namespace elbo::core::freezing
