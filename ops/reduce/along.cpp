// Ops along one axis: where the largest value lies, the order of values, running sums, and values by their number.
// Numbers are whole numbers in ordinary values, exact to 2^24.
#include <numeric>

#include "ops/sparse/rows.hpp"

namespace elbo::ops {

namespace {

constexpr std::int64_t kMostNumbers = std::int64_t(1) << 24;

constexpr AttributeSpec kAxis[] = {{"axis", AttributeType::integer}};
constexpr AttributeSpec kCumsum[] = {{"axis", AttributeType::integer}, {"reverse", AttributeType::boolean}};
constexpr AttributeSpec kArgsort[] = {{"axis", AttributeType::integer}, {"descending", AttributeType::boolean}};
constexpr AttributeSpec kSize[] = {{"axis", AttributeType::integer}, {"size", AttributeType::integer}};

/// The axis of an op whose result numbers the places along it.
int numbered_axis(const ShapeCall& c) {
    const int axis = axis_of(c.attributes, c.in[0]);
    if (c.in[0][axis] > kMostNumbers) throw ShapeError{"an axis that long has no exact numbers"};
    return axis;
}

/// The axis of an operand, and f(where a line along it begins, how far apart its values lie).
template <class Call, class F>
void each_line(const Call& c, F f) {
    const int axis = axis_of(c.attributes, c.in_dims[0]);
    const Around around(c.in_dims[0], axis);
    const std::int64_t n = c.in_dims[0][axis];
    for (std::int64_t o = 0; o < around.outer; ++o)
        for (std::int64_t i = 0; i < around.inner; ++i) f(o * n * around.inner + i, around.inner, n);
}

/// Sizes, axes and another attribute.
std::vector<OpCase> lines(std::initializer_list<std::pair<Dims, std::int64_t>> all,
                          std::initializer_list<Attribute> each = {}) {
    std::vector<OpCase> out;
    for (const auto& [d, axis] : all) {
        if (each.size() == 0) out.push_back({{d}, {Attribute::of("axis", axis)}});
        for (const Attribute& a : each) out.push_back({{d}, {Attribute::of("axis", axis), a}});
    }
    return out;
}

struct Argmax : WithoutTile {
    static constexpr auto name = "argmax";
    static constexpr auto formula = "the first index of the largest value along an axis";
    static constexpr int arity = 1;
    static constexpr Runs runs = Runs::kernel;
    static constexpr auto why_no_gradient = "a place does not move with the values";
    static constexpr std::array domains{Domain{Domain::Of::distinct}};
    static std::span<const AttributeSpec> attributes() { return kAxis; }
    static Dims shape(const ShapeCall& c) {
        const int axis = numbered_axis(c);
        Dims out;
        for (int i = 0; i < c.in[0].rank; ++i)
            if (i != axis) out.push(c.in[0][i]);
        if (c.in[0][axis] == 0 && out.numel() > 0) throw ShapeError{"there is no largest of nothing"};
        return out;
    }
    static void gradient(Adjoint& a) { no_gradient(a); }
    template <class Call, class T>
    static void run(const Call& c, T* out) {
        each_line(c, [&](std::int64_t at, std::int64_t step, std::int64_t n) {
            const T* x = c.in[0] + at;
            std::int64_t best = 0;
            for (std::int64_t i = 1; i < n && x[best * step] == x[best * step]; ++i)
                if (!(x[i * step] <= x[best * step])) best = i;
            *out++ = T(best);
        });
    }
    static void reference(const ReferenceCall& c) { run(c, c.out); }
    static KernelFn kernel() {
        return [](const KernelCall& c) { run(c, c.out); };
    }
    static double of_constant(double, const Dims&, const Dims&) { return 0; }
    static std::vector<OpCase> cases() {
        return lines({{{1}, 0}, {{5}, -1}, {{0, 3}, 1}, {{7, 13}, 0}, {{7, 13}, 1}, {{2, 3, 4}, 1}, {{3, 513}, -1}});
    }
};

struct Argsort : WithoutTile {
    static constexpr auto name = "argsort";
    static constexpr auto formula = "indices in the order of the values along an axis";
    static constexpr int arity = 1;
    static constexpr Runs runs = Runs::kernel;
    static constexpr auto why_no_gradient = "a place does not move with the values";
    static constexpr std::array domains{Domain{Domain::Of::distinct}};
    static std::span<const AttributeSpec> attributes() { return kArgsort; }
    static Dims shape(const ShapeCall& c) {
        numbered_axis(c);
        return c.in[0];
    }
    static void gradient(Adjoint& a) { no_gradient(a); }
    template <class Call, class T>
    static void run(const Call& c, T* out) {
        const bool descending = c.attributes.flag("descending");
        std::vector<std::pair<T, std::int32_t>> line;
        each_line(c, [&](std::int64_t at, std::int64_t step, std::int64_t n) {
            line.resize(std::size_t(n));
            for (std::int64_t i = 0; i < n; ++i) line[std::size_t(i)] = {c.in[0][at + i * step], std::int32_t(i)};
            std::sort(line.begin(), line.end(), [descending](const auto& a, const auto& b) {
                if (a.first < b.first) return !descending;
                if (a.first > b.first) return descending;
                const bool a_nan = a.first != a.first, b_nan = b.first != b.first;
                return a_nan != b_nan ? b_nan : a.second < b.second;
            });
            for (std::int64_t i = 0; i < n; ++i) out[at + i * step] = T(line[std::size_t(i)].second);
        });
    }
    static void reference(const ReferenceCall& c) { run(c, c.out); }
    static KernelFn kernel() {
        return [](const KernelCall& c) { run(c, c.out); };
    }
    static std::vector<OpCase> cases() {
        return lines({{{1}, 0}, {{0, 3}, 1}, {{3, 0}, -1}, {{7, 13}, 0}, {{7, 13}, 1}, {{2, 3, 4}, 1}, {{3, 513}, -1}},
                     {Attribute::of("descending", false), Attribute::of("descending", true)});
    }
};

struct Cumsum : WithoutTile {
    static constexpr auto name = "cumsum";
    static constexpr auto formula = "y[i] = x[0] + ... + x[i] along an axis";
    static constexpr int arity = 1;
    static constexpr Runs runs = Runs::kernel;
    static std::span<const AttributeSpec> attributes() { return kCumsum; }
    static Dims shape(const ShapeCall& c) {
        axis_of(c.attributes, c.in[0]);
        return c.in[0];
    }
    static void gradient(Adjoint& a) {
        a.give(0, cumsum(a.g, a.attributes.integer("axis"), !a.attributes.flag("reverse")));
    }
    // Some columns at a time, and their sums in f64.
    template <class Call, class T>
    static void run(const Call& c, T* out) {
        constexpr std::int64_t kColumns = 64;
        const int axis = axis_of(c.attributes, c.in_dims[0]);
        const Around around(c.in_dims[0], axis);
        const std::int64_t n = c.in_dims[0][axis], inner = around.inner;
        const bool reverse = c.attributes.flag("reverse");
        for (std::int64_t o = 0; o < around.outer && inner == 1; ++o) {
            double sum = 0;
            for (std::int64_t i = 0; i < n; ++i) {
                const std::int64_t at = o * n + (reverse ? n - 1 - i : i);
                out[at] = T(sum += double(c.in[0][at]));
            }
        }
        for (std::int64_t o = 0; o < around.outer && inner > 1; ++o)
            for (std::int64_t begin = 0; begin < inner; begin += kColumns) {
                const std::int64_t columns = std::min(kColumns, inner - begin);
                double sums[kColumns] = {};
                for (std::int64_t i = 0; i < n; ++i) {
                    const std::int64_t at = (o * n + (reverse ? n - 1 - i : i)) * inner + begin;
                    for (std::int64_t k = 0; k < columns; ++k) out[at + k] = T(sums[k] += double(c.in[0][at + k]));
                }
            }
    }
    static void reference(const ReferenceCall& c) { run(c, c.out); }
    static KernelFn kernel() {
        return [](const KernelCall& c) { run(c, c.out); };
    }
    static std::vector<OpCase> cases() {
        return lines({{{1}, 0}, {{0, 3}, 1}, {{3, 0}, 1}, {{7, 13}, 0}, {{7, 13}, -1}, {{2, 3, 4}, 1}, {{5, 300}, 0}},
                     {Attribute::of("reverse", false), Attribute::of("reverse", true)});
    }
};

template <class T>
std::int64_t place_of(T number, std::int64_t n) {
    return number_below(number, n, [&](const std::string& text) {
        return "there is no number " + text + " along an axis of " + std::to_string(n);
    });
}

/// Calls f(place of the number among its kin, the same in the other tensor) for every number: `n` lie along the axis of
/// the numbers, `size` along that of the other. `first(o)` comes before the numbers of each slice of the other tensor,
/// [size, inner]; slices are shared out among the team.
template <class T, class First, class F>
void each_number(const T* ids, const Dims& d, int axis, std::int64_t size, First first, F f) {
    const Around around(d, axis);
    const std::int64_t n = d[axis], inner = around.inner;
    for (std::int64_t i = 0; i < d.numel(); ++i) place_of(ids[i], size); // a team could not throw
    each_row_of_table(around.outer, (n + size) * inner, [&](std::int64_t o) {
        first(o);
        for (std::int64_t i = 0; i < n; ++i)
            for (std::int64_t k = 0; k < inner; ++k) {
                const std::int64_t at = (o * n + i) * inner + k;
                f(at, (o * size + std::int64_t(ids[at])) * inner + k);
            }
    });
}

/// x [.., size, ..], ids [.., n, ..] -> [.., n, ..].
struct TakeAlong : WithoutTile {
    static constexpr auto name = "take_along";
    static constexpr auto formula = "y[i] = x[index[i]] along an axis";
    static constexpr int arity = 2;
    static constexpr Runs runs = Runs::kernel;
    static constexpr std::array domains{Domain{}, Domain{Domain::Of::whole, 0, 2}};
    static std::span<const AttributeSpec> attributes() { return kAxis; }
    static Dims shape(const ShapeCall& c) {
        const Dims &x = c.in[0], &ids = c.in[1];
        const int axis = axis_of(c.attributes, x);
        Dims alike = ids;
        if (ids.rank == x.rank) alike[axis] = x[axis];
        if (!(alike == x)) throw ShapeError{"numbers must have the sizes of the values, but for the axis"};
        return ids;
    }
    static void gradient(Adjoint& a) {
        const Shape x = elbo::shape(a.x(0));
        const int axis = axis_of(a.attributes, Dims(x));
        a.give(0, add_along(a.g, a.x(1), x[std::size_t(axis)], axis));
    }
    template <class Call>
    static void run(const Call& c) {
        const int axis = axis_of(c.attributes, c.in_dims[0]);
        each_number(
            c.in[1], c.in_dims[1], axis, c.in_dims[0][axis], [](std::int64_t) {},
            [&](std::int64_t at, std::int64_t from) { c.out[at] = c.in[0][from]; });
    }
    static void reference(const ReferenceCall& c) { run(c); }
    static KernelFn kernel() {
        return [](const KernelCall& c) { run(c); };
    }
    static std::vector<OpCase> cases() {
        const struct {
            Dims x, ids;
            std::int64_t axis;
        } all[] = {{{3}, {5}, 0}, {{3, 7}, {2, 7}, 0}, {{7, 4}, {7, 6}, -1}, {{2, 5, 4}, {2, 3, 4}, 1}, {{3}, {0}, 0}};
        std::vector<OpCase> out;
        for (const auto& [x, ids, axis] : all) out.push_back({{x, ids}, {Attribute::of("axis", axis)}});
        return out;
    }
};

/// values and ids [.., n, ..] -> [.., size, ..]: the sum of what goes to each place, in the order of the numbers.
struct AddAlong : WithoutTile {
    static constexpr auto name = "add_along";
    static constexpr auto formula = "take_along's adjoint: y[r] = sum of the x[i] with index[i] = r";
    static constexpr int arity = 2;
    static constexpr Runs runs = Runs::kernel;
    static constexpr std::array domains{Domain{}, Domain{Domain::Of::whole, 0, 2}};
    static std::span<const AttributeSpec> attributes() { return kSize; }
    static Dims shape(const ShapeCall& c) {
        Dims out = c.in[0];
        const std::int64_t size = c.attributes.integer("size");
        if (size < 0) throw ShapeError{"an axis cannot be " + std::to_string(size) + " long"};
        out[axis_of(c.attributes, out)] = size;
        if (!(c.in[0] == c.in[1])) throw ShapeError{"there must be a number for every value"};
        return out;
    }
    static void gradient(Adjoint& a) { a.give(0, take_along(a.g, a.x(1), a.attributes.integer("axis"))); }
    template <class Call>
    static void run(const Call& c) {
        const int axis = axis_of(c.attributes, c.in_dims[0]);
        const std::int64_t slice = c.out_dims[axis] * Around(c.out_dims, axis).inner;
        each_number(
            c.in[1], c.in_dims[1], axis, c.out_dims[axis],
            [&](std::int64_t o) { std::fill_n(c.out + o * slice, slice, 0); },
            [&](std::int64_t at, std::int64_t to) { c.out[to] += c.in[0][at]; });
    }
    static void reference(const ReferenceCall& c) { run(c); }
    static KernelFn kernel() {
        return [](const KernelCall& c) { run(c); };
    }
    static std::vector<OpCase> cases() {
        std::vector<OpCase> out;
        for (const auto& [d, axis] : {std::pair<Dims, std::int64_t>{{5}, 0}, {{2, 7}, 0}, {{7, 6}, -1}, {{2, 3, 4}, 1}})
            out.push_back({{d, d}, {Attribute::of("axis", axis), Attribute::of("size", std::int64_t(3))}});
        return out;
    }
};

const Registered registered(add_ops<Argmax, Argsort, Cumsum, TakeAlong, AddAlong>);

} // namespace

} // namespace elbo::ops
