#include "tools/runner/report/sections.hpp"

#include <fmt/format.h>

#include <Eigen/Eigenvalues>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/base/notice.hpp"
#include "core/files/atomic.hpp"
#include "core/run/metrics.hpp"
#include "tools/runner/codes.hpp"
#include "tools/runner/drawing.hpp"
#include "tools/runner/report/charts.hpp"
#include "tools/runner/report/page.hpp"
#include "tools/runner/results.hpp"

namespace elbo::tools::report {

using core::Split;

namespace {

const core::PartChoice* part_of(const Subject& s, const std::string& role) {
    for (const core::PartChoice& p : s.open.config.parts)
        if (p.role == role) return &p;
    return nullptr;
}

std::string unit_of(const Subject& s) {
    const core::Part* likelihood = s.open.session().find_part("likelihood");
    return !likelihood || likelihood->fact<bool>("density") ? "nats" : "the likelihood's loss";
}

std::string time_text(double seconds) {
    if (seconds < 90) return fmt::format("{:.0f} seconds", seconds);
    return seconds < 5400 ? fmt::format("{:.0f} minutes", seconds / 60) : fmt::format("{:.1f} hours", seconds / 3600);
}

std::string parameters_text(const core::PartChoice& p) {
    std::string out;
    for (const core::NamedValue& v : p.values)
        if (const std::string value = core::value_text(v.value); !value.empty())
            out += fmt::format("{}{} {}", out.empty() ? "" : ", ", v.name, value);
    return out;
}

std::string sheet(const Subject& s, std::span<const float> rows, std::int64_t n, std::int64_t columns,
                  const std::string& alt) {
    const core::Rows& r = s.open.rows();
    return image(sheet_of(r, rows, n, columns), alt);
}

} // namespace

std::string what_was_trained(const Subject& s) {
    const core::RunConfig& c = s.open.config;
    const core::PartChoice &model = c.part("model"), &optimizer = c.part("optimizer");
    std::string words = fmt::format("A model '{}'", model.name);
    if (const auto* encoder = part_of(s, "encoder")) words += fmt::format(" with the encoder '{}'", encoder->name);
    if (const auto* decoder = part_of(s, "decoder")) words += fmt::format(" and the decoder '{}'", decoder->name);
    words += fmt::format(
        ": {} trained values, codes of {} numbers. Trained for {} of {} epochs by '{}', in batches "
        "of {}, with seed {}; that took {}, evaluation included.",
        s.open.session().tensors().trained_values(), c.latent, s.record.metrics.rows.size(), c.epochs, optimizer.name,
        c.batch, c.seed, time_text(s.record.seconds()));
    std::vector<std::pair<std::string, std::string>> rows{{"data", s.open.rows().description()}};
    for (const core::PartChoice& p : c.parts)
        if (p.role != "data") {
            const std::string parameters = parameters_text(p);
            rows.emplace_back(p.role, p.name + (parameters.empty() ? "" : ": " + parameters));
        }
    return section("What was trained", words, facts(rows));
}

std::string figures(const Subject& s) {
    const core::Evaluation& e = s.evaluation;
    const std::string unit = " " + unit_of(s) + " per row";
    std::vector<std::pair<std::string, std::string>> rows;
    if (const auto bound = e.negative_elbo()) rows.emplace_back("negative elbo", fmt::format("{:.3f}{}", *bound, unit));
    for (const core::EvaluatedTerm& t : e.terms)
        rows.emplace_back(t.name, fmt::format("{:.3f}{}{}", t.value, unit, t.estimated ? ", an estimate" : ""));
    rows.emplace_back("loss", fmt::format("{:.3f}{}", e.loss, unit));
    if (e.perplexity) rows.emplace_back("perplexity", fmt::format("{:.4g} per token", *e.perplexity));
    else rows.emplace_back("squared error", fmt::format("{:.4g} per row, from the mean code", e.squared_error));
    rows.emplace_back("active latents", fmt::format("{} of {}", e.active, e.code_variance.size()));
    if (!e.odd.empty()) rows.emplace_back("rows without a finite loss", std::to_string(e.odd.size()));
    return section(
        "Figures",
        fmt::format("Over {} {} rows, as they are after epoch {}.", e.rows, name_of(s.split), s.open.progress.epoch),
        facts(rows));
}

namespace {

Series column_of(const RunRecord& record, const std::string& column, const std::string& name) {
    Series out{name, {}};
    for (std::size_t i = 0; i < record.metrics.rows.size(); ++i)
        out.y.push_back(record.metrics.at(i, column).value_or(NAN));
    return out;
}

bool has_column(const RunRecord& record, const std::string& column) {
    const auto& all = record.metrics.columns;
    return std::find(all.begin(), all.end(), column) != all.end();
}

} // namespace

std::string curves(const RunRecord& record) {
    if (record.metrics.rows.empty()) return section("Curves", "No epoch is finished yet.", "");
    std::string charts;
    for (const std::string& column : record.metrics.columns) {
        if (!column.starts_with("train_")) continue;
        const std::string term = column.substr(6);
        std::vector<Series> lines{column_of(record, column, "train")};
        if (has_column(record, "test_" + term)) lines.push_back(column_of(record, "test_" + term, "test"));
        charts += line_chart(term, "epoch", lines);
    }
    for (const char* other : {"test_squared_error", "active_latents"})
        if (has_column(record, other)) charts += line_chart(other, "epoch", {column_of(record, other, "test")});
    return section(
        "Curves",
        "Means over the rows of an epoch. Training ones are of the steps themselves, while the weights moved.",
        "<div class=\"charts\">\n" + charts + "</div>\n");
}

std::string curves_together(const std::vector<RunRecord>& records) {
    std::vector<Series> lines;
    for (const RunRecord& r : records)
        if (!r.metrics.rows.empty()) lines.push_back(column_of(r, r.split() + "_loss", r.folder));
    if (lines.empty()) return "";
    return section("Loss by epoch",
                   "Of the test rows where a run has some. Losses of different likelihoods do not compare.",
                   line_chart("loss", "epoch", lines));
}

namespace {

constexpr std::int64_t kSteps = 10;

std::vector<std::int64_t> first_rows(std::int64_t n) {
    std::vector<std::int64_t> out(static_cast<std::size_t>(n));
    for (std::int64_t i = 0; i < n; ++i) out[std::size_t(i)] = i;
    return out;
}

std::string reconstructions(const Subject& s) {
    const core::Rows& r = s.open.rows();
    const std::int64_t n = std::min<std::int64_t>(20, r.count(s.split));
    const auto rows = first_rows(n);
    std::vector<float> x = values_of(s.open, s.split, rows);
    outputs_of(s.open, "reconstruct", s.split, 0, n,
               [&](auto batch) { x.insert(x.end(), batch.begin(), batch.end()); });
    return "<h3>Rows, and below them their reconstructions</h3>\n" +
           sheet(s, x, 2 * n, n, "rows above their reconstructions");
}

std::string interpolations(const Subject& s) {
    const std::int64_t pairs = std::min<std::int64_t>(4, s.open.rows().count(s.split) / 2);
    if (pairs < 1) return "";
    const auto latent = std::size_t(s.open.session().settings().latent);
    const std::vector<float> ends = codes_of(s.open, s.split, 0, 2 * pairs);
    std::vector<float> codes;
    std::vector<std::int64_t> like;
    for (std::int64_t p = 0; p < pairs; ++p)
        for (std::int64_t k = 0; k < kSteps; ++k) {
            const float t = float(k) / float(kSteps - 1);
            const float *a = ends.data() + std::size_t(2 * p) * latent, *b = a + latent;
            for (std::size_t i = 0; i < latent; ++i) codes.push_back((1 - t) * a[i] + t * b[i]);
            like.push_back(2 * k < kSteps ? 2 * p : 2 * p + 1);
        }
    return "<h3>Between the codes of two rows, in equal steps</h3>\n" +
           sheet(s, decoded(s.open, codes, s.split, like), pairs * kSteps, kSteps, "interpolations");
}

/// Latents by what they say, the most informative first.
std::vector<std::size_t> by_information(const core::Evaluation& e) {
    const core::EvaluatedTerm* kl = e.term("kl");
    const auto& of = kl && kl->latents.size() == e.code_variance.size() ? kl->latents : e.code_variance;
    std::vector<std::size_t> order(of.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return of[a] > of[b]; });
    return order;
}

std::string traversals(const Subject& s) {
    const auto order = by_information(s.evaluation);
    const std::size_t shown = std::min<std::size_t>(8, order.size());
    const Matrix& all = s.judged.codes(Judged::Of::judged);
    std::vector<float> base(std::size_t(all.columns), 0.f), codes;
    for (std::int64_t i = 0; i < all.rows; ++i)
        for (std::size_t k = 0; k < base.size(); ++k) base[k] += all.row(i)[k] / float(all.rows);
    for (std::size_t line = 0; line < shown; ++line)
        for (std::int64_t k = 0; k < kSteps; ++k) {
            codes.insert(codes.end(), base.begin(), base.end());
            const double move = -3 + 6 * double(k) / double(kSteps - 1);
            codes[codes.size() - base.size() + order[line]] +=
                float(move * std::sqrt(s.evaluation.code_variance[order[line]]));
        }
    const auto n = std::int64_t(shown) * kSteps;
    std::string names;
    for (std::size_t line = 0; line < shown; ++line) names += fmt::format("{}{}", line ? ", " : "", order[line]);
    return fmt::format("<h3>One latent at a time, from -3 to 3 deviations (lines: latents {})</h3>\n", names) +
           sheet(s, decoded(s.open, codes, s.split, std::vector<std::int64_t>(std::size_t(n), 0)), n, kSteps,
                 "traversals");
}

std::string samples(const Subject& s) {
    constexpr std::int64_t kSamples = 40;
    std::vector<float> x;
    samples_of(s.open.session(), s.open.rows(), kSamples, 1, {},
               [&](auto batch) { x.insert(x.end(), batch.begin(), batch.end()); });
    return std::string("<h3>New examples") +
           (s.open.session().can("sample") ? ", from the prior" : ", from Gaussians fitted to the codes") + "</h3>\n" +
           sheet(s, x, kSamples, 20, "samples");
}

} // namespace

