// Runs a fused group: a tile is loaded, goes through all instructions while it lies in L1, and what other units need is
// written; sums are added up on the way.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "core/base/memory.hpp"
#include "core/graph/program.hpp"
#include "ops/backend/tile_code.hpp"

namespace elbo::ops {

/// Where each place of a program lies during a run, and what its noise is drawn from.
struct Memory {
    float* slab = nullptr;
    const float* const* inputs = nullptr;
    float* const* tensors = nullptr;
    core::Noise noise;
    float* at(const core::Place& p) const {
        switch (p.in) {
            case core::Place::In::slab: return slab + p.at / 4;
            case core::Place::In::tensor: return tensors[p.at];
            case core::Place::In::input: return const_cast<float*>(inputs[p.at]); // inputs are only read
            default: return nullptr;
        }
    }
};

/// An operand of which a part is at hand at a time: value `from` of the space and those after it lie at `at`.
struct Part {
    int operand = -1;
    const float* at = nullptr;
    std::int64_t from = 0;
};

class TileGroup {
public:
    TileGroup(const core::Program& program, const core::Unit& unit, int threads);
    void run(const Memory& memory);
    /// Values begin .. end of the space, on one thread of the team; of a group without sums.
    void run_part(const Memory& memory, std::int64_t begin, std::int64_t end, int thread, const Part& part);
    /// Number of the operand that a node is; -1 when it is none.
    int operand(core::NodeId node) const;
    /// Whether it sums, and so has to run whole.
    bool sums() const { return !code_.row_sums.empty() || !code_.column_sums.empty(); }
    /// Whether one of its values can be read from a Part.
    bool dense(int operand) const { return code_.operands[std::size_t(operand)].dense; }

private:
    /// What one thread needs while it works.
    struct Worker {
        std::vector<float*> registers, expanded; ///< scratch of each register and of each operand
        std::vector<char> filled;                ///< of each operand: its expansion is that of every tile, and is there
        std::vector<float*> results;             ///< where each register's value of this tile lies
        std::vector<double> row;                 ///< of each row sum: what has been added up
        std::vector<float*> columns;             ///< of each column sum: a block of lanes
    };

    void choose_pieces();
    void make_workers();
    std::int64_t step() const;
    void process(const Memory& memory, std::int64_t begin, std::int64_t end, Worker& w, const Part& part);
    void process_pieces(const Memory& memory, std::int64_t first, std::int64_t last, Worker& w);
    void tile(Worker& w, const Memory& memory, std::int64_t at, std::int64_t n, const Part& part);
    const float* expanded(Worker& w, std::size_t operand, const float* base, std::int64_t at, std::int64_t n) const;
    void expand(const float* base, const TileCode::Stream& o, std::int64_t at, std::int64_t n, float* to) const;
    std::int64_t offset(const TileCode::Stream& s, std::int64_t at) const;
    void fetch_ahead(const float* base, const TileCode::Stream& s, std::int64_t at) const;
    void copy_late(const TileCode::Store& s, const float* from, float* base, std::int64_t at, std::int64_t n) const;
    void add_rows(Worker& w, const Memory& memory, const float* const* operand, std::int64_t at, std::int64_t n);
    void add_columns(Worker& w, const float* const* operand, std::int64_t at, std::int64_t n);
    void fold_columns(Worker& w, std::int64_t piece);
    void finish_columns(const Memory& memory);

    TileCode code_;
    int threads_ = 1;
    bool parallel_ = false;
    std::int64_t piece_ = 1, pieces_ = 1; ///< values that one thread takes at a time, whatever the number of threads
    std::int64_t lanes_ = 0;              ///< of a block of column sums: a multiple of the columns
    std::int64_t fold_ = 0;               ///< values after which lanes go into f64
    core::AlignedFloats scratch_;         ///< per thread: registers, expanded operands, column sums
    std::vector<double> partial_;         ///< of each column sum: [pieces, columns]
    std::vector<Worker> workers_;
};

} // namespace elbo::ops
