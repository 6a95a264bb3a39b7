#include "ops/backend/tiles.hpp"

#include <algorithm>
#include <cassert>
#include <unordered_map>

#include "ops/backend/threads.hpp"
#include "ops/support.hpp"

namespace elbo::ops {

using core::NodeId;
using core::Place;
using core::Runs;

namespace {

constexpr std::int64_t kTile = 512;
// Below about 20 microseconds of one core's work, waking a team costs more than it gives.
constexpr std::int64_t kWorthATeam = 1 << 16;
constexpr std::size_t kMostOperands = 160; // a group has at most 48 nodes of at most 3 operands

// Adds n values in sixteen lanes and these in a fixed tree.
double sum_of(const float* x, std::int64_t n) {
    float lane[16] = {};
    std::int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (int k = 0; k < 16; ++k) lane[k] += x[i + k];
    for (int width = 8; width > 0; width /= 2)
        for (int k = 0; k < width; ++k) lane[k] += lane[k + width];
    double total = lane[0];
    for (; i < n; ++i) total += x[i];
    return total;
}

} // namespace

TileGroup::TileGroup(const core::Program& program, const core::Unit& unit, int threads) : threads_(threads) {
    lower(program, unit);
    allocate_registers();
    parallel_ = threads_ > 1 && total_ * std::int64_t(code_.size()) >= kWorthATeam && total_ / row_ > 1;
    const std::int64_t slots = registers_ + std::int64_t(operands_.size());
    scratch_per_thread_ = slots * kTile;
    scratch_ = core::aligned_floats(scratch_per_thread_ * threads_);
    workers_.resize(std::size_t(threads_));
    for (int t = 0; t < threads_; ++t) {
        Worker& w = workers_[std::size_t(t)];
        float* at = scratch_.get() + t * scratch_per_thread_;
        for (int r = 0; r < registers_; ++r, at += kTile) w.registers.push_back(at);
        for (std::size_t o = 0; o < operands_.size(); ++o, at += kTile) w.expanded.push_back(at);
        w.results.resize(std::size_t(registers_));
        w.partial.resize(sums_.size());
    }
}

TileGroup::Stream TileGroup::stream_of(const core::Program& program, const core::Unit& unit, NodeId id) const {
    const core::Dims& d = program.dims(id);
    const std::int64_t row_stride = program.layout(id).row_stride;
    Stream s{program.place(id), core::strides_over(d, unit.space), d.numel() == 1, d == unit.space, row_stride == 0};
    if (row_stride == 0) return s;
    // Rows lie apart: every dimension but the last steps over the gaps too.
    const std::int64_t width = d[d.rank - 1];
    for (int i = 0; i < unit.space.rank - 1; ++i)
        s.strides[std::size_t(i)] = s.strides[std::size_t(i)] / width * row_stride;
    return s;
}

void TileGroup::lower(const core::Program& program, const core::Unit& unit) {
    total_ = unit.space.numel();
    std::vector<NodeId> operand_nodes;
    std::unordered_map<NodeId, int> reg_of;
    auto immediate = [&](NodeId id) -> Source {
        immediates_.push_back(float(program.constant(id)));
        return {From::immediate, int(immediates_.size() - 1)};
    };
    auto source_of = [&](NodeId id) -> Source {
        if (auto made = reg_of.find(id); made != reg_of.end()) return {From::reg, made->second};
        if (program.runs(id) == Runs::constant && program.place(id).in != Place::In::slab) return immediate(id);
        auto it = std::find(operand_nodes.begin(), operand_nodes.end(), id);
        if (it == operand_nodes.end()) it = operand_nodes.insert(operand_nodes.end(), id);
        return {From::operand, int(it - operand_nodes.begin())};
    };
    auto emit = [&](const core::Op& op, const std::vector<Source>& in) {
        Instruction i{&op, op.tile, int(in.size()), {}, registers_++};
        std::copy(in.begin(), in.end(), i.in);
        code_.push_back(i);
        return i.reg;
    };
    for (NodeId id : unit.nodes) {
        const core::ProgramNode& n = program.node(id);
        if (n.op->runs == Runs::row_sum) {
            sums_.push_back({reg_of.at(n.inputs[0]), program.place(id)});
            row_ = program.dims(n.inputs[0]).numel() / std::max<std::int64_t>(n.dims.numel(), 1);
            continue;
        }
        if (n.op->runs == Runs::assign) {
            const Source value = source_of(n.inputs[1]);
            const int reg = value.from == From::reg ? value.index : emit(*n.op, {value});
            stores_.push_back({reg, stream_of(program, unit, n.inputs[0]), true});
            continue;
        }
        std::vector<Source> in;
        if (n.op->runs == Runs::constant) in.push_back(immediate(id));
        for (NodeId i : n.inputs) in.push_back(source_of(i));
        reg_of[id] = emit(*n.op, in);
        if (program.place(id).in == Place::In::slab)
            stores_.push_back({reg_of.at(id), stream_of(program, unit, id), false});
    }
    assert(operand_nodes.size() <= kMostOperands);
    for (NodeId id : operand_nodes) operands_.push_back(stream_of(program, unit, id));
    collapse(unit);
    merge_products();
    choose_direct_stores();
}

// a * b + c, a * b - c and c - a * b become one pass when nothing else wants the product.
void TileGroup::merge_products() {
    std::vector<int> uses(std::size_t(registers_), 0);
    for (const Instruction& i : code_)
        for (int k = 0; k < i.n_in; ++k)
            if (i.in[k].from == From::reg) ++uses[std::size_t(i.in[k].index)];
    for (const Store& s : stores_) uses[std::size_t(s.reg)] += 2;
    for (const RowSum& s : sums_) uses[std::size_t(s.reg)] += 2;
    std::vector<char> gone(code_.size(), 0);
    auto varies = [](const Source& s) { return s.from != From::immediate; };
    for (Instruction& i : code_) {
        for (int k = 0; k < 2 && k < i.n_in; ++k) {
            const core::TileFn together = i.op->onto_product[std::size_t(k)];
            if (!together || i.in[k].from != From::reg || uses[std::size_t(i.in[k].index)] != 1) continue;
            const auto product = std::size_t(i.in[k].index); // before allocation, registers count instructions
            const Instruction& p = code_[product];
            if (!p.op->product || p.n_in != 2 || !(varies(p.in[0]) || varies(p.in[1]))) continue;
            const bool swap = !varies(p.in[1]);
            const Source other = i.in[1 - k], a = p.in[swap ? 1 : 0], b = p.in[swap ? 0 : 1];
            if (b.from == From::operand && !operands_[std::size_t(b.index)].dense) continue;
            i = Instruction{p.op, together, 3, {a, b, other}, i.reg};
            gone[product] = 1;
            break;
        }
    }
    std::vector<Instruction> kept;
    for (std::size_t k = 0; k < code_.size(); ++k)
        if (!gone[k]) kept.push_back(code_[k]);
    code_ = std::move(kept);
}

// A result goes straight to memory unless that memory is an operand which a later instruction still reads, or one that
// is not read value by value.
void TileGroup::choose_direct_stores() {
    for (std::size_t k = 0; k < stores_.size(); ++k) {
        Store& s = stores_[k];
        std::size_t maker = 0;
        while (code_[maker].reg != s.reg) ++maker;
        bool needed = code_[maker].direct >= 0;
        for (std::size_t i = 0; i < code_.size(); ++i)
            for (int in = 0; in < code_[i].n_in; ++in) {
                if (code_[i].in[in].from != From::operand) continue;
                const Stream& o = operands_[std::size_t(code_[i].in[in].index)];
                needed |= o.place == s.to.place && (i > maker || !o.dense);
            }
        s.late = needed;
        if (!needed) code_[maker].direct = int(k);
    }
}

// Neighbouring dimensions become one where every operand steps through them as if they were; never across the end of
// the rows that are summed.
void TileGroup::collapse(const core::Unit& unit) {
    const core::Dims& space = unit.space;
    std::vector<Stream*> streams;
    for (Stream& o : operands_) streams.push_back(&o);
    for (Store& s : stores_) streams.push_back(&s.to);
    std::vector<std::vector<std::int64_t>> strides(streams.size());
    std::int64_t after = 1; // values behind dimension i
    for (int i = space.rank - 1; i >= 0; --i) {
        if (space[i] == 1) continue;
        const auto u = std::size_t(i);
        bool merge = !dims_.empty() && !(sums_.size() && after == row_);
        for (std::size_t o = 0; merge && o < streams.size(); ++o)
            merge = streams[o]->strides[u] == strides[o].back() * dims_.back();
        after *= space[i];
        if (merge) {
            dims_.back() *= space[i];
        } else {
            dims_.push_back(space[i]);
            for (std::size_t o = 0; o < streams.size(); ++o) strides[o].push_back(streams[o]->strides[u]);
        }
    }
    if (dims_.empty()) {
        dims_.push_back(1);
        for (auto& s : strides) s.push_back(1);
    }
    std::reverse(dims_.begin(), dims_.end());
    for (std::size_t o = 0; o < streams.size(); ++o)
        std::copy(strides[o].rbegin(), strides[o].rend(), streams[o]->strides.begin());
    run_ = dims_.back();
}

// Registers are reused once their last reader has run; values that are stored late or summed live to the end.
void TileGroup::allocate_registers() {
    std::vector<int> last(std::size_t(registers_), -1);
    for (std::size_t i = 0; i < code_.size(); ++i)
        for (int k = 0; k < code_[i].n_in; ++k)
            if (code_[i].in[k].from == From::reg) last[std::size_t(code_[i].in[k].index)] = int(i);
    for (const Store& s : stores_) last[std::size_t(s.reg)] = int(code_.size());
    for (const RowSum& s : sums_) last[std::size_t(s.reg)] = int(code_.size());
    std::vector<int> now(std::size_t(registers_), -1), free;
    int used = 0;
    for (std::size_t i = 0; i < code_.size(); ++i) {
        Instruction& instruction = code_[i];
        const int result = instruction.reg;
        int reg = free.empty() ? used++ : free.back();
        if (!free.empty()) free.pop_back();
        for (int k = 0; k < instruction.n_in; ++k) {
            Source& in = instruction.in[k];
            if (in.from != From::reg) continue;
            const int old = in.index;
            in.index = now[std::size_t(old)];
            if (last[std::size_t(old)] == int(i)) {
                last[std::size_t(old)] = -2; // freed once, though it may be read twice
                free.push_back(in.index);
            }
        }
        now[std::size_t(result)] = reg;
        instruction.reg = reg;
    }
    for (Store& s : stores_) s.reg = now[std::size_t(s.reg)];
    for (RowSum& s : sums_) s.reg = now[std::size_t(s.reg)];
    registers_ = used;
}

void TileGroup::run(const Memory& memory) {
    if (total_ == 0) return;
    struct Context {
        TileGroup* group;
        const Memory* memory;
    } context{this, &memory};
    run_team(
        parallel_,
        [](void* data, int thread, int threads) {
            auto* c = static_cast<Context*>(data);
            TileGroup& g = *c->group;
            // Cut at row ends, and at run ends where operands are stepped through run by run.
            const std::int64_t grain = std::max(g.sums_.empty() ? 1 : g.row_, g.dims_.size() > 1 ? g.run_ : 16);
            const std::int64_t pieces = (g.total_ + grain - 1) / grain;
            const std::int64_t from = pieces * thread / threads * grain, to = pieces * (thread + 1) / threads * grain;
            g.process(*c->memory, from, std::min(to, g.total_), thread);
        },
        &context);
}

void TileGroup::process(const Memory& memory, std::int64_t begin, std::int64_t end, int thread) {
    if (begin >= end) return;
    Worker& w = workers_[std::size_t(thread)];
    std::fill(w.partial.begin(), w.partial.end(), 0.0);
    // Runs shorter than a tile are taken several at a time. Where rows are summed, tiles hold whole rows or parts of
    // one, so that the order of additions is the same whichever thread takes the row.
    std::int64_t step = run_ >= kTile / 2 ? kTile : kTile / run_ * run_;
    const bool cut_rows = !sums_.empty() && row_ > step;
    if (!sums_.empty() && !cut_rows) step = step / row_ * row_;
    for (std::int64_t at = begin; at < end;) {
        std::int64_t n = std::min(step, end - at);
        if (run_ >= kTile / 2) n = std::min(n, run_ - at % run_);
        if (cut_rows) n = std::min(n, row_ - at % row_);
        tile(w, memory, at, n);
        at += n;
    }
}

// Fills `to` with the values of an operand that is broadcast over short runs.
void TileGroup::expand(const float* base, const Stream& o, std::int64_t at, std::int64_t n, float* to) const {
    const std::size_t outer = dims_.size() - 1;
    std::int64_t index[core::kMaxRank] = {};
    std::int64_t run = at / run_, offset = 0;
    for (std::size_t d = outer; d-- > 0; run /= dims_[d]) {
        index[d] = run % dims_[d];
        offset += index[d] * o.strides[d];
    }
    const std::int64_t inner = o.strides[outer];
    for (std::int64_t done = 0; done < n; done += run_) {
        if (inner == 1) std::copy_n(base + offset, run_, to + done);
        else std::fill_n(to + done, run_, base[offset]);
        for (std::size_t d = outer; d-- > 0;) {
            offset += o.strides[d];
            if (++index[d] < dims_[d]) break;
            offset -= o.strides[d] * dims_[d];
            index[d] = 0;
        }
    }
}

// Where value number `at` of the space lies.
std::int64_t TileGroup::offset(const Stream& s, std::int64_t at) const {
    if (s.dense && s.compact) return at;
    const std::size_t outer = dims_.size() - 1;
    std::int64_t run = at / run_, to = at % run_ * s.strides[outer];
    for (std::size_t d = outer; d-- > 0; run /= dims_[d]) to += run % dims_[d] * s.strides[d];
    return to;
}

// The next tile comes into the cache while this one is computed. Streams of tiles are too short, and too many at a
// time, for the processor to see them coming; an Adam update takes four in and three out.
void TileGroup::fetch_ahead(const float* base, const Stream& s, std::int64_t at) const {
    constexpr std::int64_t kLine = 16;
    if (at >= total_) return;
    const float* from = base + offset(s, at);
    const std::int64_t n = std::min(kTile, s.compact ? total_ - at : run_);
    for (std::int64_t i = 0; i < n; i += kLine) __builtin_prefetch(from + i);
}

void TileGroup::tile(Worker& w, const Memory& memory, std::int64_t at, std::int64_t n) {
    const float* operand[kMostOperands];
    bool scalar[kMostOperands];
    for (std::size_t k = 0; k < operands_.size(); ++k) {
        const Stream& o = operands_[k];
        const float* base = memory.at(o.place);
        scalar[k] = o.scalar;
        if (o.scalar) operand[k] = base;
        else if (o.dense) operand[k] = base + offset(o, at), fetch_ahead(base, o, at + n);
        else if (run_ >= kTile / 2) operand[k] = base + offset(o, at), scalar[k] = o.strides[dims_.size() - 1] == 0;
        else expand(base, o, at, n, w.expanded[k]), operand[k] = w.expanded[k];
    }
    auto target = [&](const Store& s) { return memory.at(s.to.place) + offset(s.to, at); };
    for (const Instruction& i : code_) {
        float*& result = w.results[std::size_t(i.reg)];
        result = i.direct < 0 ? w.registers[std::size_t(i.reg)] : target(stores_[std::size_t(i.direct)]);
        core::TileCall call{{nullptr, nullptr, nullptr}, {false, false, false}, result, std::size_t(n)};
        for (int k = 0; k < i.n_in; ++k) {
            const auto index = std::size_t(i.in[k].index);
            if (i.in[k].from == From::reg) {
                call.in[k] = w.results[index];
            } else if (i.in[k].from == From::immediate) {
                call.in[k] = &immediates_[index];
                call.scalar[k] = true;
            } else {
                call.in[k] = operand[index];
                call.scalar[k] = scalar[index];
            }
        }
        i.tile(call);
    }
    for (const Store& s : stores_)
        if (s.late) std::copy_n(w.results[std::size_t(s.reg)], n, target(s));
    if (!sums_.empty()) add_rows(w, memory, at, n);
}

void TileGroup::add_rows(Worker& w, const Memory& memory, std::int64_t at, std::int64_t n) {
    for (std::size_t k = 0; k < sums_.size(); ++k) {
        const float* x = w.results[std::size_t(sums_[k].reg)];
        float* out = memory.at(sums_[k].place);
        for (std::int64_t i = 0; i < n;) {
            const std::int64_t left = row_ - (at + i) % row_, take = std::min(left, n - i);
            w.partial[k] += sum_of(x + i, take);
            if (take == left) {
                out[(at + i) / row_] = float(w.partial[k]);
                w.partial[k] = 0;
            }
            i += take;
        }
    }
}

} // namespace elbo::ops
