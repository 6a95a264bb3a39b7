#include "core/graph/freeze/passes.hpp"

#include <algorithm>
#include <cassert>

namespace elbo::core {

std::shared_ptr<const Program> freeze(const Tape& tape, const FreezeRequest& request, const Backend* backend) {
    auto program = std::make_shared<Program>();
    program->purpose = request.purpose;
    freezing::simplify(tape, request, backend, *program);
    freezing::claim(backend, request.fuse, *program);
    freezing::group(*program, request.fuse);
    if (request.fuse) freezing::stream(*program);
    freezing::schedule(*program);
    freezing::choose_layouts(backend, *program);
    if (request.fuse) freezing::open_windows(*program);
    freezing::plan(*program);
    return program;
}

Unit Unit::claim_side() const {
    Unit u = *this;
    u.kind = Kind::claim;
    u.nodes.resize(claims);
    return u;
}

Unit Unit::group_side() const {
    Unit u;
    u.kind = Kind::group;
    u.space = space;
    u.level = level;
    u.nodes.assign(nodes.begin() + std::ptrdiff_t(claims), nodes.end());
    return u;
}

std::int64_t Layout::bytes(const Dims& dims) const {
    if (form) return form->bytes;
    if (row_stride == 0) return dims.numel() * 4;
    const std::int64_t width = dims.rank ? dims[dims.rank - 1] : 1;
    return width == 0 ? 0 : dims.numel() / width * row_stride * 4;
}

double Program::constant(NodeId id) const {
    assert(runs(id) == Runs::constant);
    return Attributes(node(id).attributes).real("value");
}

double Program::flops(const Unit& unit) const {
    double total = 0;
    for (NodeId id : unit.nodes) {
        const ProgramNode& n = node(id);
        std::vector<Dims> in;
        for (NodeId i : n.inputs) in.push_back(dims(i));
        if (n.op->flops) total += n.op->flops(in, n.dims);
        else total += double(in.empty() ? n.dims.numel() : std::max(n.dims.numel(), in[0].numel()));
    }
    return total;
}

double Program::bytes(const Unit& unit) const {
    double total = 0;
    for (NodeId in : freezing::reads(*this, unit))
        if (place(in).in != Place::In::immediate) total += double(layout(in).bytes(dims(in)));
    for (NodeId n : unit.nodes)
        if (place(n).in != Place::In::nowhere) total += double(layout(n).bytes(dims(n)));
    return total;
}

namespace freezing {

PerNode<int> unit_of(const Program& program) {
    PerNode<int> unit(program.nodes.size(), -1);
    for (std::size_t u = 0; u < program.units.size(); ++u)
        for (NodeId n : program.units[u].nodes) unit[n] = int(u);
    return unit;
}

namespace {

/// Where a node lies: in whose memory, and how many values behind its beginning.
Window whereabouts(const Program& program, NodeId id) {
    std::int64_t offset = 0;
    for (;;) {
        if (program.runs(id) == Runs::view) {
            id = program.node(id).inputs[0];
        } else if (const auto window = program.windows.find(id); window != program.windows.end()) {
            id = window->second.of;
            offset += window->second.offset;
        } else {
            return {id, offset};
        }
    }
}

} // namespace

NodeId source(const Program& program, NodeId id) { return whereabouts(program, id).of; }
std::int64_t offset_in_source(const Program& program, NodeId id) { return whereabouts(program, id).offset; }

SummedAxes summed_axes(const Program& program, NodeId sum) {
    const Dims& axes = Attributes(program.node(sum).attributes).integers("axes");
    const int rank = program.dims(program.node(sum).inputs[0]).rank;
    std::array<bool, kMaxRank> is{};
    for (int i = 0; i < axes.rank; ++i) is[std::size_t(axes[i] < 0 ? axes[i] + rank : axes[i])] = true;
    int first = 0, last = 0;
    while (first < rank && is[std::size_t(first)]) ++first;
    while (last < rank && is[std::size_t(rank - 1 - last)]) ++last;
    if (axes.rank == 0) return SummedAxes::others;
    return first == axes.rank ? SummedAxes::leading : last == axes.rank ? SummedAxes::trailing : SummedAxes::others;
}

std::vector<NodeId> reads(const Program& program, const Unit& unit) {
    if (unit.kind == Unit::Kind::claim) {
        std::vector<NodeId> out;
        for (NodeId in : unit.operands)
            if (std::find(out.begin(), out.end(), in) == out.end()) out.push_back(in);
        return out;
    }
    std::vector<NodeId> out;
    if (unit.kind == Unit::Kind::streamed) out = reads(program, unit.claim_side());
    for (std::size_t k = unit.claims; k < unit.nodes.size(); ++k)
        for (NodeId in : program.node(unit.nodes[k]).inputs) {
            if (std::find(unit.nodes.begin(), unit.nodes.end(), in) != unit.nodes.end()) continue;
            if (std::find(out.begin(), out.end(), in) == out.end()) out.push_back(in);
        }
    return out;
}

Readers::Readers(const Program& program) : begin_(program.nodes.size() + 1, 0), pinned_(program.nodes.size(), 0) {
    for (const auto& n : program.nodes)
        for (NodeId in : n.inputs) ++begin_[std::size_t(in) + 1];
    for (std::size_t i = 1; i < begin_.size(); ++i) begin_[i] += begin_[i - 1];
    all_.resize(begin_.back());
    std::vector<std::size_t> next(begin_.begin(), begin_.end() - 1);
    for (std::size_t i = 0; i < program.nodes.size(); ++i)
        for (NodeId in : program.nodes[i].inputs) all_[next[std::size_t(in)]++] = NodeId(i);
    for (const auto& o : program.outputs) pinned_[o.node] = 1;
    if (program.guard >= 0) pinned_[program.guard] = 1;
}

std::vector<NodeId> Readers::through_views(const Program& program, NodeId id) const {
    std::vector<NodeId> out;
    for (NodeId r : of(id)) {
        if (program.runs(r) != Runs::view) {
            out.push_back(r);
            continue;
        }
        const auto more = through_views(program, r);
        out.insert(out.end(), more.begin(), more.end());
    }
    return out;
}

} // namespace freezing

} // namespace elbo::core
