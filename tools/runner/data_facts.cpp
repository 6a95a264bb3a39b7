#include "tools/runner/data_facts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/error.hpp"
#include "core/data/batches.hpp"
#include "core/run/defaults.hpp"

namespace elbo::tools {

using core::Rows;
using core::Split;

namespace {

constexpr Split kSplits[] = {Split::train, Split::test};

/// Gathers ValueFacts.
class ValueWalk {
public:
    explicit ValueWalk(const Rows& rows) : first_(std::size_t(rows.values())), varies_(first_.size()) {
        for (Split split : kSplits)
            core::for_batches(rows, split, 0, rows.count(split), 1024, [&](std::int64_t at, std::int64_t, auto x) {
                if (split == Split::train && at == 0) std::copy_n(x.begin(), first_.size(), first_.begin());
                for (float v : x) add(double(v));
                if (split == Split::train) compare(x);
            });
    }
    ValueFacts facts() const {
        ValueFacts out{low_, high_, sum_ / count_, zeros_ / count_, ones_ / count_, whole_ / count_, {}};
        for (std::size_t k = 0; k < varies_.size(); ++k)
            if (!varies_[k]) out.constant.push_back(std::int64_t(k));
        return out;
    }

private:
    void add(double v) {
        low_ = std::min(low_, v), high_ = std::max(high_, v);
        sum_ += v, count_ += 1;
        zeros_ += v == 0, ones_ += v == 1, whole_ += v == std::floor(v);
    }
    void compare(std::span<const float> x) {
        for (std::size_t at = 0; at < x.size(); at += first_.size())
            for (std::size_t k = 0; k < first_.size(); ++k) varies_[k] |= char(x[at + k] != first_[k]);
    }

