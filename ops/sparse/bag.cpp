// Products with a matrix of few values that are not 0, each row of which is given by the numbers of these and the
// values themselves (ids and weights, [B, M]): weighted sums of rows of a table, and the two adjoints. Rows that are
// shorter than M end with weights of 0: an entry of weight 0 is not there, whatever its number's row holds.
#include <elbo/sparse.hpp>

#include "ops/sparse/rows.hpp"

namespace elbo::ops {

namespace {

constexpr AttributeSpec kRows[] = {{"rows", AttributeType::integer}};
constexpr Domain kSome{Domain::Of::away_from_zero, 0.5, 2}, kIds{Domain::Of::whole, 0, 2};

void must_be_pairs(const Dims& ids, const Dims& weights) {
    if (ids.rank != 2 || !(ids == weights))
        throw ShapeError{"there must be a weight for every number, [rows, entries]"};
}

/// table [V, H], ids [B, M], weights [B, M] -> [B, H].
struct Bag : WithoutAttributes, WithoutTile {
    static constexpr auto name = "bag_sum";
    static constexpr auto formula = "y[b] = sum_m weight[b, m] x[index[b, m]] of rows";
    static constexpr int arity = 3;
    static constexpr Runs runs = Runs::kernel;
    static constexpr std::array domains{Domain{}, kIds, kSome};
    static Dims shape(const ShapeCall& c) {
        if (c.in[0].rank != 2) throw ShapeError{"takes a table of rows, [numbers, values]"};
        must_be_pairs(c.in[1], c.in[2]);
        return Dims{c.in[1][0], c.in[0][1]};
    }
    static void gradient(Adjoint& a) {
        a.give(0, bag_rows(a.x(1), a.x(2), a.g, elbo::shape(a.x(0))[0]));
        a.give(2, bag_weights(a.x(0), a.x(1), a.g));
    }
    template <class Call>
    static void run(const Call& c) {
        const std::int64_t width = c.in_dims[0][1], m = c.in_dims[1][1];
        must_be_rows(c.in[1], c.in_dims[1].numel(), c.in_dims[0][0]);
        each_row_of_table(c.out_dims[0], m * width, [&](std::int64_t b) {
            auto* to = c.out + b * width;
            std::fill_n(to, width, 0);
            for (std::int64_t i = b * m; i < (b + 1) * m; ++i)
                if (c.in[2][i] != 0) add_row(c.in[2][i], c.in[0] + std::int64_t(c.in[1][i]) * width, to, width);
        });
    }
    static void reference(const ReferenceCall& c) { run(c); }
    static KernelFn kernel() {
        return [](const KernelCall& c) { run(c); };
    }
    static std::vector<OpCase> cases() {
        return {{{Dims{3, 4}, Dims{2, 5}, Dims{2, 5}}, {}},
                {{Dims{3, 1}, Dims{7, 1}, Dims{7, 1}}, {}},
                {{Dims{3, 37}, Dims{4, 0}, Dims{4, 0}}, {}},
                {{Dims{3, 37}, Dims{1, 6}, Dims{1, 6}}, {}}};
    }
};

/// ids [B, M], weights [B, M], g [B, H] -> [rows, H].
struct BagRows : WithoutTile {
    static constexpr auto name = "bag_rows";
    static constexpr auto formula = "bag_sum's adjoint in x: y[r] = sum of the weight[b, m] g[b] with index[b, m] = r";
    static constexpr int arity = 3;
    static constexpr Runs runs = Runs::kernel;
    static constexpr std::array domains{kIds, kSome, Domain{}};
    static std::span<const AttributeSpec> attributes() { return kRows; }
    static Dims shape(const ShapeCall& c) {
        must_be_pairs(c.in[0], c.in[1]);
        if (c.in[2].rank != 2 || c.in[2][0] != c.in[0][0]) throw ShapeError{"there must be values for every row"};
        const std::int64_t rows = c.attributes.integer("rows");
        if (rows < 0) throw ShapeError{"cannot have " + std::to_string(rows) + " rows"};
        return Dims{rows, c.in[2][1]};
    }
    static void gradient(Adjoint& a) {
        a.give(1, bag_weights(a.g, a.x(0), a.x(2)));
        a.give(2, bag_sum(a.g, a.x(0), a.x(1)));
    }
    template <class Call>
    static void run(const Call& c) {
        static thread_local Owners owners;
        const std::int64_t m = c.in_dims[0][1], width = c.out_dims[1];
        owners.sort(c.in[0], c.in_dims[0].numel(), c.out_dims[0], [&](std::int64_t i) { return c.in[1][i] != 0; });
        const Owners& sorted = owners; // of this thread, whoever runs the pieces
        each_row_of_table(c.out_dims[0], width, [&](std::int64_t r) {
            auto* to = c.out + r * width;
            std::fill_n(to, width, 0);
            for (std::uint32_t i : sorted.of(r)) add_row(c.in[1][i], c.in[2] + i / m * width, to, width);
        });
    }
    static void reference(const ReferenceCall& c) { run(c); }
    static KernelFn kernel() {
        return [](const KernelCall& c) { run(c); };
    }
    static std::vector<OpCase> cases() {
        const std::vector<Attribute> rows{Attribute::of("rows", std::int64_t(3))};
        return {{{Dims{2, 5}, Dims{2, 5}, Dims{2, 4}}, rows},
                {{Dims{7, 1}, Dims{7, 1}, Dims{7, 37}}, rows},
                {{Dims{4, 0}, Dims{4, 0}, Dims{4, 3}}, rows}};
    }
};

/// table [V, H], ids [B, M], g [B, H] -> [B, M].
struct BagWeights : WithoutAttributes, WithoutTile {
    static constexpr auto name = "bag_weights";
    static constexpr auto formula = "bag_sum's adjoint in the weights: y[b, m] = x[index[b, m]] · g[b]";
    static constexpr int arity = 3;
    static constexpr Runs runs = Runs::kernel;
    static constexpr std::array domains{Domain{}, kIds, Domain{}};
    static Dims shape(const ShapeCall& c) {
        const Dims &table = c.in[0], &ids = c.in[1], &g = c.in[2];
        if (table.rank != 2 || ids.rank != 2 || g.rank != 2 || g[0] != ids[0] || g[1] != table[1])
            throw ShapeError{"takes a table [V, H], numbers [B, M] and values [B, H]"};
        return ids;
    }
    static void gradient(Adjoint& a) {
        a.give(0, bag_rows(a.x(1), a.g, a.x(2), elbo::shape(a.x(0))[0]));
        a.give(2, bag_sum(a.x(0), a.x(1), a.g));
    }
    template <class Call>
    static void run(const Call& c) {
        const std::int64_t width = c.in_dims[0][1], m = c.in_dims[1][1];
        must_be_rows(c.in[1], c.in_dims[1].numel(), c.in_dims[0][0]);
        each_row_of_table(c.out_dims[0], m * width, [&](std::int64_t b) {
            for (std::int64_t i = b * m; i < (b + 1) * m; ++i)
                c.out[i] = dot_rows(c.in[0] + std::int64_t(c.in[1][i]) * width, c.in[2] + b * width, width);
        });
    }
    static void reference(const ReferenceCall& c) { run(c); }
    static KernelFn kernel() {
        return [](const KernelCall& c) { run(c); };
    }
    static std::vector<OpCase> cases() {
        return {{{Dims{3, 4}, Dims{2, 5}, Dims{2, 4}}, {}},
                {{Dims{3, 37}, Dims{7, 1}, Dims{7, 37}}, {}},
                {{Dims{3, 4}, Dims{2, 0}, Dims{2, 4}}, {}}};
    }
};

const Registered registered(add_ops<Bag, BagRows, BagWeights>);

} // namespace

} // namespace elbo::ops
