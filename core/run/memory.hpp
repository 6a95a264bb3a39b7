// What a program needs of memory, against what there is: told before anything of it is allocated.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "core/graph/program.hpp"

namespace elbo::core {

struct MemoryNeed {
    std::int64_t held = 0;    ///< taken before: the data's rows, the program itself
    std::int64_t tensors = 0; ///< parameters, states, and what the optimizer remembers
    std::int64_t values = 0;  ///< slabs of this program and of those bound before
    std::int64_t batches = 0; ///< rows that are read ahead

    std::int64_t total() const { return held + tensors + values + batches; }
};

/// The `n` largest tensors and values of a program, each as a line: what it is, its sizes, its bytes, who asked.
std::vector<std::string> largest_values(const Program& program, std::size_t n);

/// Throws Error (failure) with the sizes and the three largest when more is needed than `there` is.
void must_fit(const MemoryNeed& need, std::int64_t there, const Program& program);

/// "3.1 GiB"
std::string bytes_text(std::int64_t bytes);

} // namespace elbo::core
