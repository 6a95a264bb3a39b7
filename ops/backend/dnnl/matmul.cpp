// Products of matrices, with the bias and the activation that follow them. Where one B meets all A, their rows are one
// matrix; batches along one axis are oneDNN's, others are run matrix by matrix.
#include <algorithm>

#include "core/base/memory.hpp"
#include "ops/backend/dnnl/bf16.hpp"
#include "ops/backend/dnnl/claims.hpp"
#include "ops/backend/dnnl/library.hpp"
#include "ops/backend/threads.hpp"

namespace elbo::ops {

namespace {

using core::NodeId;
using core::Place;
using dnnl::memory;

/// op(A) is rows x cols; stored the other way round when transposed, its stored rows `stride` apart. matrices: how many
/// lie one behind the other, 0 for one without an axis for that.
memory::desc matrix(std::int64_t rows, std::int64_t cols, bool transposed, std::int64_t stride,
                    std::int64_t matrices = 0, memory::data_type type = memory::data_type::f32) {
    const std::int64_t apart = stride != 0 ? stride : transposed ? rows : cols;
    memory::dims dims{rows, cols}, strides = transposed ? memory::dims{1, apart} : memory::dims{apart, 1};
    if (matrices > 0) {
        dims.insert(dims.begin(), matrices);
        strides.insert(strides.begin(), (transposed ? cols : rows) * apart);
    }
    return {dims, type, strides};
}

/// Where the operands and the result of one product of a batch begin.
struct Offsets {
    std::int64_t a = 0, b = 0, c = 0;
};

struct Product {
    std::int64_t m = 0, k = 0, n = 0;
    bool transpose_a = false, transpose_b = false, bias = false;
    std::string activation;
    core::TileFn own = nullptr; ///< an activation of ours
    std::int64_t stride_a = 0, stride_b = 0, stride_c = 0;
    std::int64_t batch_a = 0, batch_b = 0, batch_c = 0;  ///< matrices of a batch that oneDNN runs; 0: no batch
    std::vector<Offsets> each{{}};                       ///< what is run in turn
    std::int64_t values = 0;                             ///< of the result
    memory::data_type operands = memory::data_type::f32; ///< of A and B

    /// That many rows of the result.
    Product rows_of(std::int64_t rows) const {
        Product out = *this;
        if (transpose_a && stride_a == 0) out.stride_a = m; // as far apart as the rows of all of A
        out.m = rows;
        out.values = rows * n;
        return out;
    }

