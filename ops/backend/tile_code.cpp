#include "ops/backend/tile_code.hpp"

#include <algorithm>
#include <cassert>
#include <unordered_map>

#include "ops/backend/chains.hpp"
#include "ops/support.hpp"

namespace elbo::ops {

using core::NodeId;
using core::Place;
using core::freezing::SummedAxes;

namespace {

class Lowering : public TileCode {
public:
    Lowering(const core::Program& program, const core::Unit& unit) : p_(program), unit_(unit) {
        total = unit.space.numel();
        for (NodeId id : unit.nodes) add(id);
        collapse();
        join_chains(*this);
        merge_products();
        choose_direct_stores();
        mark_written();
        allocate_registers();
    }

private:
    void add(NodeId id) {
        const core::ProgramNode& n = p_.node(id);
        if (n.op->runs == Runs::row_sum) return add_sum(id);
        if (n.op->runs == Runs::assign) {
            const Source value = source_of(n.inputs[1]);
            const int reg = value.from == From::reg ? value.index : emit(*n.op, {value});
            stores.push_back({reg, stream_of(n.inputs[0]), true});
            return;
        }
        std::vector<Source> in;
        if (n.op->runs == Runs::constant) in.push_back(immediate(id));
        for (NodeId i : n.inputs) in.push_back(source_of(i));
        reg_of_[id] = emit(*n.op, in);
        code.back().draw = n.op->draw;
        code.back().attributes = core::Attributes(n.attributes);
        if (p_.place(id).in == Place::In::slab) stores.push_back({reg_of_.at(id), stream_of(id), false});
    }

    void add_sum(NodeId id) {
        const core::ProgramNode& n = p_.node(id);
        const bool rows = core::freezing::summed_axes(p_, id) == SummedAxes::trailing;
        const std::int64_t values = p_.dims(n.inputs[0]).numel(), results = std::max<std::int64_t>(n.dims.numel(), 1);
        (rows ? row_sums : column_sums).push_back({source_of(n.inputs[0]), p_.place(id)});
        if (rows) row = values / results;
        else column = results;
    }

    Source immediate(NodeId id) {
        immediates.push_back(float(p_.constant(id)));
        return {From::immediate, int(immediates.size() - 1)};
    }

    Source source_of(NodeId id) {
        if (auto made = reg_of_.find(id); made != reg_of_.end()) return {From::reg, made->second};
        if (p_.runs(id) == Runs::constant && p_.place(id).in != Place::In::slab) return immediate(id);
        auto it = std::find_if(operands.begin(), operands.end(), [&](const Stream& s) { return s.node == id; });
        if (it == operands.end()) it = operands.insert(operands.end(), stream_of(id));
        return {From::operand, int(it - operands.begin())};
    }

    int emit(const core::Op& op, const std::vector<Source>& in) {
        Instruction i{.op = &op, .tile = op.tile, .n_in = int(in.size())};
        i.reg[0] = registers++;
        std::copy(in.begin(), in.end(), i.in.begin());
        code.push_back(i);
        return i.reg[0];
    }

    Stream stream_of(NodeId id) const {
        const core::Dims& d = p_.dims(id);
        const std::int64_t apart = p_.layout(id).row_stride;
        Stream s{id, p_.place(id), core::strides_over(d, unit_.space), d.numel() == 1, d == unit_.space, apart == 0};
        if (apart == 0) return s;
        // Rows lie apart: every dimension but the last steps over the gaps too.
        const std::int64_t width = d[d.rank - 1];
        for (int i = 0; i < unit_.space.rank - 1; ++i)
            s.strides[std::size_t(i)] = s.strides[std::size_t(i)] / width * apart;
        return s;
    }

    // a * b + c, a * b - c and c - a * b become one pass when nothing else wants the product.
    void merge_products() {
        const std::vector<int> used = uses();
        std::vector<int> maker(std::size_t(registers), -1);
        for (std::size_t k = 0; k < code.size(); ++k)
            if (code[k].op) maker[std::size_t(code[k].reg[0])] = int(k);
        std::vector<char> gone(code.size(), 0);
        auto varies = [](const Source& s) { return s.from != From::immediate; };
        for (Instruction& i : code) {
            for (int k = 0; i.op && k < 2 && k < i.n_in; ++k) {
                const core::TileFn together = i.op->onto_product[std::size_t(k)];
                if (!together || i.in[std::size_t(k)].from != From::reg) continue;
                const auto reg = std::size_t(i.in[std::size_t(k)].index);
                if (used[reg] != 1 || maker[reg] < 0) continue;
                const Instruction& p = code[std::size_t(maker[reg])];
                if (!p.op->product || p.n_in != 2 || !(varies(p.in[0]) || varies(p.in[1]))) continue;
                const bool swap = !varies(p.in[1]);
                const Source other = i.in[std::size_t(1 - k)], a = p.in[swap ? 1 : 0], b = p.in[swap ? 0 : 1];
                if (b.from == From::operand && !operands[std::size_t(b.index)].dense) continue;
                gone[std::size_t(maker[reg])] = 1;
                i.tile = together;
                i.n_in = 3;
                i.in[0] = a, i.in[1] = b, i.in[2] = other;
                i.op = p.op;
                break;
            }
        }
        std::vector<Instruction> kept;
        for (std::size_t k = 0; k < code.size(); ++k)
            if (!gone[k]) kept.push_back(code[k]);
        code = std::move(kept);
    }

