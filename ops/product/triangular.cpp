// Small matrices along the last two axes: the Cholesky factor, and the solution of triangular systems. Kernels are
// plain loops that add in f64.
#include "ops/support.hpp"

namespace elbo::ops {

namespace {

std::int64_t square_size(const Dims& d) {
    if (d.rank < 2 || d[d.rank - 1] != d[d.rank - 2]) throw ShapeError{"takes square matrices [..., N, N]"};
    return d[d.rank - 1];
}

Dims leading(const Dims& d) {
    Dims out = d;
    out.rank -= 2;
    return out;
}

/// Row less column of every place of an [N, N].
Var below_diagonal(Var like, std::int64_t n) { return reshape(iota(like, {n}), {n, 1}) - iota(like, {n}); }

/// a, symmetric positive definite -> lower triangular L with L L^T = a.
struct Cholesky : WithoutAttributes, WithoutTile {
    static constexpr auto name = "cholesky";
    static constexpr auto formula = "L, lower triangular, with L L' = x";
    static constexpr int arity = 1;
    static constexpr Runs runs = Runs::kernel;
    static constexpr std::array domains{Domain{Domain::Of::positive_definite}};
    static Dims shape(const ShapeCall& c) {
        square_size(c.in[0]);
        return c.in[0];
    }
    // Murray 2016 (arXiv:1602.07527), eq. 8: S = L^-T (P + P^T) L^-1 / 2 with P the lower half of L^T G, its diagonal
    // halved. A value below the diagonal stands for the one above it too: it is given both their shares.
    static void gradient(Adjoint& a) {
        const std::int64_t n = elbo::shape(a.y).back();
        Var apart = below_diagonal(a.y, n);
        Var lower = clamp((apart + 1) / 2, 0, 1), identity = max(1 - abs(apart), 0.0); // lower: 1/2 on the diagonal
        Var both = matmul(a.y, a.g, true) * lower + matmul(a.g, a.y, true) * (1 - lower);
        Var inverse = triangular_solve(a.y, identity);
        a.give(0, matmul(inverse, matmul(both, inverse), true) * lower);
    }
    // A pivot that is NaN goes on: the loss is then not finite, and that is told with the op where it began.
    template <class Call, class T>
    static void run(const Call& c, const T* in, T* out) {
        const std::int64_t n = square_size(c.out_dims), all = n == 0 ? 0 : c.out_dims.numel() / (n * n);
        for (std::int64_t which = 0; which < all; ++which, in += n * n, out += n * n)
            for (std::int64_t i = 0; i < n; ++i) {
                T* row = out + i * n;
                for (std::int64_t j = 0; j <= i; ++j) {
                    const T* other = out + j * n;
                    double rest = double(in[i * n + j]);
                    for (std::int64_t k = 0; k < j; ++k) rest -= double(row[k]) * double(other[k]);
                    if (i == j && rest <= 0) refuse(which, all, i, rest);
                    row[j] = T(i == j ? std::sqrt(rest) : rest / double(other[j]));
                }
                std::fill(row + i + 1, row + n, T(0));
            }
    }
    static void reference(const ReferenceCall& c) { run(c, c.in[0], c.out); }
    static KernelFn kernel() {
        return [](const KernelCall& c) { run(c, c.in[0], c.out); };
    }
    static double flops(std::span<const Dims>, const Dims& out) {
        return double(out.numel()) * double(out[out.rank - 1]) / 3;
    }
    static std::vector<OpCase> cases() {
        return {{{Dims{3, 3}}, {}},
                {{Dims{1, 1}}, {}},
                {{Dims{2, 4, 4}}, {}},
                {{Dims{2, 1, 2, 2}}, {}},
                {{Dims{0, 3, 3}}, {}}};
    }

private:
    [[noreturn]] static void refuse(std::int64_t which, std::int64_t all, std::int64_t row, double pivot) {
        throw ShapeError{"matrix " + std::to_string(which + 1) + " of " + std::to_string(all) +
                         " is not positive definite: pivot " + std::to_string(row + 1) + " is " +
                         std::to_string(pivot)};
    }
};

constexpr AttributeSpec kTransposed[] = {{"transposed", AttributeType::boolean}};

/// lower triangular L [..., N, N], b [..., N, M] -> X with L X = b, or L^T X = b; the leading axes broadcast.
struct TriangularSolve : WithoutTile {
    static constexpr auto name = "triangular_solve";
    static constexpr auto formula = "y with L y = b, or L' y = b";
    static constexpr int arity = 2;
    static constexpr Runs runs = Runs::kernel;
    static constexpr std::array domains{Domain{Domain::Of::positive_definite}, Domain{}};
    static std::span<const AttributeSpec> attributes() { return kTransposed; }
    static Dims shape(const ShapeCall& c) {
        const std::int64_t n = square_size(c.in[0]);
        const Dims& b = c.in[1];
        if (b.rank < 2 || b[b.rank - 2] != n)
            throw ShapeError{"takes right-hand sides of " + std::to_string(n) + " rows"};
        auto out = core::broadcast(leading(c.in[0]), leading(b));
        if (!out) throw ShapeError{"the axes before the matrices do not broadcast"};
        out->push(n);
        out->push(b[b.rank - 1]);
        return *out;
    }
    // b's adjoint B solves the other system; L's is -B X^T, or of the transposed one -X B^T, in its lower half.
    static void gradient(Adjoint& a) {
        const bool transposed = a.attributes.flag("transposed");
        Var b = triangular_solve(a.x(0), a.g, !transposed);
        Var lower = clamp(below_diagonal(a.y, elbo::shape(a.x(0)).back()) + 1, 0, 1);
        a.give(0, -(transposed ? matmul(a.y, b, false, true) : matmul(b, a.y, false, true)) * lower);
        a.give(1, b);
    }
    template <class T>
    static void solve(const T* l, const T* b, T* x, std::int64_t n, std::int64_t m, bool transposed) {
        for (std::int64_t step = 0; step < n; ++step) {
            const std::int64_t i = transposed ? n - 1 - step : step;
            const std::int64_t first = transposed ? i + 1 : 0, end = transposed ? n : i;
            for (std::int64_t j = 0; j < m; ++j) {
                double rest = double(b[i * m + j]);
                for (std::int64_t k = first; k < end; ++k)
                    rest -= double(l[transposed ? k * n + i : i * n + k]) * double(x[k * m + j]);
                x[i * m + j] = T(rest / double(l[i * n + i]));
            }
        }
    }
    template <class Call, class T>
    static void run(const Call& c, const T* l, const T* b, T* out) {
        const Dims& d = c.out_dims;
        const std::int64_t n = d[d.rank - 2], m = d[d.rank - 1];
        const Dims batch = leading(d);
        const auto over_l = core::strides_over(leading(c.in_dims[0]), batch);
        const auto over_b = core::strides_over(leading(c.in_dims[1]), batch);
        for (std::int64_t which = 0; which < batch.numel(); ++which) {
            std::int64_t at_l = 0, at_b = 0, rest = which;
            for (int axis = batch.rank - 1; axis >= 0; rest /= batch[axis], --axis) {
                at_l += rest % batch[axis] * over_l[std::size_t(axis)];
                at_b += rest % batch[axis] * over_b[std::size_t(axis)];
            }
            solve(l + at_l * n * n, b + at_b * n * m, out + which * n * m, n, m, c.attributes.flag("transposed"));
        }
    }
    static void reference(const ReferenceCall& c) { run(c, c.in[0], c.in[1], c.out); }
    static KernelFn kernel() {
        return [](const KernelCall& c) { run(c, c.in[0], c.in[1], c.out); };
    }
    static double flops(std::span<const Dims> in, const Dims& out) {
        return double(out.numel()) * double(in[0][in[0].rank - 1]);
    }
    static std::vector<OpCase> cases() {
        std::vector<OpCase> out;
        const std::pair<Dims, Dims> all[] = {{{3, 3}, {3, 2}},      {{1, 1}, {1, 4}},    {{2, 3, 3}, {2, 3, 1}},
                                             {{4, 4}, {2, 4, 3}},   {{2, 3, 3}, {3, 2}}, {{2, 1, 2, 2}, {3, 2, 2}},
                                             {{2, 2, 2}, {2, 2, 0}}};
        for (const auto& [l, b] : all)
            for (bool transposed : {false, true}) out.push_back({{l, b}, {Attribute::of("transposed", transposed)}});
        return out;
    }
};

const Registered registered(add_ops<Cholesky, TriangularSolve>);

} // namespace

} // namespace elbo::ops
