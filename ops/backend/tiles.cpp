#include "ops/backend/tiles.hpp"

#include <algorithm>

#include "ops/backend/threads.hpp"
#include "ops/table.hpp"

namespace elbo::ops {

namespace {

using From = TileCode::From;

// Below about 20 microseconds of one core's work, waking a team costs more than it gives.
constexpr std::int64_t kWorthATeam = 1 << 16;
constexpr std::size_t kMostOperands = 160; // a group has at most 48 nodes of at most 3 operands
// Column sums: rows that a lane adds up in f32 before they go into an f64; pieces and values of all pieces at most.
constexpr std::int64_t kRowsInF32 = 64, kMostPieces = 64, kMostPartials = 1 << 16;
constexpr std::int64_t kLeastRows = 16, kLeastValues = 8 * kTile; // of a piece

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

core::TileFn add_tile() {
    static const core::TileFn tile = table().find("add")->tile;
    return tile;
}

// Asks for a line to be its only holder at once: another core may have read it since it was written last.
void fetch_to_write(const float* at) {
#if defined(__x86_64__)
    asm volatile("prefetchw %0" : : "m"(*at));
#else
    __builtin_prefetch(at, 1);
#endif
}

constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

} // namespace

TileGroup::TileGroup(const core::Program& program, const core::Unit& unit, int threads)
    : code_(lower_group(program, unit)), threads_(threads) {
    choose_pieces();
    const std::int64_t ops = std::max<std::int64_t>(1, std::int64_t(code_.code.size()));
    parallel_ = threads_ > 1 && code_.total * ops >= kWorthATeam && pieces_ > 1;
    make_workers();
}

// Cut at row ends, and at run ends where operands are stepped through run by run. Without column sums a piece is as
// small as that allows; with them, its size decides which values meet in f32, and so depends on sizes only.
void TileGroup::choose_pieces() {
    const std::int64_t grain = std::max(code_.row_sums.empty() ? 1 : code_.row, code_.dims.size() > 1 ? code_.run : 16);
    piece_ = grain;
    if (!code_.column_sums.empty()) {
        const bool short_runs = code_.dims.size() > 1 && code_.run < kTile / 2;
        const std::int64_t rows_of = code_.row_sums.empty() ? 1 : code_.row;
        const std::int64_t unit = std::max({code_.column, rows_of, short_runs ? code_.run : 1});
        const std::int64_t units = ceil_div(code_.total, unit);
        const std::int64_t most = std::clamp(kMostPartials / code_.column, std::int64_t(1), kMostPieces);
        piece_ = unit * std::max({ceil_div(units, most), ceil_div(kLeastValues, unit), kLeastRows});
        lanes_ = code_.column * std::max<std::int64_t>(1, kTile / code_.column);
        fold_ = unit * std::max<std::int64_t>(1, kRowsInF32 * lanes_ / unit);
    }
    pieces_ = ceil_div(code_.total, std::max<std::int64_t>(piece_, 1));
    if (!code_.column_sums.empty()) partial_.resize(std::size_t(pieces_ * code_.column) * code_.column_sums.size());
}

void TileGroup::make_workers() {
    const std::int64_t slots = code_.registers + std::int64_t(code_.operands.size());
    const std::int64_t lanes = ceil_div(lanes_, 16) * 16, sums = std::int64_t(code_.column_sums.size());
    const std::int64_t per_thread = slots * kTile + sums * lanes;
    scratch_ = core::aligned_floats(per_thread * threads_);
    workers_.resize(std::size_t(threads_));
    for (int t = 0; t < threads_; ++t) {
        Worker& w = workers_[std::size_t(t)];
        float* at = scratch_.get() + t * per_thread;
        for (int r = 0; r < code_.registers; ++r, at += kTile) w.registers.push_back(at);
        for (std::size_t o = 0; o < code_.operands.size(); ++o, at += kTile) w.expanded.push_back(at);
        for (std::int64_t s = 0; s < sums; ++s, at += lanes) w.columns.push_back(at);
        w.filled.resize(code_.operands.size());
        w.results.resize(std::size_t(code_.registers));
        w.row.resize(code_.row_sums.size());
    }
}

int TileGroup::operand(core::NodeId node) const {
    for (std::size_t k = 0; k < code_.operands.size(); ++k)
        if (code_.operands[k].node == node) return int(k);
    return -1;
}

void TileGroup::run(const Memory& memory) {
    if (code_.total == 0) return;
    struct Context {
        TileGroup* group;
        const Memory* memory;
    } context{this, &memory};
    run_team(
        parallel_,
        [](void* data, int thread, int threads) {
            auto* c = static_cast<Context*>(data);
            TileGroup& g = *c->group;
            Worker& w = g.workers_[std::size_t(thread)];
            const std::int64_t first = g.pieces_ * thread / threads, last = g.pieces_ * (thread + 1) / threads;
            if (!g.code_.column_sums.empty()) return g.process_pieces(*c->memory, first, last, w);
            g.process(*c->memory, first * g.piece_, std::min(last * g.piece_, g.code_.total), w, {});
        },
        &context);
    finish_columns(memory);
}

void TileGroup::run_part(const Memory& memory, std::int64_t begin, std::int64_t end, int thread, const Part& part) {
    process(memory, begin, end, workers_[std::size_t(thread)], part);
}

// Runs shorter than a tile are taken several at a time. Where rows are summed, tiles hold whole rows or parts of one,
// so that the order of additions is the same whichever thread takes the row.
std::int64_t TileGroup::step() const {
    std::int64_t out = code_.run >= kTile / 2 ? kTile : kTile / code_.run * code_.run;
    if (!code_.row_sums.empty() && code_.row <= out) out = out / code_.row * code_.row;
    return out;
}

void TileGroup::process(const Memory& memory, std::int64_t begin, std::int64_t end, Worker& w, const Part& part) {
    std::fill(w.row.begin(), w.row.end(), 0.0);
    std::fill(w.filled.begin(), w.filled.end(), 0);
    const std::int64_t most = step();
    const bool cut_rows = !code_.row_sums.empty() && code_.row > most;
    for (std::int64_t at = begin; at < end;) {
        std::int64_t n = std::min(most, end - at);
        if (code_.run >= kTile / 2) n = std::min(n, code_.run - at % code_.run);
        if (cut_rows) n = std::min(n, code_.row - at % code_.row);
        tile(w, memory, at, n, part);
        at += n;
    }
}

void TileGroup::process_pieces(const Memory& memory, std::int64_t first, std::int64_t last, Worker& w) {
    for (std::int64_t piece = first; piece < last; ++piece) {
        std::fill_n(partial_.begin() + piece * code_.column * std::int64_t(w.columns.size()),
                    code_.column * std::int64_t(w.columns.size()), 0.0);
        for (float* block : w.columns) std::fill_n(block, lanes_, 0.f);
        const std::int64_t end = std::min((piece + 1) * piece_, code_.total);
        for (std::int64_t at = piece * piece_; at < end;) {
            const std::int64_t to = std::min(end, at + fold_);
            process(memory, at, to, w, {});
            fold_columns(w, piece);
            at = to;
        }
    }
}

// The values of an operand that is broadcast over short runs. One that is the same for each run (a row of biases) is
// spread out once: tiles begin with a run.
const float* TileGroup::expanded(Worker& w, std::size_t operand, const float* base, std::int64_t at,
                                 std::int64_t n) const {
    const TileCode::Stream& o = code_.operands[operand];
    if (!o.repeats) expand(base, o, at, n, w.expanded[operand]);
    else if (!w.filled[operand]) expand(base, o, at, step(), w.expanded[operand]), w.filled[operand] = 1;
    return w.expanded[operand];
}

// Fills `to` with the values of an operand that is broadcast over short runs.
void TileGroup::expand(const float* base, const TileCode::Stream& o, std::int64_t at, std::int64_t n, float* to) const {
    const auto& dims = code_.dims;
    const std::size_t outer = dims.size() - 1;
    std::int64_t index[core::kMaxRank] = {};
    std::int64_t run = at / code_.run, offset = 0;
    for (std::size_t d = outer; d-- > 0; run /= dims[d]) {
        index[d] = run % dims[d];
        offset += index[d] * o.strides[d];
    }
    const std::int64_t inner = o.strides[outer];
    for (std::int64_t done = 0; done < n; done += code_.run) {
        if (inner == 1) std::copy_n(base + offset, code_.run, to + done);
        else std::fill_n(to + done, code_.run, base[offset]);
        for (std::size_t d = outer; d-- > 0;) {
            offset += o.strides[d];
            if (++index[d] < dims[d]) break;
            offset -= o.strides[d] * dims[d];
            index[d] = 0;
        }
    }
}

// Where value number `at` of the space lies.
std::int64_t TileGroup::offset(const TileCode::Stream& s, std::int64_t at) const {
    if (s.dense && s.compact) return at;
    const auto& dims = code_.dims;
    const std::size_t outer = dims.size() - 1;
    std::int64_t run = at / code_.run, to = at % code_.run * s.strides[outer];
    for (std::size_t d = outer; d-- > 0; run /= dims[d]) to += run % dims[d] * s.strides[d];
    return to;
}

// The next tile comes into the cache while this one is computed. Streams of tiles are too short, and too many at a
// time, for the processor to see them coming; an Adam update takes four in and three out.
void TileGroup::fetch_ahead(const float* base, const TileCode::Stream& s, std::int64_t at) const {
    constexpr std::int64_t kLine = 16;
    if (at >= code_.total) return;
    const float* from = base + offset(s, at);
    const std::int64_t n = std::min(kTile, s.compact ? code_.total - at : code_.run);
    if (s.written)
        for (std::int64_t i = 0; i < n; i += kLine) fetch_to_write(from + i);
    else
        for (std::int64_t i = 0; i < n; i += kLine) __builtin_prefetch(from + i);
}

void TileGroup::tile(Worker& w, const Memory& memory, std::int64_t at, std::int64_t n, const Part& part) {
    const float* operand[kMostOperands];
    bool scalar[kMostOperands];
    for (std::size_t k = 0; k < code_.operands.size(); ++k) {
        const TileCode::Stream& o = code_.operands[k];
        const float* base = memory.at(o.place);
        scalar[k] = o.scalar;
        if (int(k) == part.operand) operand[k] = part.at + (offset(o, at) - offset(o, part.from));
        else if (o.scalar) operand[k] = base;
        else if (o.dense && code_.at_once(o)) operand[k] = base + offset(o, at), fetch_ahead(base, o, at + n);
        else if (code_.run >= kTile / 2)
            operand[k] = base + offset(o, at), scalar[k] = o.strides[code_.dims.size() - 1] == 0;
        else operand[k] = expanded(w, k, base, at, n);
    }
    auto target = [&](const TileCode::Store& s) { return memory.at(s.to.place) + offset(s.to, at); };
    for (const TileCode::Instruction& i : code_.code) {
        const float* in[kMostInputs];
        bool one[kMostInputs];
        float* out[kMostResults];
        for (std::size_t k = 0; k < std::size_t(i.n_out); ++k) {
            float*& result = w.results[std::size_t(i.reg[k])];
            result = i.direct[k] < 0 ? w.registers[std::size_t(i.reg[k])] : nullptr;
            if (!result) result = target(code_.stores[std::size_t(i.direct[k])]);
            out[k] = result;
        }
        for (std::size_t k = 0; k < std::size_t(i.n_in); ++k) {
            const auto index = std::size_t(i.in[k].index);
            one[k] = i.in[k].from == From::immediate || (i.in[k].from == From::operand && scalar[index]);
            in[k] = i.in[k].from == From::reg       ? w.results[index]
                    : i.in[k].from == From::operand ? operand[index]
                                                    : &code_.immediates[index];
        }
        if (i.chain) i.chain({in, out, std::size_t(n)});
        else if (i.draw) i.draw({i.attributes, memory.noise, at, out[0], std::size_t(n)});
        else i.tile({{in[0], in[1], in[2]}, {one[0], one[1], one[2]}, out[0], std::size_t(n)});
    }
    if (!code_.row_sums.empty()) add_rows(w, memory, operand, at, n);
    if (!code_.column_sums.empty()) add_columns(w, operand, at, n);
    for (const TileCode::Store& s : code_.stores)
        if (s.late) copy_late(s, w.results[std::size_t(s.reg)], memory.at(s.to.place), at, n);
}

void TileGroup::copy_late(const TileCode::Store& s, const float* from, float* base, std::int64_t at,
                          std::int64_t n) const {
    const std::int64_t run = code_.at_once(s.to) ? n : code_.run;
    for (std::int64_t done = 0; done < n; done += run) std::copy_n(from + done, run, base + offset(s.to, at + done));
}

void TileGroup::add_rows(Worker& w, const Memory& memory, const float* const* operand, std::int64_t at,
                         std::int64_t n) {
    for (std::size_t k = 0; k < code_.row_sums.size(); ++k) {
        const TileCode::Source of = code_.row_sums[k].of;
        const float* x = of.from == From::reg ? w.results[std::size_t(of.index)] : operand[of.index];
        float* out = memory.at(code_.row_sums[k].place);
        for (std::int64_t i = 0; i < n;) {
            const std::int64_t left = code_.row - (at + i) % code_.row, take = std::min(left, n - i);
            w.row[k] += sum_of(x + i, take);
            if (take == left) {
                out[(at + i) / code_.row] = float(w.row[k]);
                w.row[k] = 0;
            }
            i += take;
        }
    }
}

// Lane l of a block takes values l, l + lanes, l + 2 lanes, ... of a piece: of one column all of them.
void TileGroup::add_columns(Worker& w, const float* const* operand, std::int64_t at, std::int64_t n) {
    for (std::size_t k = 0; k < code_.column_sums.size(); ++k) {
        const TileCode::Source of = code_.column_sums[k].of;
        const float* x = of.from == From::reg ? w.results[std::size_t(of.index)] : operand[of.index];
        for (std::int64_t i = 0; i < n;) {
            const std::int64_t lane = (at + i) % piece_ % lanes_, take = std::min(lanes_ - lane, n - i);
            float* to = w.columns[k] + lane;
            add_tile()({{to, x + i, nullptr}, {false, false, false}, to, std::size_t(take)});
            i += take;
        }
    }
}

void TileGroup::fold_columns(Worker& w, std::int64_t piece) {
    const std::int64_t sums = std::int64_t(w.columns.size());
    for (std::int64_t k = 0; k < sums; ++k) {
        double* to = partial_.data() + (piece * sums + k) * code_.column;
        float* lanes = w.columns[std::size_t(k)];
        for (std::int64_t from = 0; from < lanes_; from += code_.column)
            for (std::int64_t c = 0; c < code_.column; ++c) to[c] += double(lanes[from + c]);
        std::fill_n(lanes, lanes_, 0.f);
    }
}

void TileGroup::finish_columns(const Memory& memory) {
    const std::int64_t sums = std::int64_t(code_.column_sums.size());
    for (std::int64_t k = 0; k < sums; ++k) {
        float* out = memory.at(code_.column_sums[std::size_t(k)].place);
        for (std::int64_t c = 0; c < code_.column; ++c) {
            double all = 0;
            for (std::int64_t piece = 0; piece < pieces_; ++piece)
                all += partial_[std::size_t((piece * sums + k) * code_.column + c)];
            out[c] = float(all);
        }
    }
}

} // namespace elbo::ops