    memory::desc row() const { return matrix(1, n, false, 0, batch_c > 0 ? 1 : 0); }
    dnnl::matmul::primitive_desc describe() const {
        const auto a = matrix(m, k, transpose_a, stride_a, batch_a, operands);
        const auto b = matrix(k, n, transpose_b, stride_b, batch_b, operands);
        const auto c = matrix(m, n, false, stride_c, batch_c);
        const auto attr = attributes_with(activation);
#if DNNL_VERSION_MAJOR >= 3
        return bias ? dnnl::matmul::primitive_desc(cpu(), a, b, row(), c, attr)
                    : dnnl::matmul::primitive_desc(cpu(), a, b, c, attr);
#else
        return {bias ? dnnl::matmul::desc(a, b, row(), c) : dnnl::matmul::desc(a, b, c), attr, cpu()};
#endif
    }
};

/// Result, scratchpad, A and B: arguments 0 to 3.
Primitive primitive_of(const dnnl::matmul::primitive_desc& pd) {
    Primitive p{dnnl::matmul(pd)};
    p.add(DNNL_ARG_DST, pd.dst_desc());
    p.add(DNNL_ARG_SCRATCHPAD, pd.scratchpad_desc());
    p.add(DNNL_ARG_SRC, pd.src_desc());
    p.add(DNNL_ARG_WEIGHTS, pd.weights_desc());
    return p;
}

class ProductStep : public Step {
public:
    ProductStep(const Product& product, const dnnl::matmul::primitive_desc& pd, const core::Program& p,
                const core::Unit& u)
        : product_(product), primitive_(primitive_of(pd)), out_(p.place(u.nodes.back())), scratch_(u.scratch_at) {
        for (NodeId in : u.operands) in_.push_back(p.place(in));
        if (product.bias) primitive_.add(DNNL_ARG_BIAS, product.row());
    }
    void run(const Memory& m) override {
        float* c = m.at(out_);
        const auto *a = reinterpret_cast<const char*>(m.at(in_[0])), *b = reinterpret_cast<const char*>(m.at(in_[1]));
        const auto size = std::int64_t(memory::data_type_size(product_.operands));
        primitive_.point(1, m.slab + scratch_ / 4);
        if (product_.bias) primitive_.point(4, m.at(in_[2]));
        for (const Offsets& at : product_.each) {
            primitive_.point(0, c + at.c);
            primitive_.point(2, a + at.a * size);
            primitive_.point(3, b + at.b * size);
            primitive_.run();
        }
        if (!product_.own) return;
        const std::int64_t apart = product_.stride_c ? product_.stride_c : product_.n;
        const bool whole = apart == product_.n;
        const std::int64_t rows = whole ? 1 : product_.m, n = whole ? product_.values : product_.n;
        for (std::int64_t r = 0; r < rows; ++r, c += apart)
            product_.own({{c, nullptr, nullptr}, {false, false, false}, c, std::size_t(n)});
    }

private:
    Product product_;
    Primitive primitive_;
    std::vector<Place> in_;
    Place out_;
    std::int64_t scratch_;
};

constexpr std::int64_t kBlockValues = 1 << 15; ///< of a product's rows that are made at a time

// Rows of a product that are made at a time. A block stays in the second cache beside what the update reads. There are
// an even number of them, so that two threads have the same to do.
std::int64_t rows_at_a_time(const Product& p) {
    constexpr std::int64_t kWhole = 1 << 12;
    const std::int64_t values = p.m * p.n;
    const std::int64_t blocks = values <= kWhole ? 1 : (values + 2 * kBlockValues - 1) / (2 * kBlockValues) * 2;
    return (p.m + blocks - 1) / blocks;
}

/// A product block of rows by block of rows, by primitives that run on one thread (a library that was told of a team
/// would wait for it).
class ProductRows : public RowMaker {
public:
    ProductRows(const Product& product, const core::Program& p, const core::Unit& u)
        : product_(product), block_(rows_at_a_time(product)), a_(p.place(u.operands[0])), b_(p.place(u.operands[1])) {
        const OnOneThread here;
        for (int t = 0; t < threads(); ++t)
            for (const std::int64_t rows : {block_, product.m % block_}) add(rows);
    }
    void make(const Memory& memory, std::int64_t first, int thread, float* to) override {
        const std::int64_t rows = std::min(block_, product_.m - first);
        const std::int64_t apart = product_.stride_a != 0 ? product_.stride_a : product_.k;
        Part& part = parts_[std::size_t(2 * thread + (rows == block_ ? 0 : 1))];
        part.primitive->point(0, to);
        part.primitive->point(1, part.scratch.get());
        part.primitive->point(2, memory.at(a_) + (product_.transpose_a ? first : first * apart));
        part.primitive->point(3, memory.at(b_));
        part.primitive->run();
    }
    std::int64_t block() const override { return block_; }

    static dnnl::matmul::primitive_desc describe(const Product& product) {
        const OnOneThread here;
        return product.rows_of(rows_at_a_time(product)).describe();
    }

private:
    struct Part {
        std::unique_ptr<Primitive> primitive;
        core::AlignedFloats scratch;
    };

    void add(std::int64_t rows) {
        if (rows == 0) return void(parts_.emplace_back());
        const auto pd = product_.rows_of(rows).describe();
        Part part{std::make_unique<Primitive>(primitive_of(pd)),
                  core::aligned_floats(std::int64_t(pd.scratchpad_desc().get_size() / sizeof(float)) + 1)};
        parts_.push_back(std::move(part));
    }

    Product product_;
    std::int64_t block_;
    Place a_, b_;
    std::vector<Part> parts_; ///< of each thread: a block, and what is left at the end
};

class ClaimedProduct : public DnnlClaimed {
public:
    Product product;

