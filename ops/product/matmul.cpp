// The product of two matrices; a library runs it (ops/backend).
#include "ops/support.hpp"

namespace elbo::ops {

namespace {

constexpr AttributeSpec kMatmul[] = {{"transpose_a", AttributeType::boolean}, {"transpose_b", AttributeType::boolean}};

/// [M, K] . [K, N] -> [M, N]; a transposed operand is stored the other way round.
struct Matmul : WithoutTile, WithoutKernel {
    static constexpr auto name = "matmul";
    static constexpr int arity = 2;
    static constexpr Runs runs = Runs::library;
    static constexpr auto between = " · ";
    static std::span<const AttributeSpec> attributes() { return kMatmul; }
    static Dims shape(const ShapeCall& c) {
        const Dims &a = c.in[0], &b = c.in[1];
        if (a.rank != 2 || b.rank != 2) throw ShapeError{"takes two matrices"};
        const bool ta = c.attributes.flag("transpose_a"), tb = c.attributes.flag("transpose_b");
        if ((ta ? a[0] : a[1]) != (tb ? b[1] : b[0])) throw ShapeError{"inner sizes differ"};
        return {ta ? a[1] : a[0], tb ? b[0] : b[1]};
    }
    // C = op(A) op(B): dA = G op(B)^T, dB = op(A)^T G, each transposed where its operand was.
    static void gradient(Adjoint& d) {
        const bool ta = d.attributes.flag("transpose_a"), tb = d.attributes.flag("transpose_b");
        Var a = d.x(0), b = d.x(1);
        d.give(0, ta ? matmul(b, d.g, tb, true) : matmul(d.g, b, false, !tb));
        d.give(1, tb ? matmul(d.g, a, true, ta) : matmul(a, d.g, !ta, false));
    }
    static void reference(const ReferenceCall& c) {
        const bool ta = c.attributes.flag("transpose_a"), tb = c.attributes.flag("transpose_b");
        const std::int64_t m = c.out_dims[0], n = c.out_dims[1], k = ta ? c.in_dims[0][0] : c.in_dims[0][1];
        std::fill_n(c.out, m * n, 0.0);
        for (std::int64_t i = 0; i < m; ++i)
            for (std::int64_t l = 0; l < k; ++l) {
                const double a = c.in[0][ta ? l * m + i : i * k + l];
                for (std::int64_t j = 0; j < n; ++j) c.out[i * n + j] += a * c.in[1][tb ? j * k + l : l * n + j];
            }
    }
    static double flops(std::span<const Dims> in, const Dims& out) {
        return out[0] == 0 ? 0 : 2 * double(out.numel()) * double(in[0].numel() / out[0]);
    }
    static std::vector<OpCase> cases() {
        std::vector<OpCase> out;
        const std::int64_t sizes[][3] = {{7, 13, 5}, {1, 17, 1}, {1, 1, 1}, {0, 3, 2},    {3, 0, 2},
                                         {2, 3, 0},  {5, 1, 3},  {1, 7, 9}, {33, 65, 17}, {3, 513, 2}};
        for (const auto& [m, k, n] : sizes)
            for (bool ta : {false, true})
                for (bool tb : {false, true})
                    out.push_back({{ta ? Dims{k, m} : Dims{m, k}, tb ? Dims{n, k} : Dims{k, n}},
                                   {Attribute::of("transpose_a", ta), Attribute::of("transpose_b", tb)}});
        return out;
    }
};

const Registered registered(add_ops<Matmul>);

} // namespace

} // namespace elbo::ops
