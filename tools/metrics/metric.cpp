#include "tools/metrics/metric.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/error.hpp"
#include "core/base/text.hpp"

namespace elbo::tools {

using core::Error;
using core::Exit;

namespace {

std::vector<Metric>& all_metrics() {
    static std::vector<Metric> all;
    return all;
}

AskedMetric asked_metric(const std::string& text) {
    const std::size_t colon = text.find(':');
    const std::string name = text.substr(0, colon);
    std::vector<std::string> known;
    for (const Metric& m : metrics()) {
        known.emplace_back(m.name);
        if (m.name != name) continue;
        const bool given = colon != std::string::npos;
        if (given && m.argument.empty())
            throw Error(Exit::usage, fmt::format("--metrics: '{}' takes nothing after a ':'", name));
        const std::string argument(given ? text.substr(colon + 1) : m.fallback);
        if (!m.argument.empty() && argument.empty())
            throw Error(Exit::usage, fmt::format("--metrics: say {}:{}", name, m.argument));
        return {&m, text, argument};
    }
    throw Error(Exit::usage, fmt::format("--metrics: there is no metric '{}'{}", name, core::did_you_mean(name, known)))
        .note("`model-runner list metric` shows all");
}

} // namespace

const Matrix& Judged::field(const std::string& name, Of) {
    throw Error(Exit::data, fmt::format("--metrics: the data has no field '{}'", name));
}

const Matrix& Judged::latents_decoded(double) {
    throw Error(Exit::usage, "--metrics: the model decodes no codes of their own");
}

bool Judged::has_density() { return true; }

MetricEntry::MetricEntry(const Metric& metric) { all_metrics().push_back(metric); }

const std::vector<Metric>& metrics() {
    static const std::vector<Metric> sorted = [] {
        auto all = all_metrics();
        std::sort(all.begin(), all.end(), [](const Metric& a, const Metric& b) { return a.name < b.name; });
        return all;
    }();
    return sorted;
}

std::vector<AskedMetric> asked_metrics(const std::string& list) {
    std::vector<AskedMetric> out;
    for (const std::string& text : core::pieces(list, ',')) out.push_back(asked_metric(text));
    if (out.empty()) throw Error(Exit::usage, "--metrics: no metric is named");
    return out;
}

std::int64_t whole_number(std::string_view metric, const std::string& argument, std::int64_t least) {
    const auto n = core::parse_number<std::int64_t>(argument);
    if (!n || *n < least)
        throw Error(Exit::usage,
                    fmt::format("--metrics: {}:{} takes a whole number of at least {}", metric, argument, least));
    return *n;
}

std::vector<std::int64_t> classes_of(Judged& judged, Judged::Of of, std::string_view metric) {
    const Matrix& labels = judged.labels(of);
    if (labels.columns != 1)
        throw Error(Exit::data, fmt::format("--metrics: {} takes one class per row, and the labels are {} numbers",
                                            metric, labels.columns));
    std::vector<std::int64_t> out;
    for (float v : labels.values) {
        if (v != std::floor(v))
            throw Error(Exit::data, fmt::format("--metrics: {} takes classes, and a label is {}", metric, v));
        out.push_back(std::int64_t(v));
    }
    return out;
}

} // namespace elbo::tools
