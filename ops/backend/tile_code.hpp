// A fused group as a short list of instructions over tiles: what TileGroup (tiles.hpp) runs.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "core/graph/program.hpp"

namespace elbo::ops {

/// Several ops of a group in one pass, values in registers all the way (chains.hpp). in: values, or one number.
struct ChainCall {
    const float* const* in;
    float* const* out;
    std::size_t n;
};
using ChainFn = void (*)(const ChainCall&);

/// Values of a tile; runs of less than half of it are taken several at a time.
inline constexpr std::int64_t kTile = 512;
inline constexpr int kMostInputs = 12, kMostResults = 4; ///< of an instruction

struct TileCode {
    enum class From : std::uint8_t { reg, operand, immediate };
    struct Source {
        From from;
        int index;
        bool operator==(const Source&) const = default;
    };
    struct Instruction {
        const core::Op* op = nullptr; ///< nullptr: a chain
        core::TileFn tile = nullptr;
        ChainFn chain = nullptr;
        core::DrawFn draw = nullptr;
        core::Attributes attributes{}; ///< of a draw
        int n_in = 0, n_out = 1;
        std::array<Source, kMostInputs> in{};
        std::array<int, kMostResults> reg{};                     ///< where the results go
        std::array<int, kMostResults> direct = {-1, -1, -1, -1}; ///< the stores that receive them without a copy
    };
    /// A value in memory: how far to step along each collapsed dimension.
    struct Stream {
        core::NodeId node;
        core::Place place;
        std::array<std::int64_t, core::kMaxRank> strides;
        bool scalar;          ///< one value for all
        bool dense;           ///< a value of its own for each of the space
        bool compact;         ///< and these without gaps
        bool repeats = false; ///< the same values for each run
        bool written = false; ///< a store goes over it
    };
    struct Store {
        int reg;
        Stream to;
        bool late; ///< copied when the tile is done: it writes over an operand, rows of it lie apart within a tile, or
                   ///< another store got the value directly
    };
    struct Sum {
        Source of;
        core::Place place;
    };

    std::vector<Instruction> code;
    std::vector<Stream> operands;
    std::vector<float> immediates;
    std::vector<Store> stores;
    std::vector<Sum> row_sums, column_sums;
    std::vector<std::int64_t> dims;   ///< of the space, collapsed
    std::int64_t total = 0, run = 1;  ///< values of the space, and of its last collapsed dimension
    std::int64_t row = 1, column = 1; ///< values that meet in one row sum; columns that sums leave
    int registers = 0;

    /// Whether values of a tile lie one behind the other in what has a value for each of the space.
    bool at_once(const Stream& s) const { return s.compact || run >= kTile / 2; }
    /// Of each register: how many operands of instructions it is; more than one where its value is stored or summed.
    std::vector<int> uses() const;
};

TileCode lower_group(const core::Program& program, const core::Unit& unit);

} // namespace elbo::ops