std::string pictures(const Subject& s) {
    if (!is_image(s.open.rows().dims())) return "";
    std::string body = reconstructions(s);
    if (can_sample(s.open.session())) body += samples(s);
    if (s.open.session().can("decode")) body += interpolations(s) + traversals(s);
    return section("Pictures", fmt::format("The first {} rows; expected values, not draws.", name_of(s.split)), body);
}

std::string latents(const Subject& s) {
    const core::EvaluatedTerm* kl = s.evaluation.term("kl");
    const bool nats = kl && kl->latents.size() == s.evaluation.code_variance.size();
    const auto order = by_information(s.evaluation);
    std::vector<std::string> names;
    std::vector<double> values;
    for (std::size_t i : order) {
        names.push_back(std::to_string(i));
        values.push_back(nats ? kl->latents[i] : s.evaluation.code_variance[i]);
    }
    return section(
        "Latents",
        nats ? "What each latent says of a row, in nats: those near 0 carry nothing."
             : "Variance of each latent's mean over the rows: those near 0 carry nothing.",
        bar_chart(nats ? "KL per latent" : "variance per latent", names, values, nats ? "nats" : "variance"));
}

namespace {

constexpr std::int64_t kMostPoints = 3000;

/// Codes of some rows along the two directions in which they vary most.
std::vector<Point> plane_of(const Matrix& codes, const std::vector<std::int64_t>& rows, std::string& about) {
    Eigen::MatrixXd x(Eigen::Index(rows.size()), codes.columns);
    for (std::size_t i = 0; i < rows.size(); ++i)
        for (std::int64_t k = 0; k < codes.columns; ++k) x(Eigen::Index(i), k) = codes.row(rows[i])[std::size_t(k)];
    const Eigen::RowVectorXd mean = x.colwise().mean();
    x.rowwise() -= mean;
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> axes(x.transpose() * x);
    const Eigen::Index last = axes.eigenvalues().size() - 1;
    const double all = std::max(axes.eigenvalues().sum(), 1e-300);
    const Eigen::VectorXd a = x * axes.eigenvectors().col(last),
                          b = last > 0 ? Eigen::VectorXd(x * axes.eigenvectors().col(last - 1))
                                       : Eigen::VectorXd::Zero(x.rows());
    about = fmt::format("{:.0f} % of the codes' variance",
                        100 * (axes.eigenvalues()[last] + (last > 0 ? axes.eigenvalues()[last - 1] : 0)) / all);
    std::vector<Point> out;
    for (Eigen::Index i = 0; i < a.size(); ++i) out.push_back({a[i], b[i], -1});
    return out;
}

std::string name_of_class(const core::Field& labels, std::size_t k) {
    return k < labels.names.size() && labels.names.size() > 1 ? labels.names[k] : std::to_string(k);
}

} // namespace

