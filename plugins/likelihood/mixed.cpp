#include <charconv>

#include "optimal.hpp"
using namespace elbo;

namespace {

using Count = std::int64_t;

/// Columns of one kind, side by side. categories: K of a categorical, else 1.
struct Group {
    std::string kind;
    Count categories = 1, columns = 1;
    bool rest = false;        ///< as many columns as are left
    OptimalVariance variance; ///< of numbers, column by column
};

[[noreturn]] void refuse(std::string_view word, const std::string& why) {
    throw std::invalid_argument("likelihood.columns: '" + std::string(word) + "' " + why +
                                "; write KIND or KIND*COLUMNS, separated by commas: \"gaussian*3,bernoulli,"
                                "categorical:5,poisson\"; a last KIND* takes all columns that are left");
}

/// Takes SIGN and a number from the end of `text`; 0 for a sign alone.
std::optional<Count> take_number(std::string_view& text, char sign, std::string_view word) {
    const auto at = text.find(sign);
    if (at == text.npos) return std::nullopt;
    const std::string_view digits = text.substr(at + 1);
    text = text.substr(0, at);
    if (digits.empty()) return 0;
    Count n = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), n);
    if (error != std::errc{} || end != digits.data() + digits.size() || n < 1 || n > 65536)
        refuse(word, "has '" + std::string(digits) + "' where a number from 1 to 65536 belongs");
    return n;
}

Group group_of(std::string_view word) {
    Group g;
    std::string_view text = word;
    const auto columns = take_number(text, '*', word), categories = take_number(text, ':', word);
    g.kind = text;
    g.rest = columns == 0;
    g.columns = columns.value_or(1);
    if (g.kind != "gaussian" && g.kind != "bernoulli" && g.kind != "categorical" && g.kind != "poisson")
        refuse(word, "is none of gaussian, bernoulli, categorical:K, poisson");
    if ((g.kind == "categorical") != categories.has_value() || categories.value_or(2) < 2)
        refuse(word,
               g.kind == "categorical" ? "needs its number of classes, 2 or more: categorical:5" : "has no classes");
    g.categories = categories.value_or(1);
    return g;
}

std::vector<Group> groups_of(std::string_view text) {
    std::vector<Group> out;
    for (bool more = true; more;) {
        const auto comma = text.find(',');
        std::string_view word = text.substr(0, comma);
        more = comma != text.npos;
        text = more ? text.substr(comma + 1) : "";
        while (!word.empty() && word.front() == ' ') word.remove_prefix(1);
        while (!word.empty() && word.back() == ' ') word.remove_suffix(1);
        out.push_back(group_of(word));
        if (out.back().rest && more) refuse(word, "takes all columns that are left and is not the last");
    }
    return out;
}

} // namespace

/// A table whose columns have distributions of their own, independent given z. Numbers: a Gaussian whose variance is
/// the column's mean squared error, by a running average in training too; yes or no: Bernoulli; class numbers:
/// categorical; counts: Poisson. A column needs a raw value, a categorical one K: all get as many as the one that needs
/// most, and ignore the others.
struct Mixed : Likelihood {
    std::string columns = "gaussian*";
    Spread spread;
    std::vector<Group> groups;
    void parameters(auto& p) {
        p("columns", columns,
          "the columns in order: gaussian, bernoulli, categorical:K or poisson, each with *N for N columns; a last "
          "gaussian* takes the rest");
        p("floor", spread.floor, "smallest deviation of a number", positive);
    }
    void ready() override { groups = groups_of(columns); }

    Count channels() const override {
        Count most = 1;
        for (const Group& g : groups) most = std::max(most, g.categories);
        return most;
    }
    /// Of all columns together: a run meets an infinite loss where one column leaves its own.
    std::vector<double> support() const override {
        double high = 1;
        for (const Group& g : groups) {
            if (g.kind == "gaussian") return {};
            if (g.kind == "poisson") high = std::numeric_limits<double>::infinity();
            high = std::max(high, double(g.categories - 1));
        }
        return {0, high};
    }

    Var nll(Var raw, Var x) const override { return sum_rows(nll_values(raw, x)); }
    Var nll_values(Var raw, Var x) const override {
        return over_columns(raw, [&](const Group& g, Var own, Count from, Count n) {
            Var at = slice(x, 1, from, from + n);
            if (g.kind == "categorical") return categorical_nll(own, at);
            Var value = reshape(own, shape(at));
            if (g.kind == "poisson") return poisson_nll(log_rate(value), at);
            if (g.kind == "bernoulli") return supported(equal(clamp(at, 0, 1), at), bernoulli_nll(value, at));
            return gaussian_nll(value, log(g.variance.of(square(at - value), {0}, spread, true)), at);
        });
    }
    /// Of a categorical the most likely class, as `categorical` has it.
    Var mean(Var raw) const override {
        return over_columns(raw, [&](const Group& g, Var own, Count, Count) {
            if (g.kind == "categorical") return categorical_mode(own);
            Var value = flatten(own);
            if (g.kind == "poisson") return exp(log_rate(value));
            return g.kind == "bernoulli" ? sigmoid(value) : value;
        });
    }
    Var pick(Var) const override {
        throw std::invalid_argument(
            "columns have distributions of their own, and a single value does not say which is its: use a decoder that "
            "writes all at once, mlp say");
    }
    Var sample(Var raw) const override {
        return over_columns(raw, [&](const Group& g, Var own, Count, Count n) {
            if (g.kind == "categorical") return categorical_sample(own);
            Var value = flatten(own);
            if (g.kind == "poisson") return poisson(exp(log_rate(value)));
            if (g.kind == "bernoulli") return elbo::bernoulli(sigmoid(value));
            return value + sqrt(g.variance.remembered(value, {1, n}, spread)) * normal_like(value);
        });
    }

private:
    /// f(group, its raw values [B, K, n], its first column, n) for each group; side by side.
    template <class F>
    Var over_columns(Var raw, F f) const {
        const Count d = shape(raw)[1] / channels();
        Count described = 0, from = 0;
        for (const Group& g : groups) described += g.rest ? 0 : g.columns;
        const bool open = groups.back().rest;
        if (open ? described >= d : described != d)
            throw std::invalid_argument("likelihood.columns describes " + std::to_string(described) + " columns" +
                                        (open ? " and more" : "") + ", the data has " + std::to_string(d));
        Var all = channels_of(raw, channels());
        Vars each;
        for (const Group& g : groups) {
            const Count n = g.rest ? d - described : g.columns;
            Scope names(raw, "column" + std::to_string(from));
            each.push_back(f(g, slice(slice(all, 1, 0, g.categories), 2, from, from + n), from, n));
            from += n;
        }
        return concat(each, 1);
    }
};
ELBO_PLUGIN("likelihood_mixed", "1.0.0", "likelihood/mixed") {
    plugin.add<Mixed>("mixed", "a table's columns, each with its own distribution");
}
