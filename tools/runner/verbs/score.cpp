// score: how anomalous every row of a split is.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>
#include <sstream>

#include "core/base/error.hpp"
#include "core/base/notice.hpp"
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

/// What was scored.
struct Scored {
    std::vector<float> scores;
    std::vector<double> rows;   ///< as the data set counts them
    std::vector<double> labels; ///< none when the rows have none
    std::string which;          ///< "test", ..., for people
};

void add_labels(const core::Rows& rows, core::Split split, std::vector<double>& labels) {
    const core::Field* field = rows.find("labels");
    if (!field) return;
    std::vector<float> row(std::size_t(field->dims.numel()));
    for (std::int64_t i = 0; i < rows.count(split); ++i) {
        rows.read(*field, split, {&i, 1}, row.data());
        labels.push_back(core::parse_number<double>(fmt::format("{}", row[0]))
                             .value_or(NAN)); // the number as it was written, not its f32 in f64
    }
}

void score_split(const OpenRun& open, core::Split split, Scored& to) {
    const std::int64_t n = open.rows().count(split);
    outputs_of(open, "score", split, 0, n,
               [&](auto batch) { to.scores.insert(to.scores.end(), batch.begin(), batch.end()); });
    for (std::int64_t i = 0; i < n; ++i) to.rows.push_back(double(open.rows().number_in_set(split, i)));
    add_labels(open.rows(), split, to.labels);
}

template <class T>
std::vector<T> in_order(const std::vector<T>& values, const std::vector<std::size_t>& order) {
    std::vector<T> out;
    for (std::size_t i : order)
        if (i < values.size()) out.push_back(values[i]);
    return out;
}

// Rows that the host held out by itself are no reason to leave the others without a score.
bool wants_all(const Arguments& arguments, const OpenRun& open) {
    const auto asked = arguments.value("split");
    if (asked == "all" && open.rows().has_own_test_rows() && open.rows().count(core::Split::test) > 0)
        throw Error(Exit::usage, "--split all: the data has test rows of its own; score train and test by themselves");
    const bool knowingly = open.config.data.test_fraction != core::DataOptions{}.test_fraction;
    return asked ? asked == "all" : !open.rows().has_own_test_rows() && !knowingly;
}

Scored score_rows(const Arguments& arguments, const OpenRun& open) {
    Scored all;
    if (!wants_all(arguments, open)) {
        const core::Split split = split_of(arguments, open.rows());
        score_split(open, split, all);
        all.which = name_of(split);
        return all;
    }
    for (core::Split split : {core::Split::train, core::Split::test}) score_split(open, split, all);
    std::vector<std::size_t> order(all.rows.size());
    std::iota(order.begin(), order.end(), std::size_t(0));
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return all.rows[a] < all.rows[b]; });
    return {in_order(all.scores, order), in_order(all.rows, order), in_order(all.labels, order), "all"};
}

// A row no score can be given to is as anomalous as can be.
void tell_of_odd_rows(Scored& s) {
    std::size_t odd = 0;
    for (std::size_t i = 0; i < s.scores.size(); ++i) {
        if (std::isfinite(s.scores[i])) continue;
        if (++odd <= 3)
            core::tell(fmt::format("warning: row {} has the score {}; it counts as the most anomalous", s.rows[i],
                                   s.scores[i]));
        s.scores[i] = std::numeric_limits<float>::infinity();
    }
    if (odd > 3) core::tell(fmt::format("warning: {} more rows have no finite score", odd - 3));
}

void tell_of_noise(const OpenRun& open) {
    const std::int64_t n = std::min(open.config.batch, open.rows().count(core::Split::train));
    const auto program = open.session().program("score", n);
    const bool draws =
        std::any_of(program->nodes.begin(), program->nodes.end(), [](auto& node) { return node.op->noise; });
    if (draws)
        core::tell(fmt::format("note: model '{}' draws at random for its score: equal rows can have different ones",
                               open.config.part("model").name));
}

void write_scores(const std::filesystem::path& file, const Scored& s) {
    std::vector<std::string> columns{"row", "score"};
    if (!s.labels.empty()) columns.push_back("label");
    std::vector<double> table;
    for (std::size_t i = 0; i < s.scores.size(); ++i) {
        table.insert(table.end(), {s.rows[i], double(s.scores[i])});
        if (!s.labels.empty()) table.push_back(s.labels[i]);
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
        core::tell("labels are not 0 and 1: no ROC AUC; say which are anomalies with --anomalies 4,9");
        return {};
    }
    std::vector<int> is;
    for (double l : labels) is.push_back(anomalies.count(l) ? 1 : 0);
    const double auc = core::roc_auc(std::vector<double>(scores.begin(), scores.end()), is);
    return std::isnan(auc) ? std::optional<double>() : auc;
}

int score(const Arguments& arguments, core::Registry& registry) {
    const OpenRun open = open_run(arguments, registry);
    if (arguments.has("anomalies") && !open.rows().find("labels"))
        throw Error(Exit::data, "--anomalies: the data has no labels").note("for csv, name the column: --data.label");
    const std::set<double> anomalies = named_anomalies(arguments);
    const auto out = out_file(arguments, open, "scores.csv", {".csv"});
    tell_of_noise(open);
    Scored scored = score_rows(arguments, open);
    tell_of_odd_rows(scored);
    write_scores(out, scored);
    const auto auc = auc_of(scored.scores, scored.labels, anomalies);
    const Json json{{"file", out.string()},
                    {"split", scored.which},
                    {"rows", scored.scores.size()},
                    {"roc_auc", auc ? Json(*auc) : Json(nullptr)}};
    print_result(
        arguments, [&] { return json.dump(); },
        [&] {
            return fmt::format("{}\nrows    {} ({})\n{}", out.string(), scored.scores.size(), scored.which,
                               auc ? fmt::format("roc auc {:.4f}\n", *auc) : "");
        });
    return 0;
}

const VerbEntry entry(
    {.order = 90,
     .name = "score",
     .operand = "RUN",
     .summary = "an anomaly score for every row: higher is more anomalous; ROC AUC when there are labels",
     .flags = {{"split", "train|test|all", "which rows (default: test where rows were held out knowingly, else all)"},
               out_flag("csv (default: RUN/scores.csv)"),
               {"anomalies", "LABELS",
                "labels that count as anomalies, e.g. 4,9 (default: 1, where labels are 0 and 1)"},
               kThreads,
               kJson},
     .run = score});

} // namespace
} // namespace elbo::tools
