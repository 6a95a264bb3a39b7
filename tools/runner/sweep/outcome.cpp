#include "tools/runner/sweep/outcome.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/base/text.hpp"

namespace elbo::tools {

namespace {

constexpr std::string_view kTest = "test_", kTrain = "train_";

bool is_term(std::string_view column, bool on_test) {
    const std::string_view before = on_test ? kTest : kTrain;
    return column.starts_with(before) && column != "test_loss" && column != "train_loss" &&
           column != "test_negative_elbo" && column != "test_squared_error";
}

struct MetricsTable {
    std::vector<std::string> columns;
    std::vector<std::vector<double>> rows;
    explicit MetricsTable(const std::string& csv) {
        const auto lines = core::pieces(csv, '\n');
        if (!lines.empty()) columns = core::pieces(lines[0], ',');
        for (std::size_t i = 1; i < lines.size(); ++i) {
            std::vector<double> row;
            for (const std::string& text : core::pieces(lines[i], ','))
                row.push_back(core::parse_number<double>(text).value_or(NAN));
            if (row.size() == columns.size()) rows.push_back(std::move(row));
        }
    }
    std::optional<std::size_t> find(const std::string& name) const {
        const auto it = std::find(columns.begin(), columns.end(), name);
        if (it == columns.end()) return {};
        return std::size_t(it - columns.begin());
    }
};

} // namespace

Measured measured(const std::string& csv, bool keeps_best, std::int64_t most) {
    Measured out;
    MetricsTable table(csv);
    const auto epoch = table.find("epoch"), seconds = table.find("seconds"), test = table.find("test_loss");
    const auto loss = test ? test : table.find("train_loss");
    if (!epoch || !seconds || !loss) return out;
    std::erase_if(table.rows, [&](const auto& row) { return !(row[*epoch] <= double(most)); });
    if (table.rows.empty()) return out;
    out.on_test = test.has_value();
    out.epochs = std::int64_t(table.rows.back()[*epoch]);
    for (const auto& row : table.rows) out.seconds += row[*seconds];
    auto kept = table.rows.end() - 1;
    if (keeps_best && out.on_test)
        kept = std::min_element(table.rows.begin(), table.rows.end(),
                                [&](const auto& a, const auto& b) { return a[*loss] < b[*loss]; });
    if (std::isfinite((*kept)[*loss])) out.loss = (*kept)[*loss];
    for (std::size_t i = 0; i < table.columns.size(); ++i)
        if (is_term(table.columns[i], out.on_test))
            out.terms.emplace_back(table.columns[i].substr(out.on_test ? kTest.size() : kTrain.size()), (*kept)[i]);
    return out;
}

namespace {

// What a run that did not come to an end reached counts for nothing: it would be compared over other epochs.
bool counts(const RunOutcome& r) {
    return (r.state == State::finished || r.state == State::stopped) && r.measured.loss.has_value();
}

std::vector<double> losses_of(const PointOutcome& p) {
    std::vector<double> out;
    for (const RunOutcome& r : p.runs)
        if (counts(r)) out.push_back(*r.measured.loss);
    return out;
}

std::optional<double> mean_of(const std::vector<double>& v) {
    if (v.empty()) return {};
    return std::accumulate(v.begin(), v.end(), 0.0) / double(v.size());
}

const char* name_of(State state) {
    switch (state) {
        case State::finished: return "finished";
        case State::stopped: return "stopped";
        case State::diverged: return "diverged";
        case State::failed: return "failed";
        default: return "not ended";
    }
}

} // namespace

bool PointOutcome::complete() const { return std::all_of(runs.begin(), runs.end(), counts); }

std::optional<double> PointOutcome::loss() const { return mean_of(losses_of(*this)); }

std::optional<double> PointOutcome::spread() const {
    const auto all = losses_of(*this);
    if (all.size() < 2) return {};
    const double mean = *mean_of(all);
    double squares = 0;
    for (double v : all) squares += (v - mean) * (v - mean);
    return std::sqrt(squares / double(all.size() - 1));
}

std::optional<double> PointOutcome::term(const std::string& name) const {
    std::vector<double> all;
    for (const RunOutcome& r : runs)
        for (const auto& [term, value] : r.measured.terms)
            if (term == name && counts(r)) all.push_back(value);
    return mean_of(all);
}

double PointOutcome::seconds() const {
    return std::accumulate(runs.begin(), runs.end(), 0.0,
                           [](double sum, const RunOutcome& r) { return sum + r.measured.seconds; });
}

std::string PointOutcome::ending() const {
    std::string out;
    for (State state : {State::diverged, State::failed, State::waiting}) {
        const auto n = std::count_if(runs.begin(), runs.end(), [&](const RunOutcome& r) { return r.state == state; });
        if (n == 0) continue;
        const std::string of = runs.size() == 1 ? "" : fmt::format("{} of {} ", n, runs.size());
        out += fmt::format("{}{}{}", out.empty() ? "" : ", ", of, name_of(state));
    }
    if (!out.empty()) return out;
    std::int64_t epochs = 0;
    for (const RunOutcome& r : runs) epochs = std::max(epochs, r.measured.epochs);
    return runs.at(0).state == State::stopped ? fmt::format("stopped at {}", epochs) : fmt::format("{}", epochs);
}

std::vector<std::string> Outcome::term_names() const {
    std::vector<std::string> out;
    for (const PointOutcome& p : points)
        for (const RunOutcome& r : p.runs)
            for (const auto& [name, value] : r.measured.terms)
                if (std::find(out.begin(), out.end(), name) == out.end()) out.push_back(name);
    return out;
}

std::string Outcome::loss_name() const {
    for (const PointOutcome& p : points)
        for (const RunOutcome& r : p.runs)
            if (!r.measured.on_test) return "train loss";
    return "test loss";
}

void sort_by_loss(Outcome& outcome) {
    const auto rank = [](const PointOutcome& p) { return p.complete() ? 0 : p.loss() ? 1 : 2; };
    std::stable_sort(outcome.points.begin(), outcome.points.end(), [&](const auto& a, const auto& b) {
        if (rank(a) != rank(b)) return rank(a) < rank(b);
        return a.loss() && b.loss() && *a.loss() < *b.loss();
    });
}

namespace {

std::string number(const std::optional<double>& v) { return v ? fmt::format("{:.3f}", *v) : "-"; }

// The folder of the run, or what names those of all its seeds in a shell.
std::string folder_of(const Outcome& outcome, const PointOutcome& p) {
    const std::string& first = p.runs.at(0).run.name;
    if (p.runs.size() == 1) return (outcome.folder / first).string();
    return (outcome.folder / (first.substr(0, first.rfind("seed=")) + "seed=*")).string();
}

// Characters, not bytes: a plus-minus sign is two of these.
std::size_t width_of(const std::string& text) {
    return std::size_t(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string aligned(const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> widths(rows.at(0).size());
    for (const auto& row : rows)
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
    std::string out;
    for (const auto& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            const std::string space(widths[i] - width_of(row[i]), ' ');
            const bool left = i == 0 || i + 1 == row.size(); // names; what is between them are numbers
            out += left ? row[i] + (i == 0 ? space : "") : space + row[i];
            out += i + 1 == row.size() ? "\n" : "  ";
        }
    }
    return out;
}

} // namespace

std::string table_of(const Outcome& outcome) {
    const auto terms = outcome.term_names();
    std::vector<std::string> header{"point", outcome.loss_name()};
    header.insert(header.end(), terms.begin(), terms.end());
    header.insert(header.end(), {"epochs", "seconds", "folder"});
    std::vector<std::vector<std::string>> rows{header};
    for (const PointOutcome& p : outcome.points) {
        const auto spread = p.spread();
        std::vector<std::string> row{p.point.name.empty() ? "as given" : p.point.name,
                                     number(p.loss()) + (spread ? fmt::format(" ± {:.3f}", *spread) : "")};
        for (const std::string& t : terms) row.push_back(number(p.term(t)));
        row.insert(row.end(), {p.ending(), fmt::format("{:.1f}", p.seconds()), folder_of(outcome, p)});
        rows.push_back(std::move(row));
    }
    return aligned(rows);
}

namespace {

std::string csv_text(const std::string& text) {
    if (text.find_first_of(",\"\n") == std::string::npos) return text;
    std::string out = "\"";
    for (char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
    return out + "\"";
}

std::string exact(const std::optional<double>& v) { return v ? fmt::format("{}", *v) : ""; }

std::optional<double> term_of(const RunOutcome& r, const std::string& name) {
    for (const auto& [term, value] : r.measured.terms)
        if (term == name) return value;
    return {};
}

} // namespace

std::string csv_of(const Outcome& outcome) {
    std::vector<std::string> header{"run"};
    header.insert(header.end(), outcome.keys.begin(), outcome.keys.end());
    std::string loss = outcome.loss_name();
    std::replace(loss.begin(), loss.end(), ' ', '_');
    header.insert(header.end(), {"seed", "state", "exit_code", "epochs", loss});
    const auto terms = outcome.term_names();
    header.insert(header.end(), terms.begin(), terms.end());
    header.push_back("seconds");
    std::string out = fmt::format("{}\n", fmt::join(header, ","));
    for (const PointOutcome& p : outcome.points)
        for (const RunOutcome& r : p.runs) {
            std::vector<std::string> row{csv_text(r.run.name)};
            for (const auto& s : p.point.settings) row.push_back(csv_text(s.value));
            row.insert(row.end(), {r.run.seed ? std::to_string(*r.run.seed) : "", name_of(r.state),
                                   std::to_string(r.code), std::to_string(r.measured.epochs), exact(r.measured.loss)});
            for (const std::string& t : terms) row.push_back(exact(term_of(r, t)));
            row.push_back(exact(r.measured.seconds));
            out += fmt::format("{}\n", fmt::join(row, ","));
        }
    return out;
}

namespace {

using Json = nlohmann::ordered_json;

Json number_or_null(const std::optional<double>& v) { return v ? Json(*v) : Json(); }

Json json_of_run(const Outcome& outcome, const RunOutcome& r) {
    Json out{{"folder", (outcome.folder / r.run.name).string()},
             {"seed", r.run.seed ? Json(*r.run.seed) : Json()},
             {"state", name_of(r.state)},
             {"exit_code", r.code},
             {"epochs", r.measured.epochs},
             {"loss", number_or_null(r.measured.loss)},
             {"seconds", r.measured.seconds}};
    for (const auto& [name, value] : r.measured.terms) out["terms"][name] = value;
    return out;
}

} // namespace

std::string json_of(const Outcome& outcome) {
    Json points = Json::array();
    for (const PointOutcome& p : outcome.points) {
        Json settings = Json::object(), terms = Json::object(), runs = Json::array();
        for (const auto& s : p.point.settings) settings[s.key] = s.value;
        for (const std::string& t : outcome.term_names()) terms[t] = number_or_null(p.term(t));
        for (const RunOutcome& r : p.runs) runs.push_back(json_of_run(outcome, r));
        points.push_back(Json{{"settings", settings},
                              {"loss", number_or_null(p.loss())},
                              {"spread", number_or_null(p.spread())},
                              {"terms", terms},
                              {"ending", p.ending()},
                              {"seconds", p.seconds()},
                              {"runs", runs}});
    }
    Json all{{"sweep", outcome.folder.string()},
             {"judged_by", outcome.loss_name()},
             {"points", points},
             {"table", (outcome.folder / "results.csv").string()}};
    if (!outcome.keys.empty()) all["picture"] = (outcome.folder / "sweep.svg").string();
    return all.dump(-1, ' ', false, Json::error_handler_t::replace);
}

} // namespace elbo::tools
