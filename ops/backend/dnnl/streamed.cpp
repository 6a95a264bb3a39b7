// Some rows of a gradient, then their update, while they lie in the thread's cache; then the next rows. Which rows meet
// in a block depends on sizes only, and so do the bits.
#include "core/base/memory.hpp"
#include "ops/backend/dnnl/claims.hpp"
#include "ops/backend/threads.hpp"

namespace elbo::ops {

namespace {

class StreamedStep : public Step {
public:
    StreamedStep(const core::Program& p, const core::Unit& u, const DnnlClaimed& claimed)
        : rows_(claimed.bind_rows(p, u)), update_(p, u.group_side(), threads()),
          gradient_(update_.operand(u.claimed_value())) {
        const core::Dims& d = p.dims(u.claimed_value());
        const std::int64_t apart = p.layout(u.claimed_value()).row_stride;
        width_ = d[d.rank - 1];
        all_ = d.numel() / width_;
        const std::int64_t per_block = rows_->block() * (apart ? apart : width_);
        blocks_.reserve(std::size_t(threads()));
        for (int t = 0; t < threads(); ++t) blocks_.push_back(core::aligned_floats(per_block));
    }

    void run(const Memory& memory) override {
        const std::int64_t block = rows_->block(), n = (all_ + block - 1) / block;
        const auto piece = [&](int thread, std::int64_t number) {
            const std::int64_t first = number * block, last = std::min(first + block, all_);
            float* gradient = blocks_[std::size_t(thread)].get();
            rows_->make(memory, first, thread, gradient);
            update_.run_part(memory, first * width_, last * width_, thread, {gradient_, gradient, first * width_});
        };
        if (n > 1) return each_piece(n, piece);
        const OnOneThread here; // outside of a team the library would start one
        piece(0, 0);
    }

private:
    std::unique_ptr<RowMaker> rows_;
    TileGroup update_;
    int gradient_;
    std::int64_t width_ = 1, all_ = 0;        ///< of the gradient: values in a row, rows
    std::vector<core::AlignedFloats> blocks_; ///< of each thread: the rows it has just made
};

} // namespace

std::unique_ptr<Step> bind_streamed(const core::Program& p, const core::Unit& u, const DnnlClaimed& claimed) {
    return std::make_unique<StreamedStep>(p, u, claimed);
}

} // namespace elbo::ops
