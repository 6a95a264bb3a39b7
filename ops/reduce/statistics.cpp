// Reductions that are written in sums, products and maxima; and softmax, which keeps the size.
#include <limits>

#include "ops/support.hpp"

namespace elbo::ops {

namespace {

constexpr AttributeSpec kReduce[] = {{"axes", AttributeType::integers}, {"keep", AttributeType::boolean}};
constexpr AttributeSpec kAxes[] = {{"axes", AttributeType::integers}};

Var total(Var x, const Shape& axes, bool keep) { return keep ? sum_keep(x, axes) : sum(x, axes); }

/// Values that meet in one result; the axes exist.
double count(Var x, const Shape& axes) {
    const Shape s = elbo::shape(x);
    double n = 1;
    for (std::int64_t axis : axes) n *= double(s[std::size_t(axis < 0 ? axis + std::int64_t(s.size()) : axis)]);
    return n;
}

/// The largest value, kept within the finite ones: what x may be reduced by, where it is infinite everywhere too.
Var finite_top(Var top) {
    constexpr double most = std::numeric_limits<float>::max();
    return clamp(top, -most, most);
}

std::vector<OpCase> some_reductions(bool with_keep) {
    const std::pair<Dims, Dims> all[] = {{{}, {}},
                                         {{1}, {0}},
                                         {{7, 13}, {0}},
                                         {{7, 13}, {-1}},
                                         {{7, 13}, {0, 1}},
                                         {{1, 17}, {1}},
                                         {{0, 3}, {1}},
                                         {{3, 513}, {1}},
                                         {{40, 3}, {0}},
                                         {{2, 3, 4}, {1}},
                                         {{2, 3, 4}, {0, 2}},
                                         {{2, 3, 4}, {1, 2}},
                                         {{2, 3, 4}, {}},
                                         {{2, 3, 1, 5}, {-1, -3}}};
    std::vector<OpCase> out;
    for (const auto& [d, axes] : all)
        for (bool keep : {false, true}) {
            std::vector<Attribute> attributes{Attribute::of("axes", axes)};
            if (with_keep) attributes.push_back(Attribute::of("keep", keep));
            if (with_keep || !keep) out.push_back({{d}, std::move(attributes)});
        }
    return out;
}

struct Reduction {
    static constexpr int arity = 1;
    static std::span<const AttributeSpec> attributes() { return kReduce; }
    static std::vector<OpCase> cases() { return some_reductions(true); }
};

struct Mean : Reduction {
    static constexpr auto name = "mean";
    static constexpr auto formula = "sum_i x[i] / n over axes";
    static Var expand(std::span<const Var> in, core::Attributes a) {
        const Shape axes = a.integers("axes").list();
        Var all = total(in[0], axes, a.flag("keep"));
        return all / count(in[0], axes);
    }
};

struct Variance : Reduction {
    static constexpr auto name = "variance";
    static constexpr auto formula = "sum_i (x[i] - mean)^2 / (n - correction) over axes";
    static Var expand(std::span<const Var> in, core::Attributes a) {
        const Shape axes = a.integers("axes").list();
        return mean(square(in[0] - mean(in[0], axes, true)), axes, a.flag("keep"));
    }
};

// The sum is at least exp(0) = 1, or 0 where all is -infinity: there log's derivative must not be asked for.
struct LogSumExp : Reduction {
    static constexpr auto name = "log_sum_exp";
    static constexpr auto formula = "log sum_i exp(x[i]) over axes";
    static Var expand(std::span<const Var> in, core::Attributes a) {
        const Shape axes = a.integers("axes").list();
        Var top = stop_gradient(max_over(in[0], axes, true));
        Var y = log(max(sum_keep(exp(in[0] - finite_top(top)), axes), 0.5)) + top;
        return reshape(y, elbo::shape(total(in[0], axes, a.flag("keep"))));
    }
};

struct Softmax {
    static constexpr auto name = "softmax";
    static constexpr auto formula = "exp(x[i]) / sum_k exp(x[k]) along an axis";
    static constexpr int arity = 1;
    static std::span<const AttributeSpec> attributes() { return kAxes; }
    static Var expand(std::span<const Var> in, core::Attributes a) {
        const Shape axes = a.integers("axes").list();
        Var e = exp(in[0] - stop_gradient(max_over(in[0], axes, true)));
        return e / sum_keep(e, axes);
    }
    static std::vector<OpCase> cases() { return some_reductions(false); }
};

struct LogSoftmax : Softmax {
    static constexpr auto name = "log_softmax";
    static constexpr auto formula = "x[i] - log sum_k exp(x[k]) along an axis";
    static Var expand(std::span<const Var> in, core::Attributes a) {
        const Shape axes = a.integers("axes").list();
        Var below = in[0] - stop_gradient(max_over(in[0], axes, true));
        return below - log(sum_keep(exp(below), axes));
    }
};

// Halves are multiplied until one is left, so an adjoint is a product of the other values and never a quotient.
struct Prod : Reduction {
    static constexpr auto name = "prod";
    static constexpr auto formula = "x[0] x[1] ... over axes";
    static constexpr std::array domains{Domain{Domain::Of::away_from_zero, 0.9, 1.1}};
    static Var expand(std::span<const Var> in, core::Attributes a) {
        const Shape axes = a.integers("axes").list();
        const Shape out = elbo::shape(total(in[0], axes, a.flag("keep"))); // refuses axes that are none
        Var x = in[0];
        for (std::int64_t axis : axes) x = along(x, axis < 0 ? axis + std::int64_t(elbo::shape(x).size()) : axis);
        return reshape(x, out);
    }
    static Var along(Var x, std::int64_t axis) {
        Shape one = elbo::shape(x);
        std::int64_t n = one[std::size_t(axis)];
        one[std::size_t(axis)] = 1;
        if (n == 0) return constant(x, 1.0, one);
        std::vector<Var> odd;
        for (; n > 1; n /= 2) {
            if (n % 2) odd.push_back(slice(x, axis, n - 1, n));
            x = slice(x, axis, 0, n / 2) * slice(x, axis, n / 2, n / 2 * 2);
        }
        for (Var v : odd) x = x * v;
        return x;
    }
    static std::vector<OpCase> cases() {
        auto out = some_reductions(true);
        for (const Dims& d : {Dims{0}, Dims{3, 0}})
            out.push_back({{d}, {Attribute::of("axes", Dims{-1}), Attribute::of("keep", false)}});
        return out;
    }
};

const Registered registered(add_ops<Mean, Variance, LogSumExp, Softmax, LogSoftmax, Prod>);

} // namespace

} // namespace elbo::ops