    std::vector<float> first_;
    std::vector<char> varies_;
    double low_ = std::numeric_limits<double>::infinity(), high_ = -low_;
    double sum_ = 0, count_ = 0, zeros_ = 0, ones_ = 0, whole_ = 0;
};

// Numbers of values of a row: x again, or a part of it.
bool lists_values(const core::Field& field) {
    return field.name == "ids" || field.name == "values" || field.name == "held";
}

FieldFacts facts_of(const Rows& rows, const core::Field& field) {
    FieldFacts out{field.name, field.names};
    const auto width = std::size_t(field.dims.numel());
    out.classes.resize(std::size_t(field.classes()));
    const double inf = std::numeric_limits<double>::infinity();
    if (out.classes.empty()) out.values.assign(width, {inf, 0, -inf});
    std::vector<float> row(width);
    double seen = 0;
    for (Split split : kSplits)
        for (std::int64_t i = 0; i < rows.count(split); ++i) {
            rows.read(field, split, {&i, 1}, row.data());
            seen += 1;
            if (!out.classes.empty()) {
                const auto label = std::size_t(row[0]);
                if (row[0] >= 0 && label < out.classes.size()) ++out.classes[label][std::size_t(split)];
                continue;
            }
            for (std::size_t k = 0; k < width; ++k) {
                auto& [low, mean, high] = out.values[k];
                const double v = double(row[k]);
                low = std::min(low, v), high = std::max(high, v), mean += (v - mean) / seen;
            }
        }
    return out;
}

// The rows there are when missing values are treated in that way; nothing when they cannot be.
std::optional<std::int64_t> rows_when(core::PartChoice choice, core::Registry& registry, const std::string& missing) {
    for (core::NamedValue& v : choice.values)
        if (v.name == "missing") v.value = missing;
    core::DataOptions all;
    all.scale = "none", all.test_fraction = 0;
    try {
        core::Part part(registry.find(choice.kind, choice.name), choice.values, choice.role);
        const Rows rows(part, all);
        return rows.count(Split::train) + rows.count(Split::test);
    } catch (const core::Error&) {
        return {};
    }
}

// A data set says how it fills, not where: its rows are counted with and without those that have gaps.
std::optional<Gaps> gaps_of(const core::PartChoice& choice, core::Registry& registry, std::int64_t rows) {
    std::string how;
    for (const core::NamedValue& v : choice.values)
        if (const auto* text = std::get_if<std::string>(&v.value); text && v.name == "missing") how = *text;
    if (how.empty() || how == "refuse") return {};
    if (how != "drop") return Gaps{rows - rows_when(choice, registry, "drop").value_or(0), how};
    const auto all = rows_when(choice, registry, "zero"); // not where a label is missing
    return all ? std::optional<Gaps>({*all - rows, how}) : std::nullopt;
}

const char* const kForCounts =
    "they look like counts: poisson, negative_binomial and multinomial take them as they "
    "are, with --data.scale none --data.standardize false";

bool are_counts(const Rows& rows, const ValueFacts& in_file) {
    return rows.dims().rank == 1 && !rows.are_tokens() && in_file.are_whole() && in_file.low >= 0 && in_file.high > 1;
}

// Values outside the support, as training refuses them.
std::string outside_of(const std::string& name, double low, double high, const Rows& rows, const ValueFacts& in_file) {
    const auto [least, most] = rows.reach();
    if (least >= low && most <= high) return {};
    const std::string what = fmt::format(
        "likelihood '{}' takes values in {:g}..{:g}, and these lie in {:.6g}..{:.6g}: "
        "training would be refused",
        name, low, high, least, most);
    if (rows.low() >= low && rows.high() <= high)
        return what + "\n  only test rows lie outside: cut them with --data.clip true";
    if (are_counts(rows, in_file)) return what + "\n  " + kForCounts;
    if (low == 0 && high == 1) return what + "\n  scale them: --data.scale unit; or choose --likelihood gaussian";
    return what + "\n  --likelihood gaussian takes all values";
}

void judge(const core::Part& likelihood, const Rows& rows, DataFacts& f) {
    const std::string& name = f.likelihood;
    const auto told = likelihood.property("support");
    const auto* support = told ? std::get_if<std::vector<double>>(&*told) : nullptr;
    const auto discrete = likelihood.property("discrete");
    const bool bounded = support && support->size() == 2, of_levels = discrete && std::get<bool>(*discrete);
    if (const std::string outside = bounded ? outside_of(name, (*support)[0], (*support)[1], rows, f.in_file) : "";
        !outside.empty()) {
        f.warnings.push_back(outside);
    } else if (name == "bernoulli" && !f.seen.binary()) {
        if (are_counts(rows, f.in_file))
            f.warnings.push_back(fmt::format("scaled counts are no yes and no: {}", kForCounts));
        else
            f.notes.push_back(
                "grey values: bernoulli takes them as probabilities; --data.binarize makes them 0 and 1, "
                "--likelihood continuous_bernoulli is a density of them");
    } else if (name != "bernoulli" && of_levels && bounded && !f.seen.are_whole()) {
        f.warnings.push_back(fmt::format("likelihood '{}' takes whole numbers, and {:.3g} % of the values are none",
                                         name, 100 * (1 - f.seen.whole)));
    } else if (!of_levels && f.seen.binary()) {
        f.notes.push_back(
            fmt::format("all values are 0 or 1: likelihood '{}' takes them as numbers, bernoulli as yes "
                        "and no",
                        name));
    }
}

core::DataOptions as_in_file(const core::DataOptions& options) {
    core::DataOptions out;
    out.scale = "none";
    out.test_fraction = options.test_fraction;
    out.split_seed = options.split_seed;
    return out;
}

void choose(OpenData& data, const std::vector<core::GivenSetting>& given, core::Registry& registry) {
    auto all = core::defaults_for(*data.rows, data.config, given);
    for (const core::GivenSetting& g : all)
        if (g.key.starts_with("data.") || g.key.starts_with("likelihood"))
            data.facts.chosen.push_back(g.key + " " + g.value);
    all.insert(all.end(), given.begin(), given.end());
    data.config = core::resolve(all, registry);
}

} // namespace

OpenData open_data(const std::vector<core::GivenSetting>& given, core::Registry& registry) {
    OpenData data{core::resolve(given, registry), nullptr, nullptr, {}};
    const auto make = [&](const core::PartChoice& c) {
        return std::make_unique<core::Part>(registry.find(c.kind, c.name), c.values, c.role);
    };
    data.part = make(data.config.part("data"));
    DataFacts& f = data.facts;
    data.rows = std::make_unique<Rows>(*data.part, as_in_file(data.config.data));
    f.dims_in_file = data.rows->dims();
    f.in_file = ValueWalk(*data.rows).facts();
    choose(data, given, registry);
    data.rows->prepare(data.config.data);
    f.seen = ValueWalk(*data.rows).facts();
    for (const core::Field& field : data.rows->fields())
        if (!lists_values(field)) f.fields.push_back(facts_of(*data.rows, field));
    f.gaps =
        gaps_of(data.config.part("data"), registry, data.rows->count(Split::train) + data.rows->count(Split::test));
    const core::PartChoice& likelihood = data.config.part("likelihood");
    f.likelihood = likelihood.name;
    judge(*make(likelihood), *data.rows, f);
    for (const std::string& note : data.rows->notes()) f.notes.push_back(note);
    return data;
}

} // namespace elbo::tools
