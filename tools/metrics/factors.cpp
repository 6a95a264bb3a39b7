#include "tools/metrics/factors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "core/base/error.hpp"
#include "core/base/notice.hpp"

namespace elbo::tools {

using core::Error;
using core::Exit;

namespace {

constexpr const char* kWanted =
    "it takes rows whose causes are known, such as --data shapes: shape, scale, angle, x, y";

// Throws where they are not several numbers a row, all finite.
const Matrix& several(Judged& judged, Judged::Of of, std::string_view metric) {
    const Matrix* labels = nullptr;
    try {
        labels = &judged.labels(of);
    } catch (Error& e) {
        e.note(fmt::format("--metrics {}: {}", metric, kWanted));
        throw;
    }
    if (labels->columns < 2)
        throw Error(Exit::data,
                    fmt::format("--metrics: {} takes several factors per row, and the data has one label", metric))
            .note(kWanted)
            .note("for one class per row there are knn_accuracy and linear_probe");
    const auto odd =
        std::find_if_not(labels->values.begin(), labels->values.end(), [](float v) { return std::isfinite(v); });
    if (odd != labels->values.end())
        throw Error(Exit::data, fmt::format("--metrics: {}: the label of {} row {} is not finite", metric,
                                            of == Judged::Of::judged ? "judged" : "training",
                                            (odd - labels->values.begin()) / labels->columns));
    return *labels;
}

std::vector<double> column(const Matrix& m, std::int64_t j) {
    std::vector<double> out;
    for (std::int64_t i = 0; i < m.rows; ++i) out.push_back(double(m.row(i)[std::size_t(j)]));
    return out;
}

bool varies(const std::vector<double>& v) {
    return std::any_of(v.begin(), v.end(), [&](double x) { return x != v.front(); });
}

bool are_classes(const Factor& f) {
    std::set<double> all(f.judged.begin(), f.judged.end());
    all.insert(f.learned.begin(), f.learned.end());
    return all.size() <= 10 && std::all_of(all.begin(), all.end(), [](double v) { return v == std::floor(v); });
}

} // namespace

std::vector<Factor> factors_of(Judged& judged, std::string_view metric) {
    const Matrix& here = several(judged, Judged::Of::judged, metric);
    const Matrix& learned = several(judged, Judged::Of::learned_from, metric);
    const std::vector<std::string> names = judged.label_names();
    std::vector<Factor> out;
    for (std::int64_t j = 0; j < here.columns; ++j) {
        const bool named = std::size_t(j) < names.size() && !names[std::size_t(j)].empty();
        Factor f{named ? names[std::size_t(j)] : fmt::format("factor {}", j + 1), false, column(here, j),
                 column(learned, j)};
        f.classes = are_classes(f);
        // There is nothing to find out about it, and its entropy divides.
        if (varies(f.judged) && varies(f.learned)) out.push_back(std::move(f));
        else core::tell(fmt::format("{}: '{}' is the same in all rows and is left out", metric, f.name));
    }
    if (out.size() < 2)
        throw Error(Exit::data, fmt::format("--metrics: {} takes several factors that vary, and of {} there {} {}",
                                            metric, here.columns, out.size() == 1 ? "is" : "are", out.size()))
            .note(kWanted);
    return out;
}

std::vector<std::int64_t> binned(const std::vector<double>& values, std::int64_t most) {
    const std::set<double> different(values.begin(), values.end());
    std::vector<std::int64_t> out;
    if (std::int64_t(different.size()) <= most) {
        std::map<double, std::int64_t> bins;
        for (double v : different) bins.emplace(v, std::int64_t(bins.size()));
        for (double v : values) out.push_back(bins.at(v));
        return out;
    }
    const double low = *different.begin(), width = (*different.rbegin() - low) / double(most);
    // The largest value belongs to the last bin, and not to one of its own.
    for (double v : values) out.push_back(std::min(std::int64_t((v - low) / width), most - 1));
    return out;
}

double entropy(const std::vector<std::int64_t>& bins) {
    std::map<std::int64_t, double> counts;
    for (std::int64_t b : bins) counts[b] += 1;
    double sum = 0;
    for (const auto& [_, count] : counts) sum -= count / double(bins.size()) * std::log(count / double(bins.size()));
    return sum;
}

double mutual_information(const std::vector<std::int64_t>& a, const std::vector<std::int64_t>& b) {
    const std::int64_t stride = *std::max_element(b.begin(), b.end()) + 1;
    std::vector<std::int64_t> both;
    for (std::size_t i = 0; i < a.size(); ++i) both.push_back(a[i] * stride + b[i]);
    return std::max(0.0, entropy(a) + entropy(b) - entropy(both));
}

double gap(std::vector<double> values) {
    std::sort(values.begin(), values.end(), std::greater<>());
    return values[0] - (values.size() > 1 ? values[1] : 0);
}

std::vector<Measured> over_factors(const std::string& metric, const std::vector<Factor>& factors,
                                   const std::vector<double>& values) {
    std::vector<Measured> out{{metric, 0}};
    for (std::size_t k = 0; k < factors.size(); ++k) {
        out[0].value += values[k] / double(factors.size());
        out.push_back({factors[k].name, values[k]});
    }
    return out;
}

Groups::Groups(const Factor& factor, Judged::Of of, std::int64_t least, std::string_view metric) {
    const std::vector<std::int64_t> bins = binned(factor.values(of), 10);
    std::map<std::int64_t, std::vector<std::int64_t>> rows;
    for (std::size_t i = 0; i < bins.size(); ++i) rows[bins[i]].push_back(std::int64_t(i));
    for (auto& [_, group] : rows)
        if (std::int64_t(group.size()) >= least) bins_.push_back(std::move(group));
    if (bins_.empty())
        throw Error(Exit::data, fmt::format("--metrics: {} takes {} rows that share a value of '{}', and no {} do",
                                            metric, least, factor.name, least))
            .note(fmt::format("there are only {} {} rows", bins.size(),
                              of == Judged::Of::judged ? "judged" : "training"));
}

std::vector<std::int64_t> Groups::draw(std::int64_t most, core::PhiloxSequence& random) const {
    std::vector<std::int64_t> rows = bins_[random.below(std::uint32_t(bins_.size()))];
    const std::size_t count = std::min(rows.size(), std::size_t(most));
    for (std::size_t i = 0; i < count; ++i) std::swap(rows[i], rows[i + random.below(std::uint32_t(rows.size() - i))]);
    rows.resize(count);
    return rows;
}

std::vector<Groups> groups_of(const std::vector<Factor>& factors, Judged::Of of, std::int64_t least,
                              std::string_view metric) {
    std::vector<Groups> out;
    for (const Factor& f : factors) out.emplace_back(f, of, least, metric);
    return out;
}

} // namespace elbo::tools
