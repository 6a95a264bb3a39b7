// Rows -> batches, ahead of the step, on a thread of its own. The order of an epoch is a function of (seed, epoch)
// alone, so a run can start anywhere in it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "core/base/memory.hpp"
#include "core/data/batches.hpp"
#include "core/data/order.hpp"
#include "core/data/rows.hpp"

namespace elbo::core {

struct Batch {
    const float* x = nullptr;             ///< [rows, values]; valid until the next call of next(). None: not read
    const float* const* fields = nullptr; ///< those the loader was asked for, in order
    std::int64_t rows = 0;
    std::uint64_t epoch = 0;
    std::int64_t index = 0; ///< within the epoch
    bool last = false;      ///< of its epoch
};

class Loader {
public:
    static constexpr std::size_t kSlots = 4; ///< batches in memory
    /// Starts reading at batch `first` of `epoch` and goes on for ever.
    /// fields: names of those that are read besides x. drop_last: rows that do not fill a batch are left out.
    /// with_x: false where nobody reads x itself.
    Loader(const Rows& rows, std::int64_t batch, std::uint64_t seed, std::uint64_t epoch, std::int64_t first,
           const std::vector<std::string>& fields = {}, bool drop_last = false, bool with_x = true);
    ~Loader();
    Loader(const Loader&) = delete;
    Loader& operator=(const Loader&) = delete;

    /// The next batch; waits only when the thread has fallen behind. Throws what reading threw. Allocates nothing.
    Batch next();
    std::int64_t batches_per_epoch() const { return per_epoch_; }
    /// Seconds that next() has waited so far.
    double waited() const { return waited_; }

private:
    void work();
    void fill(std::size_t slot);

    const Rows& rows_;
    std::int64_t batch_, per_epoch_;
    std::uint64_t seed_, epoch_;
    std::int64_t at_;
    std::vector<std::uint32_t> order_;
    std::vector<std::int64_t> which_; ///< of one batch
    std::vector<AlignedFloats> memory_;
    std::vector<FieldMemory> fields_;
    Batch slots_[kSlots];
    std::mutex mutex_;
    std::condition_variable changed_;
    std::size_t made_ = 0, taken_ = 0; ///< batches, ever
    double waited_ = 0;
    bool stop_ = false;
    std::exception_ptr failure_;
    std::thread thread_;
};

} // namespace elbo::core
