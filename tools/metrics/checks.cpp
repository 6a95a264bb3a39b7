#include "tools/metrics/checks.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "core/base/error.hpp"
#include "core/base/notice.hpp"
#include "core/base/text.hpp"

namespace elbo::tools {

using core::Error;
using core::Exit;

namespace {

std::set<std::int64_t> labels_in(std::string_view metric, const std::string& text) {
    std::set<std::int64_t> out;
    for (const std::string& piece : core::pieces(text, '+')) {
        const auto label = core::parse_number<std::int64_t>(piece);
        if (!label)
            throw Error(Exit::usage, fmt::format("--metrics: {}:{}: '{}' is not a label", metric, text, piece))
                .note(fmt::format("several are joined by '+': {}:4+9", metric));
        out.insert(*label);
    }
    return out;
}

std::string some_of(const std::set<std::int64_t>& labels) {
    constexpr std::ptrdiff_t kMost = 20;
    const auto end = std::next(labels.begin(), std::min(kMost, std::ptrdiff_t(labels.size())));
    return fmt::format("{}{}", fmt::join(labels.begin(), end, ", "), end == labels.end() ? "" : ", ...");
}

} // namespace

double range_of(Judged& judged, std::string_view metric) {
    const double range = judged.range();
    if (!(range > 0))
        throw Error(Exit::data, fmt::format("--metrics: {} is relative to the range of the data, and all its values "
                                            "are the same",
                                            metric));
    return range;
}

void must_be_finite(const Matrix& rows, std::string_view metric, std::string_view what) {
    const auto odd = std::find_if(rows.values.begin(), rows.values.end(), [](float v) { return !std::isfinite(v); });
    if (odd == rows.values.end()) return;
    throw Error(Exit::diverged, fmt::format("--metrics: {}: {} {} has a value of {}", metric, what,
                                            (odd - rows.values.begin()) / rows.columns, *odd))
        .note("`model-runner eval RUN` tells which rows the model gives no finite loss for");
}

Anomalies anomalies_of(Judged& judged, std::string_view metric, const std::string& labels) {
    const std::set<std::int64_t> anomalous = labels_in(metric, labels);
    const std::vector<std::int64_t> classes = classes_of(judged, Judged::Of::judged, metric);
    const std::set<std::int64_t> there(classes.begin(), classes.end());
    for (std::int64_t label : anomalous)
        if (!there.count(label))
            throw Error(Exit::data, fmt::format("--metrics: {}: no row has label {}", metric, label))
                .note(fmt::format("there are {}; say which count as anomalies, e.g. {}:4+9", some_of(there), metric));
    if (anomalous.size() == there.size())
        throw Error(Exit::data, fmt::format("--metrics: {}: every row counts as an anomaly", metric))
            .note("it takes rows of both kinds");
    if (labels == "1" && there != std::set<std::int64_t>{0, 1})
        core::tell(fmt::format("note: {}: of labels {}, only 1 counts as an anomaly; for others, e.g. {}:4+9", metric,
                               some_of(there), metric));
    Anomalies out;
    for (float score : judged.scores())
        out.scores.push_back(std::isfinite(score) ? score : std::numeric_limits<double>::infinity());
    for (std::int64_t c : classes) out.is.push_back(anomalous.count(c) ? 1 : 0);
    return out;
}

} // namespace elbo::tools
