// Rows of a table by number, and their sum back into a table: an embedding and its gradient. Numbers are whole numbers
// in ordinary values, exact to 2^24; one that is no row of the table is told with the line that asked for it.
#include "ops/sparse/rows.hpp"

namespace elbo::ops {

namespace {

constexpr AttributeSpec kRows[] = {{"rows", AttributeType::integer}};

/// table [V, ...], ids [...] -> [ids..., ...].
struct Gather : WithoutAttributes, WithoutTile {
    static constexpr auto name = "gather";
    static constexpr auto formula = "y[k] = x[index[k]] of rows";
    static constexpr int arity = 2;
    static constexpr Runs runs = Runs::kernel;
    static constexpr std::array domains{Domain{}, Domain{Domain::Of::whole, 0, 2}};
    static Dims shape(const ShapeCall& c) {
        const Dims &table = c.in[0], &ids = c.in[1];
        if (table.rank < 1) throw ShapeError{"takes a table of rows"};
        if (table.rank - 1 + ids.rank > core::kMaxRank) throw ShapeError{"gives more dimensions than there can be"};
        Dims out = ids;
        for (int i = 1; i < table.rank; ++i) out.push(table[i]);
        return out;
    }
    static void gradient(Adjoint& a) { a.give(0, scatter_add(a.x(1), a.g, elbo::shape(a.x(0))[0])); }
    template <class Call>
    static void run(const Call& c) {
        const std::int64_t width = c.in_dims[0].row(), n = c.in_dims[1].numel();
        must_be_rows(c.in[1], n, c.in_dims[0][0]);
        each_row_of_table(n, width, [&](std::int64_t i) {
            std::copy_n(c.in[0] + std::int64_t(c.in[1][i]) * width, width, c.out + i * width);
        });
    }
    static void reference(const ReferenceCall& c) { run(c); }
    static KernelFn kernel() {
        return [](const KernelCall& c) { run(c); };
    }
    static std::vector<OpCase> cases() {
        return {{{Dims{3, 4}, Dims{5}}, {}}, {{Dims{3}, Dims{2, 2}}, {}}, {{Dims{3, 2, 2}, Dims{7, 1}}, {}}};
    }
};

/// ids [...], values [ids..., ...] -> [rows, ...]: the sum of what goes to each row, in the order of the ids.
struct ScatterAdd : WithoutTile {
    static constexpr auto name = "scatter_add";
    static constexpr auto formula = "y[r] = sum of the x[k] with index[k] = r";
    static constexpr int arity = 2;
    static constexpr Runs runs = Runs::kernel;
    static constexpr std::array domains{Domain{Domain::Of::whole, 0, 2}, Domain{}};
    static std::span<const AttributeSpec> attributes() { return kRows; }
    static Dims shape(const ShapeCall& c) {
        const Dims &ids = c.in[0], &values = c.in[1];
        const std::int64_t rows = c.attributes.integer("rows");
        if (rows < 0) throw ShapeError{"cannot have " + std::to_string(rows) + " rows"};
        if (values.rank < ids.rank) throw ShapeError{"there must be a value for every number"};
        Dims out{rows};
        for (int i = 0; i < values.rank; ++i) {
            if (i < ids.rank && values[i] != ids[i]) throw ShapeError{"there must be a value for every number"};
            if (i >= ids.rank) out.push(values[i]);
        }
        return out;
    }
    static void gradient(Adjoint& a) { a.give(1, gather(a.g, a.x(0))); }
    template <class Call>
    static void run(const Call& c) {
        static thread_local Owners owners;
        const std::int64_t width = c.out_dims.row();
        owners.sort(c.in[0], c.in_dims[0].numel(), c.out_dims[0], [](std::int64_t) { return true; });
        const Owners& sorted = owners; // of this thread, whoever runs the pieces
        each_row_of_table(c.out_dims[0], width, [&](std::int64_t r) {
            auto* to = c.out + r * width;
            std::fill_n(to, width, 0);
            for (std::uint32_t i : sorted.of(r)) add_row(1, c.in[1] + i * width, to, width);
        });
    }
    static void reference(const ReferenceCall& c) { run(c); }
    static KernelFn kernel() {
        return [](const KernelCall& c) { run(c); };
    }
    static std::vector<OpCase> cases() {
        const std::vector<Attribute> rows{Attribute::of("rows", std::int64_t(3))};
        return {{{Dims{5}, Dims{5, 4}}, rows}, {{Dims{2, 2}, Dims{2, 2}}, rows}};
    }
};

const Registered registered(add_ops<Gather, ScatterAdd>);

} // namespace

} // namespace elbo::ops
