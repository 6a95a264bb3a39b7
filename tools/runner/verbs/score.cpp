// score: how anomalous every row of a split is.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "core/base/error.hpp"
#include "core/base/text.hpp"
#include "core/files/arrays.hpp"
#include "core/run/metrics.hpp"
#include "tools/runner/results.hpp"

namespace elbo::tools {

using core::Error;
using core::Exit;
using Json = nlohmann::ordered_json;

namespace {

// The labels named by --anomalies.
std::set<double> named_anomalies(const Arguments& arguments) {
    std::set<double> out;
    std::stringstream pieces(arguments.value("anomalies").value_or(""));
    for (std::string piece; std::getline(pieces, piece, ',');) {
        const auto label = core::parse_number<double>(piece);
        if (!label) throw Error(Exit::usage, fmt::format("--anomalies: '{}' is not a label", piece));
        out.insert(*label);
    }
    return out;
}

// None when the rows have no labels.
std::vector<double> labels_of(const core::Rows& rows, core::Split split) {
    std::vector<double> labels;
    const core::Field* field = rows.find("labels");
    if (!field) return labels;
    std::vector<float> row(std::size_t(field->dims.numel()));
    for (std::int64_t i = 0; i < rows.count(split); ++i) {
        rows.read(*field, split, {&i, 1}, row.data());
        labels.push_back(core::parse_number<double>(fmt::format("{}", row[0]))
                             .value_or(NAN)); // the number as it was written, not its f32 in f64
    }
    return labels;
}

void write_scores(const std::filesystem::path& file, const std::vector<float>& scores,
                  const std::vector<double>& labels) {
    std::vector<std::string> columns{"row", "score"};
    if (!labels.empty()) columns.push_back("label");
    std::vector<double> table;
    for (std::size_t i = 0; i < scores.size(); ++i) {
        table.insert(table.end(), {double(i), double(scores[i])});
        if (!labels.empty()) table.push_back(labels[i]);
    }
    core::write_csv(file, columns, table);
}

// Nothing when it is not known which rows are anomalies, or when all or none of them are.
std::optional<double> auc_of(const std::vector<float>& scores, const std::vector<double>& labels,
                             std::set<double> anomalies) {
    if (labels.empty()) return {};
    const bool binary = std::all_of(labels.begin(), labels.end(), [](double l) { return l == 0 || l == 1; });
    if (anomalies.empty() && binary) anomalies.insert(1);
    if (anomalies.empty()) {
        fmt::print(stderr, "labels are not 0 and 1: no ROC AUC; say which are anomalies with --anomalies 4,9\n");
        return {};
    }
    std::vector<int> is;
    for (double l : labels) is.push_back(anomalies.count(l) ? 1 : 0);
    const double auc = core::roc_auc(std::vector<double>(scores.begin(), scores.end()), is);
    return std::isnan(auc) ? std::optional<double>() : auc;
}

int score(const Arguments& arguments, core::Registry& registry) {
    const OpenRun open = open_run(arguments, registry);
    const core::Split split = split_of(arguments, open.rows());
    if (arguments.has("anomalies") && !open.rows().find("labels"))
        throw Error(Exit::data, "--anomalies: the data has no labels").note("for csv, name the column: --data.label");
    const std::set<double> anomalies = named_anomalies(arguments);
    const auto out = out_file(arguments, open, "scores.csv", {".csv"});
    const std::vector<float> scores = outputs_of(open, "score", split, 0, open.rows().count(split));
    const std::vector<double> labels = labels_of(open.rows(), split);
    write_scores(out, scores, labels);
    const auto auc = auc_of(scores, labels, anomalies);
    const Json json{{"file", out.string()}, {"rows", scores.size()}, {"roc_auc", auc ? Json(*auc) : Json(nullptr)}};
    print_result(
        arguments, [&] { return json.dump(); },
        [&] { return out.string() + "\n" + (auc ? fmt::format("roc auc {:.4f}\n", *auc) : ""); });
    return 0;
}

const VerbEntry entry(
    {.order = 90,
     .name = "score",
     .operand = "RUN",
     .summary = "an anomaly score for every row: higher is more anomalous; ROC AUC when there are labels",
     .flags = {kSplit,
               out_flag("csv (default: RUN/scores.csv)"),
               {"anomalies", "LABELS",
                "labels that count as anomalies, e.g. 4,9 (default: 1, where labels are 0 and 1)"},
               kThreads,
               kJson},
     .run = score});

} // namespace
} // namespace elbo::tools