std::string map_of_codes(Subject& s) {
    const Matrix& codes = s.judged.codes(Judged::Of::judged);
    if (codes.rows < 3) return "";
    std::vector<std::int64_t> rows;
    const std::int64_t n = std::min(kMostPoints, codes.rows);
    for (std::int64_t i = 0; i < n; ++i) rows.push_back(i * codes.rows / n);
    std::string share;
    std::vector<Point> points = plane_of(codes, rows, share);
    std::vector<std::string> groups;
    const core::Field* labels = s.open.rows().find("labels");
    if (labels && labels->classes() > 1 && labels->classes() <= 30) {
        const Matrix& all = s.judged.labels(Judged::Of::judged);
        for (std::size_t i = 0; i < points.size(); ++i) points[i].group = int(all.row(rows[i])[0]);
        for (std::int64_t k = 0; k < labels->classes(); ++k) groups.push_back(name_of_class(*labels, std::size_t(k)));
    }
    return section(
        "Map of the codes",
        fmt::format("{} {} rows along the two directions in which their mean codes vary most (PCA: {}){}. No "
                    "packaged C++ library offers a map that keeps neighbours (t-SNE, UMAP); `encode --out "
                    "codes.tsv` gives the codes to a program that does.",
                    n, name_of(s.split), share, groups.empty() ? "" : ", coloured by label"),
        map("codes", points, groups));
}

