#include "core/data/loader.hpp"

#include <algorithm>

#include "core/base/machine.hpp"

namespace elbo::core {

Loader::Loader(const Rows& rows, std::int64_t batch, std::uint64_t seed, std::uint64_t epoch, std::int64_t first,
               const std::vector<std::string>& fields, bool drop_last, bool with_x)
    : rows_(rows), batch_(std::min(batch, rows.count(Split::train))),
      per_epoch_((rows.count(Split::train) + (drop_last ? 0 : batch_ - 1)) / batch_), seed_(seed), epoch_(epoch),
      at_(first), order_(std::size_t(rows.count(Split::train))) {
    shuffle_rows(seed_, epoch_, order_);
    for (std::size_t i = 0; i < kSlots; ++i) {
        if (with_x) memory_.push_back(aligned_floats(batch_ * rows.values()));
        fields_.emplace_back(rows, fields, batch_);
    }
    thread_ = std::thread([this] {
        start_thread();
        work();
    });
}

Loader::~Loader() {
    {
        std::lock_guard lock(mutex_);
        stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

Batch Loader::next() {
    std::unique_lock lock(mutex_);
    // The slot handed out last stays untouched until now.
    changed_.notify_all();
    if (made_ == taken_ && !failure_) {
        const double began = seconds_now();
        changed_.wait(lock, [&] { return made_ > taken_ || failure_; });
        waited_ += seconds_now() - began;
    }
    if (made_ == taken_) std::rethrow_exception(failure_);
    return slots_[taken_++ % kSlots];
}

void Loader::work() {
    for (;;) {
        std::size_t slot;
        {
            std::unique_lock lock(mutex_);
            // One slot is with the reader.
            changed_.wait(lock, [&] { return stop_ || made_ + 1 < taken_ + kSlots; });
            if (stop_) return;
            slot = made_ % kSlots;
        }
        try {
            fill(slot);
        } catch (...) {
            std::lock_guard lock(mutex_);
            failure_ = std::current_exception();
            changed_.notify_all();
            return;
        }
        {
            std::lock_guard lock(mutex_);
            ++made_;
        }
        changed_.notify_all();
    }
}

void Loader::fill(std::size_t slot) {
    const std::int64_t from = at_ * batch_, n = std::min(batch_, std::int64_t(order_.size()) - from);
    float* x = memory_.empty() ? nullptr : memory_[slot].get();
    which_.assign(order_.begin() + from, order_.begin() + from + n);
    if (x) rows_.read(Split::train, which_, x, epoch_ + 1);
    fields_[slot].read(rows_, Split::train, which_);
    slots_[slot] = {x, fields_[slot].pointers(), n, epoch_, at_, at_ + 1 == per_epoch_};
    if (++at_ < per_epoch_) return;
    at_ = 0;
    shuffle_rows(seed_, ++epoch_, order_);
}

} // namespace elbo::core