    // A result goes straight to memory unless that memory is an operand which a later instruction still reads, or one
    // that is not read value by value.
    void choose_direct_stores() {
        for (std::size_t k = 0; k < stores.size(); ++k) {
            Store& s = stores[k];
            std::size_t maker = 0, result = 0;
            while (!makes(code[maker], s.reg, result)) ++maker;
            bool needed = code[maker].direct[result] >= 0 || !at_once(s.to);
            auto reads = [&](const Source& from, bool later) {
                if (from.from != From::operand) return;
                const Stream& o = operands[std::size_t(from.index)];
                needed |= o.place == s.to.place && (later || !o.dense);
            };
            for (std::size_t i = 0; i < code.size(); ++i)
                for (int in = 0; in < code[i].n_in; ++in) reads(code[i].in[std::size_t(in)], i > maker);
            for (const Sum& sum : row_sums) reads(sum.of, true);
            for (const Sum& sum : column_sums) reads(sum.of, true);
            s.late = needed;
            if (!needed) code[maker].direct[result] = int(k);
        }
    }

    void mark_written() {
        for (Stream& o : operands)
            o.written =
                std::any_of(stores.begin(), stores.end(), [&](const Store& s) { return s.to.place == o.place; });
    }

    static bool makes(const Instruction& i, int reg, std::size_t& result) {
        for (result = 0; result < std::size_t(i.n_out); ++result)
            if (i.reg[result] == reg) return true;
        return false;
    }

    // Neighbouring dimensions become one where every operand steps through them as if they were; never across the end
    // of the rows that are summed.
    void collapse() {
        const core::Dims& space = unit_.space;
        std::vector<Stream*> streams;
        for (Stream& o : operands) streams.push_back(&o);
        for (Store& s : stores) streams.push_back(&s.to);
        std::vector<std::vector<std::int64_t>> strides(streams.size());
        std::int64_t after = 1; // values behind dimension i
        for (int i = space.rank - 1; i >= 0; --i) {
            if (space[i] == 1) continue;
            const auto u = std::size_t(i);
            bool merge = !dims.empty() && !(row_sums.size() && after == row);
            for (std::size_t o = 0; merge && o < streams.size(); ++o)
                merge = streams[o]->strides[u] == strides[o].back() * dims.back();
            after *= space[i];
            if (merge) {
                dims.back() *= space[i];
            } else {
                dims.push_back(space[i]);
                for (std::size_t o = 0; o < streams.size(); ++o) strides[o].push_back(streams[o]->strides[u]);
            }
        }
        if (dims.empty()) {
            dims.push_back(1);
            for (auto& s : strides) s.push_back(1);
        }
        std::reverse(dims.begin(), dims.end());
        for (std::size_t o = 0; o < streams.size(); ++o)
            std::copy(strides[o].rbegin(), strides[o].rend(), streams[o]->strides.begin());
        run = dims.back();
        for (Stream& o : operands)
            o.repeats = std::all_of(o.strides.begin(), o.strides.begin() + std::ptrdiff_t(dims.size() - 1),
                                    [](std::int64_t stride) { return stride == 0; });
    }

    // Registers are reused once their last reader has run; values that are stored late or summed live to the end.
    void allocate_registers() {
        std::vector<int> last(std::size_t(registers), -1);
        for (std::size_t i = 0; i < code.size(); ++i)
            for (int k = 0; k < code[i].n_in; ++k)
                if (const Source& in = code[i].in[std::size_t(k)]; in.from == From::reg)
                    last[std::size_t(in.index)] = int(i);
        each_kept([&](int& reg) { last[std::size_t(reg)] = int(code.size()); });
        std::vector<int> now(std::size_t(registers), -1), free;
        int used = 0;
        for (std::size_t i = 0; i < code.size(); ++i) {
            Instruction& instruction = code[i];
            std::array<int, kMostResults> to{};
            for (std::size_t r = 0; r < std::size_t(instruction.n_out); ++r) {
                to[r] = free.empty() ? used++ : free.back();
                if (!free.empty()) free.pop_back();
            }
            for (std::size_t k = 0; k < std::size_t(instruction.n_in); ++k) {
                Source& in = instruction.in[k];
                if (in.from != From::reg) continue;
                const int old = in.index;
                in.index = now[std::size_t(old)];
                if (last[std::size_t(old)] == int(i)) {
                    last[std::size_t(old)] = -2; // freed once, though it may be read twice
                    free.push_back(in.index);
                }
            }
            for (std::size_t r = 0; r < std::size_t(instruction.n_out); ++r) {
                now[std::size_t(instruction.reg[r])] = to[r];
                if (last[std::size_t(instruction.reg[r])] == -1) free.push_back(to[r]); // nobody reads it
                instruction.reg[r] = to[r];
            }
        }
        each_kept([&](int& reg) { reg = now[std::size_t(reg)]; });
        registers = used;
    }

    /// Calls f for each register whose value is needed when the instructions are done.
    template <class F>
    void each_kept(F f) {
        for (Store& s : stores) f(s.reg);
        for (auto* sums : {&row_sums, &column_sums})
            for (Sum& s : *sums)
                if (s.of.from == From::reg) f(s.of.index);
    }

    const core::Program& p_;
    const core::Unit& unit_;
    std::unordered_map<NodeId, int> reg_of_;
};

} // namespace

std::vector<int> TileCode::uses() const {
    std::vector<int> out(std::size_t(registers), 0);
    for (const Instruction& i : code)
        for (int k = 0; k < i.n_in; ++k)
            if (i.in[std::size_t(k)].from == From::reg) ++out[std::size_t(i.in[std::size_t(k)].index)];
    constexpr int kOutside = 2; // more than an instruction's one use
    for (const Store& s : stores) out[std::size_t(s.reg)] += kOutside;
    for (const auto* sums : {&row_sums, &column_sums})
        for (const Sum& s : *sums)
            if (s.of.from == From::reg) out[std::size_t(s.of.index)] += kOutside;
    return out;
}

TileCode lower_group(const core::Program& program, const core::Unit& unit) { return Lowering(program, unit); }

} // namespace elbo::ops