std::string scores(Subject& s) {
    const core::Field* labels = s.open.rows().find("labels");
    if (!labels || labels->classes() != 2) return "";
    const Matrix& all = s.judged.labels(Judged::Of::judged);
    const std::vector<float>& of = s.judged.scores();
    std::vector<Series> groups{{"label 0", {}}, {"label 1", {}}};
    std::vector<double> given;
    std::vector<int> is;
    for (std::size_t i = 0; i < of.size(); ++i) {
        const int label = all.values[i] != 0;
        groups[std::size_t(label)].y.push_back(double(of[i]));
        given.push_back(std::isfinite(of[i]) ? double(of[i]) : HUGE_VAL), is.push_back(label);
    }
    if (groups[0].y.empty() || groups[1].y.empty()) return "";
    return section(
        "Anomaly scores",
        fmt::format("Higher is more anomalous. ROC AUC {:.3f}: the chance that a row of label 1 scores higher "
                    "than one of label 0.",
                    core::roc_auc(given, is)),
        histogram("scores by label", groups));
}

// Of tables: how well each column comes back.
std::string columns_of_table(Subject& s) {
    if (s.open.rows().dims().rank != 1 || !s.open.session().can("reconstruct")) return "";
    const Matrix &x = s.judged.data(Judged::Of::judged), &y = s.judged.reconstructions();
    if (x.columns > 200 || x.columns != y.columns) return "";
    std::vector<double> share;
    std::vector<std::string> names;
    for (std::int64_t k = 0; k < x.columns; ++k) {
        double mean = 0, square = 0, error = 0;
        for (std::int64_t i = 0; i < x.rows; ++i) mean += double(x.row(i)[std::size_t(k)]) / double(x.rows);
        for (std::int64_t i = 0; i < x.rows; ++i) {
            const double a = x.row(i)[std::size_t(k)], b = y.row(i)[std::size_t(k)];
            square += (a - mean) * (a - mean), error += (a - b) * (a - b);
        }
        names.push_back(std::to_string(k));
        // What is the same in all rows cannot be explained; what is far worse than the mean would hide all others.
        const bool varies = square > 1e-6 * (1 + mean * mean) * double(x.rows);
        share.push_back(varies ? std::max(1 - error / square, -1.0) : 0);
    }
    return section("Columns",
                   "What the reconstruction explains of each column's variance (R^2): 1 is all of it; 0 is no better "
                   "than the mean.",
                   bar_chart("R^2 per column", names, share, "R^2"));
}

std::string how_to_repeat(const Subject& s) {
    const std::string run = s.record.folder;
    const std::string commands = fmt::format(
        "model-runner train --config {0}/config.toml --out {0}-again\nmodel-runner eval {0}\n"
        "model-runner sample {0}\nmodel-runner encode {0} --out codes.npy\nmodel-runner report {0}\n",
        run);
    return section(
        "To do it again",
        "The same configuration gives the same numbers on the same number of threads, processor and version.",
        code(commands) + "<details><summary>config.toml</summary>" + code(core::read_file(s.open.run.config_file())) +
            "</details>\n");
}

} // namespace elbo::tools::report
