// Runs a fused group: its nodes become a short list of instructions over tiles that stay in L1. A tile is loaded, goes
// through all instructions, and what other units need is written; row sums are added up on the way.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "core/base/memory.hpp"
#include "core/graph/program.hpp"

namespace elbo::ops {

/// Where each place of a program lies during a run.
struct Memory {
    float* slab = nullptr;
    const float* const* inputs = nullptr;
    float* const* tensors = nullptr;
    float* at(const core::Place& p) const {
        switch (p.in) {
            case core::Place::In::slab: return slab + p.at / 4;
            case core::Place::In::tensor: return tensors[p.at];
            case core::Place::In::input: return const_cast<float*>(inputs[p.at]); // inputs are only read
            default: return nullptr;
        }
    }
};

class TileGroup {
public:
    TileGroup(const core::Program& program, const core::Unit& unit, int threads);
    void run(const Memory& memory);

private:
    enum class From : std::uint8_t { reg, operand, immediate };
    struct Source {
        From from;
        int index;
    };
    struct Instruction {
        const core::Op* op;
        core::TileFn tile;
        int n_in;
        Source in[3];
        int reg;         ///< where the result goes
        int direct = -1; ///< the store that receives it without a copy
    };
    /// A value in memory: how far to step along each collapsed dimension.
    struct Stream {
        core::Place place;
        std::array<std::int64_t, core::kMaxRank> strides;
        bool scalar;  ///< one value for all
        bool dense;   ///< a value of its own for each of the space
        bool compact; ///< and these without gaps
    };
    struct Store {
        int reg;
        Stream to;
        bool late; ///< copied when the tile is done: it writes over an operand, or another store got the value directly
    };
    struct RowSum {
        int reg;
        core::Place place;
    };
    /// What one thread needs while it works.
    struct Worker {
        std::vector<float*> registers, expanded; ///< scratch of each register and of each operand
        std::vector<float*> results;             ///< where each register's value of this tile lies
        std::vector<double> partial;             ///< of each row sum
    };

    void lower(const core::Program& program, const core::Unit& unit);
    Stream stream_of(const core::Program& program, const core::Unit& unit, core::NodeId id) const;
    void collapse(const core::Unit& unit);
    void merge_products();
    void choose_direct_stores();
    void allocate_registers();
    void process(const Memory& memory, std::int64_t begin, std::int64_t end, int thread);
    void tile(Worker& w, const Memory& memory, std::int64_t at, std::int64_t n);
    void expand(const float* base, const Stream& o, std::int64_t at, std::int64_t n, float* to) const;
    std::int64_t offset(const Stream& s, std::int64_t at) const;
    void fetch_ahead(const float* base, const Stream& s, std::int64_t at) const;
    void add_rows(Worker& w, const Memory& memory, std::int64_t at, std::int64_t n);

    std::vector<Instruction> code_;
    std::vector<Stream> operands_;
    std::vector<float> immediates_;
    std::vector<Store> stores_;
    std::vector<RowSum> sums_;
    std::vector<std::int64_t> dims_; ///< collapsed
    std::int64_t total_ = 0, run_ = 1, row_ = 1;
    int registers_ = 0, threads_ = 1;
    bool parallel_ = false;
    core::AlignedFloats scratch_; ///< per thread: registers, then expanded operands
    std::int64_t scratch_per_thread_ = 0;
    std::vector<Worker> workers_;
};

} // namespace elbo::ops
