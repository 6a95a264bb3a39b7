// compare: what differs between runs, and what came of it. Reads neither data nor plugins.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base/error.hpp"
#include "core/base/notice.hpp"
#include "core/base/text.hpp"
#include "core/files/atomic.hpp"
#include "tools/runner/results.hpp"
#include "tools/runner/run_record.hpp"
#include "tools/runner/text_table.hpp"

namespace elbo::tools {

using Json = nlohmann::ordered_json;

namespace {

/// A number that runs are compared by.
struct Column {
    std::string name, heading;
    std::vector<std::optional<double>> values; ///< of each run
    bool ranked = false;                       ///< the smallest is the best, and they can be compared
    int decimals = 3;
    bool is_best(std::size_t run) const;
};

bool Column::is_best(std::size_t run) const {
    if (!ranked || !values[run]) return false;
    std::size_t others = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (i != run && values[i]) ++others;
        if (values[i] && *values[i] < *values[run]) return false;
    }
    return others > 0;
}

struct Comparison {
    std::vector<RunRecord> runs;
    std::vector<std::string> keys; ///< settings that differ
    std::vector<Column> columns;
    std::vector<std::string> notes;
};

// Settings

std::vector<std::string> differing_keys(const std::vector<RunRecord>& runs) {
    std::vector<std::string> all, out;
    for (const RunRecord& r : runs)
        for (const auto& [key, value] : r.settings)
            if (std::find(all.begin(), all.end(), key) == all.end()) all.push_back(key);
    for (const std::string& key : all)
        if (std::any_of(runs.begin(), runs.end(), [&](auto& r) { return r.setting(key) != runs[0].setting(key); }))
            out.push_back(key);
    return out;
}

// What differs decides which numbers mean the same.
struct Comparable {
    bool loss = true, terms = true, errors = true;
};

Comparable comparable(Comparison& c) {
    Comparable out;
    const auto differs = [&](const std::string& role) {
        return std::any_of(c.keys.begin(), c.keys.end(),
                           [&](auto& k) { return k == role || (k.starts_with(role + ".") && k != "data.path"); });
    };
    const auto& first = c.runs[0];
    const bool other_data =
        std::any_of(c.runs.begin(), c.runs.end(), [&](auto& r) { return r.data_hash != first.data_hash; });
    const bool other_split =
        std::any_of(c.runs.begin(), c.runs.end(), [&](auto& r) { return r.split() != first.split(); });
    if (other_data || other_split || differs("data")) {
        out = {false, false, false};
        c.notes.push_back("the runs are not judged on the same rows: what they lose cannot be compared");
    } else if (differs("likelihood")) {
        out = {false, false, true};
        c.notes.push_back("the likelihoods differ: losses and terms mean different things and have no best");
    } else if (differs("model")) {
        out.loss = false;
        c.notes.push_back("the models or their settings differ: a loss that weighs its terms differently has no best");
    }
    return out;
}

// Numbers

Column column_of(const Comparison& c, const std::string& name, const std::string& heading, bool ranked,
                 std::optional<double> (*value)(const RunRecord&), int decimals = 3) {
    Column out{name, heading, {}, ranked, decimals};
    for (const RunRecord& r : c.runs) out.values.push_back(value(r));
    return out;
}

std::optional<double> best_loss(const RunRecord& r) {
    return r.best_row() ? r.metrics.at(*r.best_row(), r.split() + "_loss") : std::nullopt;
}
std::optional<double> last_loss(const RunRecord& r) {
    return r.metrics.rows.empty() ? std::nullopt : r.metrics.at(r.metrics.rows.size() - 1, r.split() + "_loss");
}
std::optional<double> best_epoch(const RunRecord& r) {
    return r.best_row() ? std::optional(double(*r.best_row() + 1)) : std::nullopt;
}
std::optional<double> active_latents(const RunRecord& r) {
    return r.best_row() ? r.metrics.at(*r.best_row(), "active_latents") : std::nullopt;
}
std::optional<double> trained_values(const RunRecord& r) {
    return r.trained_values ? std::optional(double(*r.trained_values)) : std::nullopt;
}
std::optional<double> seconds(const RunRecord& r) {
    return r.metrics.rows.empty() ? std::nullopt : std::optional(r.seconds());
}

// What a row of metrics.csv says of a split, beside the loss.
std::vector<std::pair<std::string, std::optional<double>>> terms_of(const RunRecord& r,
                                                                    std::optional<std::size_t> row) {
    std::vector<std::pair<std::string, std::optional<double>>> out;
    const std::string before = r.split() + "_";
    for (const std::string& column : r.metrics.columns)
        if (column.starts_with(before) && column != before + "loss")
            out.emplace_back(column.substr(before.size()), row ? r.metrics.at(*row, column) : std::nullopt);
    return out;
}

// As short as the lines of training have them.
std::string heading_of(std::string name) {
    for (const auto& [full, brief] : {std::pair{"reconstruction", "recon"}, std::pair{"negative_elbo", "-elbo"},
                                      std::pair{"squared_error", "sq.err"}})
        if (name == full) return brief;
    std::replace(name.begin(), name.end(), '_', ' ');
    return name;
}

// Of the epoch with the smallest loss. A term that no run has a number for is no column.
void add_terms(Comparison& c, const Comparable& can) {
    std::vector<Column> columns;
    for (std::size_t i = 0; i < c.runs.size(); ++i)
        for (const auto& [name, value] : terms_of(c.runs[i], c.runs[i].best_row())) {
            if (!value) continue;
            auto at = std::find_if(columns.begin(), columns.end(), [&, n = name](auto& one) { return one.name == n; });
            if (at == columns.end()) {
                const bool ranked = name == "squared_error" ? can.errors : can.terms;
                columns.push_back({name, heading_of(name), {}, ranked});
                at = columns.end() - 1;
                at->values.resize(c.runs.size());
            }
            at->values[i] = value;
        }
    c.columns.insert(c.columns.end(), columns.begin(), columns.end());
}

Comparison comparison_of(std::vector<RunRecord> runs) {
    Comparison c{std::move(runs), {}, {}, {}};
    c.keys = differing_keys(c.runs);
    const Comparable can = comparable(c);
    c.columns.push_back(column_of(c, "best_loss", "best loss", can.loss, best_loss));
    c.columns.push_back(column_of(c, "best_epoch", "epoch", false, best_epoch, 0));
    add_terms(c, can);
    c.columns.push_back(column_of(c, "active_latents", "active", false, active_latents, 0));
    c.columns.push_back(column_of(c, "last_loss", "last loss", can.loss, last_loss));
    c.columns.push_back(column_of(c, "trained_values", "trained", true, trained_values, 0));
    c.columns.push_back(column_of(c, "seconds", "seconds", true, seconds, 1));
    return c;
}

// For people

std::string cell_of(const Column& column, std::size_t run) {
    const auto& v = column.values[run];
    return v ? fmt::format("{:.{}f}{}", *v, column.decimals, column.is_best(run) ? "*" : " ") : "- ";
}

TextTable results_table(const Comparison& c) {
    TextTable table{{"run", "state", "epochs"}, {false, false, true}};
    for (const Column& column : c.columns) {
        table.headings.push_back(column.heading + " ");
        table.right.resize(table.headings.size(), true);
    }
    for (std::size_t i = 0; i < c.runs.size(); ++i) {
        const RunRecord& r = c.runs[i];
        auto& row = table.rows.emplace_back(std::vector<std::string>{
            r.folder, r.state(), fmt::format("{}/{}", r.metrics.rows.size(), r.setting("epochs"))});
        for (const Column& column : c.columns) row.push_back(cell_of(column, i));
    }
    return table;
}

std::string shown(const std::string& value) { return value.empty() ? "-" : value; }

// A line per run where that is narrow enough or there are many runs, else a line per setting.
TextTable settings_table(const Comparison& c) {
    constexpr std::size_t kWidth = 120, kManyRuns = 6;
    TextTable by_run{{"run"}}, by_key{{"setting"}};
    for (const std::string& key : c.keys) by_run.headings.push_back(key);
    for (const RunRecord& r : c.runs) {
        by_key.headings.push_back(r.folder);
        auto& row = by_run.rows.emplace_back(std::vector<std::string>{r.folder});
        for (const std::string& key : c.keys) row.push_back(shown(r.setting(key)));
    }
    for (const std::string& key : c.keys) {
        auto& row = by_key.rows.emplace_back(std::vector<std::string>{key});
        for (const RunRecord& r : c.runs) row.push_back(shown(r.setting(key)));
    }
    const bool narrow = by_run.width() <= kWidth, many = c.runs.size() > kManyRuns;
    return narrow || (many && by_key.width() > kWidth) ? by_run : by_key;
}

std::string text_of(const Comparison& c) {
    std::string out = results_table(c).text();
    const bool any_best = std::any_of(c.columns.begin(), c.columns.end(), [&](const Column& column) {
        for (std::size_t i = 0; i < c.runs.size(); ++i)
            if (column.is_best(i)) return true;
        return false;
    });
    out += fmt::format("\n{}losses and terms per row, of the {} rows; trained: how many values\n",
                       any_best ? "* the smallest; " : "", c.runs[0].split());
    if (c.runs.size() < 2) return out;
    if (c.keys.empty()) return out + "\nno setting differs\n";
    return out + "\nsettings that differ:\n" + settings_table(c).text();
}

// For programs

Json epoch_json(const RunRecord& r, std::optional<std::size_t> row) {
    if (!row) return nullptr;
    Json terms = Json::object();
    for (const auto& [name, value] : terms_of(r, row)) terms[name] = value ? Json(*value) : Json(nullptr);
    const auto loss = r.metrics.at(*row, r.split() + "_loss");
    return {{"epoch", *row + 1}, {"loss", loss ? Json(*loss) : Json(nullptr)}, {"terms", terms}};
}

Json json_of(const RunRecord& r, const std::vector<std::string>& keys) {
    Json settings = Json::object();
    for (const std::string& key : keys) settings[key] = r.setting(key);
    const std::size_t done = r.metrics.rows.size();
    return {{"run", r.folder},
            {"state", r.state()},
            {"epochs", done},
            {"epochs_wanted", core::parse_number<std::int64_t>(r.setting("epochs")).value_or(0)},
            {"split", r.split()},
            {"best", epoch_json(r, r.best_row())},
            {"last", epoch_json(r, done == 0 ? std::nullopt : std::optional(done - 1))},
            {"trained_values", r.trained_values ? Json(*r.trained_values) : Json(nullptr)},
            {"seconds", r.seconds()},
            {"settings", settings}};
}

Json json_of(const Comparison& c) {
    Json runs = Json::array(), best = Json::object();
    for (const RunRecord& r : c.runs) runs.push_back(json_of(r, c.keys));
    for (const Column& column : c.columns)
        for (std::size_t i = 0; i < c.runs.size(); ++i)
            if (column.is_best(i)) best[column.name].push_back(c.runs[i].folder);
    return {{"runs", runs}, {"differs", c.keys}, {"best", best}, {"notes", c.notes}};
}

std::string quoted(const std::string& text) {
    if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
    std::string out = "\"";
    for (char ch : text) out += ch == '"' ? "\"\"" : std::string(1, ch);
    return out + "\"";
}

std::string csv_of(const Comparison& c) {
    std::string out = "run,state,epochs,epochs_wanted,split";
    for (const Column& column : c.columns) out += "," + quoted(column.name);
    for (const std::string& key : c.keys) out += "," + quoted(key);
    out += "\n";
    for (std::size_t i = 0; i < c.runs.size(); ++i) {
        const RunRecord& r = c.runs[i];
        out += fmt::format("{},{},{},{},{}", quoted(r.folder), quoted(r.state()), r.metrics.rows.size(),
                           r.setting("epochs"), r.split());
        for (const Column& column : c.columns)
            out += column.values[i] ? fmt::format(",{}", *column.values[i]) : std::string(",");
        for (const std::string& key : c.keys) out += "," + quoted(r.setting(key));
        out += "\n";
    }
    return out;
}

// One folder of many that cannot be read is told, and the others are shown.
int compare(const Arguments& arguments, core::Registry&) {
    std::vector<RunRecord> runs;
    std::optional<core::Error> problem;
    for (const std::string& folder : arguments.operands) try {
            runs.push_back(read_record(folder));
        } catch (const core::Error& e) {
            if (arguments.operands.size() > 1) core::tell(fmt::format("left out: {}", e.what()));
            problem = e;
        }
    if (runs.empty()) throw *problem;
    const Comparison c = comparison_of(std::move(runs));
    if (const auto file = arguments.value("csv")) core::write_atomically(*file, csv_of(c));
    for (const std::string& note : c.notes) core::tell("note: " + note);
    print_result(
        arguments, [&] { return json_of(c).dump(); }, [&] { return text_of(c); });
    return problem ? int(core::Exit::data) : 0;
}

const VerbEntry entry({.order = 55,
                       .name = "compare",
                       .operand = "RUN...",
                       .summary = "runs side by side: what differs, losses and terms, time",
                       .flags = {{"csv", "FILE", "write the table there too, with a line per run"}, kJson},
                       .computes = false,
                       .run = compare});

} // namespace
} // namespace elbo::tools
