// Products of matrices along the last two axes; a library runs them (ops/backend).
#include "ops/support.hpp"

namespace elbo::ops {

namespace {

constexpr AttributeSpec kMatmul[] = {{"transpose_a", AttributeType::boolean}, {"transpose_b", AttributeType::boolean}};

/// The axes before the last two.
Dims leading(const Dims& d) {
    Dims out = d;
    out.rank -= 2;
    return out;
}

/// [..., M, K] . [..., K, N] -> [..., M, N], the leading axes broadcast; a transposed operand is stored the other way
/// round.
struct Matmul : WithoutTile, WithoutKernel {
    static constexpr auto name = "matmul";
    static constexpr auto formula = "y[.., i, j] = sum_k a[.., i, k] b[.., k, j], either transposed";
    static constexpr int arity = 2;
    static constexpr Runs runs = Runs::library;
    static constexpr auto between = " · ";
    static std::span<const AttributeSpec> attributes() { return kMatmul; }
    static Dims shape(const ShapeCall& c) {
        const Dims &a = c.in[0], &b = c.in[1];
        if (a.rank < 2 || b.rank < 2) throw ShapeError{"takes matrices"};
        const bool ta = c.attributes.flag("transpose_a"), tb = c.attributes.flag("transpose_b");
        if (a[a.rank - (ta ? 2 : 1)] != b[b.rank - (tb ? 1 : 2)]) throw ShapeError{"inner sizes differ"};
        auto out = core::broadcast(leading(a), leading(b));
        if (!out) throw ShapeError{"the axes before the matrices do not broadcast"};
        out->push(a[a.rank - (ta ? 1 : 2)]);
        out->push(b[b.rank - (tb ? 2 : 1)]);
        return *out;
    }
    static constexpr auto joined_by = "concat";
    static bool stacks(core::Attributes a, std::span<const Dims> in) {
        return in[0].rank == 2 && in[1].rank == 2 && a.flag("transpose_a") && !a.flag("transpose_b");
    }
    // C = op(A) op(B): dA = G op(B)^T, dB = op(A)^T G, each transposed where its operand was. The sweep sums over axes
    // that were broadcast; where one B meets the rows of all A, the product does that.
    static void gradient(Adjoint& d) {
        const bool ta = d.attributes.flag("transpose_a"), tb = d.attributes.flag("transpose_b");
        Var a = d.x(0), b = d.x(1), g = d.g;
        d.give(0, ta ? matmul(b, g, tb, true) : matmul(g, b, false, !tb));
        const Dims da(elbo::shape(a)), db(elbo::shape(b));
        const bool one = !ta && da.rank > 2 && leading(db).numel() == 1;
        if (one) a = rows(a), g = rows(g);
        const Var of_b = tb ? matmul(g, a, true, ta) : matmul(a, g, !ta, false);
        d.give(1, one ? reshape(of_b, db.list()) : of_b);
    }
    static void reference(const ReferenceCall& c) {
        const Dims &da = c.in_dims[0], &db = c.in_dims[1], &dc = c.out_dims;
        const bool ta = c.attributes.flag("transpose_a"), tb = c.attributes.flag("transpose_b");
        const std::int64_t m = dc[dc.rank - 2], n = dc[dc.rank - 1], k = da[da.rank - (ta ? 2 : 1)];
        std::fill_n(c.out, dc.numel(), 0.0);
        const std::array batches{leading(da), leading(db)};
        each_broadcast({c.in, batches, c.out, leading(dc), c.attributes, c.noise},
                       [&](std::int64_t at, const auto& in) {
                           const double *x = c.in[0] + in[0] * m * k, *y = c.in[1] + in[1] * k * n;
                           double* z = c.out + at * m * n;
                           for (std::int64_t i = 0; i < m; ++i)
                               for (std::int64_t l = 0; l < k; ++l) {
                                   const double a = x[ta ? l * m + i : i * k + l];
                                   for (std::int64_t j = 0; j < n; ++j)
                                       z[i * n + j] += a * y[tb ? j * k + l : l * n + j];
                               }
                       });
    }
    static double flops(std::span<const Dims> in, const Dims& out) {
        const std::int64_t matrices = leading(in[0]).numel() * out[out.rank - 2];
        return matrices == 0 ? 0 : 2 * double(out.numel()) * double(in[0].numel() / matrices);
    }
    static std::vector<OpCase> cases() {
        std::vector<OpCase> out;
        auto add = [&](Dims a, Dims b, std::int64_t m, std::int64_t k, std::int64_t n) {
            for (bool ta : {false, true})
                for (bool tb : {false, true}) {
                    Dims of_a = a, of_b = b;
                    of_a.push(ta ? k : m), of_a.push(ta ? m : k), of_b.push(tb ? n : k), of_b.push(tb ? k : n);
                    out.push_back({{of_a, of_b}, {Attribute::of("transpose_a", ta), Attribute::of("transpose_b", tb)}});
                }
        };
        const std::int64_t sizes[][3] = {{7, 13, 5}, {1, 17, 1}, {1, 1, 1}, {0, 3, 2},    {3, 0, 2},
                                         {2, 3, 0},  {5, 1, 3},  {1, 7, 9}, {33, 65, 17}, {3, 513, 2}};
        for (const auto& [m, k, n] : sizes) add({}, {}, m, k, n);
        const std::pair<Dims, Dims> batches[] = {{{4}, {4}},       {{4}, {}},     {{}, {4}},        {{1}, {3}},
                                                 {{2, 3}, {2, 3}}, {{2, 1}, {3}}, {{2, 3}, {1, 1}}, {{0}, {1}}};
        for (const auto& [a, b] : batches) add(a, b, 3, 5, 2);
        add({3}, {3}, 4, 256, 1);
        return out;
    }

private:
    /// [..., M, N] -> [all M, N].
    static Var rows(Var x) {
        const Dims d(elbo::shape(x));
        return reshape(x, {leading(d).numel() * d[d.rank - 2], d[d.rank - 1]});
    }
};

const Registered registered(add_ops<Matmul>);

} // namespace

} // namespace elbo::ops