    std::int64_t scratch(const core::Program& p, const core::Unit& u) override {
        product.stride_a = p.layout(u.operands[0]).row_stride;
        product.stride_b = p.layout(u.operands[1]).row_stride;
        product.stride_c = p.layout(u.claimed_value()).row_stride;
        if (u.kind == core::Unit::Kind::streamed) return described_ = ProductRows::describe(product), 0;
        described_ = product.describe();
        return std::int64_t(described_.scratchpad_desc().get_size());
    }
    std::string chosen() const override { return described_.impl_info_str(); }
    std::unique_ptr<Step> bind(const core::Program& p, const core::Unit& u) const override {
        return std::make_unique<ProductStep>(product, described_, p, u);
    }
    std::unique_ptr<RowMaker> bind_rows(const core::Program& p, const core::Unit& u) const override {
        return std::make_unique<ProductRows>(product, p, u);
    }

private:
    dnnl::matmul::primitive_desc described_;
};

core::Dims leading(const core::Dims& d) {
    core::Dims out = d;
    out.rank -= 2;
    return out;
}

// oneDNN 2.6 splits long inner sizes over threads in batches too, and is then wrong (tensorflow#61510).
constexpr std::int64_t kLongestInBatch = 2047;

/// Spreads a product over matrices of these sizes, the leading axes of its operands and its result.
void set_batch(Product& p, const core::Dims& a, const core::Dims& b, const core::Dims& c, std::int64_t size_a,
               std::int64_t size_b) {
    const std::int64_t all = c.numel(), of_a = a.numel(), of_b = b.numel();
    if (all == 1) return;
    const bool one_axis = (of_a == all || of_a == 1) && (of_b == all || of_b == 1);
    if (one_axis && p.k <= kLongestInBatch) {
        p.batch_a = of_a, p.batch_b = of_b, p.batch_c = all;
        return;
    }
    const auto over_a = core::strides_over(a, c), over_b = core::strides_over(b, c);
    p.each.assign(std::size_t(all), {});
    for (std::int64_t i = 0; i < all; ++i) {
        Offsets& at = p.each[std::size_t(i)];
        at.c = i * p.m * p.n;
        for (std::int64_t d = c.rank - 1, rest = i; d >= 0; rest /= c[int(d)], --d) {
            at.a += rest % c[int(d)] * over_a[std::size_t(d)] * size_a;
            at.b += rest % c[int(d)] * over_b[std::size_t(d)] * size_b;
        }
    }
}

std::optional<core::Claim> claim_matmul(const core::Candidates& from, NodeId head, Precision precision) {
    const core::ProgramNode& n = from.program().node(head);
    const core::Dims &left = from.program().dims(n.inputs[0]), &right = from.program().dims(n.inputs[1]);
    if (left.numel() == 0 || n.dims.numel() == 0) return {}; // oneDNN leaves the result of an empty sum unwritten
    const core::Attributes a(n.attributes);
    auto claimed = std::make_shared<ClaimedProduct>();
    Product& product = claimed->product;
    product.transpose_a = a.flag("transpose_a");
    product.transpose_b = a.flag("transpose_b");
    product.m = n.dims[n.dims.rank - 2];
    product.n = n.dims[n.dims.rank - 1];
    product.k = left[left.rank - (product.transpose_a ? 2 : 1)];
    product.values = n.dims.numel();
    if (!product.transpose_a && leading(right).numel() == 1) product.m = product.values / product.n;
    else
        set_batch(product, leading(left), leading(right), leading(n.dims), product.m * product.k,
                  product.k * product.n);
    core::Claim c{"matmul", {head}, n.inputs, {}, true, claimed};
    const Epilogue e = claim_epilogue(from, c, product.n);
    product.bias = e.bias >= 0;
    product.activation = e.activation;
    product.own = e.own;
    if (precision == Precision::bf16 && pays_in_bf16(product.m, product.k, product.n)) {
        product.operands = memory::data_type::bf16;
        c.forms = {as_bf16(from.program(), n.inputs[0]), as_bf16(from.program(), n.inputs[1])};
        c.label = "bf16 " + c.label;
    }
    // Blocks of few rows are slow: 3 of 10,000 values at a time take seven times as long as all 256. Where sums are
    // long, what a block loses (122 against 168 GFLOP/s over 1920 terms) is more than its way to memory and back.
    constexpr std::int64_t kFewestRows = 32, kLongestSum = 1024;
    c.by_rows = c.forms.empty() && n.dims.rank == 2 && c.nodes.size() == 1 && product.n <= kBlockValues / kFewestRows &&
                product.k <= kLongestSum;
    return c;
}

const ClaimRule rule("matmul", claim_matmul);

} // namespace

} // namespace elbo::ops
