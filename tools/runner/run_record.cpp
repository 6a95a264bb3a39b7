#include "tools/runner/run_record.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/error.hpp"
#include "core/base/text.hpp"
#include "core/files/atomic.hpp"
#include "core/run/folder.hpp"
#include "core/run/resolve.hpp"

namespace elbo::tools {

namespace fs = std::filesystem;
using core::Damaged;

std::optional<double> MetricsTable::at(std::size_t row, const std::string& column) const {
    const auto it = std::find(columns.begin(), columns.end(), column);
    if (it == columns.end() || row >= rows.size()) return {};
    const double v = rows[row][std::size_t(it - columns.begin())];
    return std::isfinite(v) ? std::optional(v) : std::nullopt;
}

MetricsTable read_metrics(const fs::path& file) {
    MetricsTable table;
    const auto lines = core::pieces(core::read_file(file), '\n');
    const auto where = [&](std::size_t line) { return fmt::format("{}:{}", file.string(), line + 1); };
    if (lines.empty()) throw Damaged("it is empty", file.string());
    table.columns = core::pieces(lines[0], ',');
    if (table.columns.empty() || table.columns[0] != "epoch")
        throw Damaged("not the metrics of a run: its first column is not 'epoch'", where(0));
    for (std::size_t i = 1; i < lines.size(); ++i) {
        std::vector<double>& row = table.rows.emplace_back();
        for (const std::string& text : core::pieces(lines[i], ',')) {
            const auto value = core::parse_number<double>(text);
            if (!value) throw Damaged(fmt::format("'{}' is no number", text), where(i));
            row.push_back(*value);
        }
        if (row.size() != table.columns.size())
            throw Damaged(fmt::format("{} values in {} columns", row.size(), table.columns.size()), where(i));
        if (row[0] != double(i)) throw Damaged(fmt::format("epoch {:g} where {} should be", row[0], i), where(i));
    }
    return table;
}

std::string RunRecord::setting(const std::string& key) const {
    for (const auto& [name, value] : settings)
        if (name == key) return value;
    return "";
}

std::string RunRecord::split() const {
    const auto& all = metrics.columns;
    return all.empty() || std::find(all.begin(), all.end(), "test_loss") != all.end() ? "test" : "train";
}

std::optional<std::size_t> RunRecord::best_row() const {
    std::optional<std::size_t> best;
    const std::string loss = split() + "_loss";
    for (std::size_t i = 0; i < metrics.rows.size(); ++i)
        if (metrics.at(i, loss) && (!best || *metrics.at(i, loss) < *metrics.at(*best, loss))) best = i;
    return best;
}

double RunRecord::seconds() const {
    double all = 0;
    for (std::size_t i = 0; i < metrics.rows.size(); ++i) all += metrics.at(i, "seconds").value_or(0);
    return all;
}

std::string RunRecord::state() const {
    if (metrics.rows.empty()) return holder.empty() ? "no finished epoch" : "running, no finished epoch";
    if (!holder.empty()) return "running";
    const auto wanted = core::parse_number<std::size_t>(setting("epochs"));
    return wanted && metrics.rows.size() < *wanted ? "stopped" : "finished";
}

RunRecord read_record(const fs::path& folder) {
    RunRecord record;
    record.folder = folder.filename().empty() ? folder.parent_path().string() : folder.string();
    const core::Run run = core::Run::open(folder);
    try {
        for (const auto& s : core::settings_of(core::read_config(run.config_file())))
            record.settings.emplace_back(s.key, s.value);
    } catch (core::Error& e) {
        e.set_code(core::Exit::data);
        throw;
    }
    if (core::is_there(folder / "metrics.csv")) record.metrics = read_metrics(folder / "metrics.csv");
    record.trained_values = core::parse_number<std::int64_t>(run.info("trained_values"));
    record.data_hash = run.info("data.sha256");
    record.holder = core::lock_holder(folder / "lock");
    return record;
}

} // namespace elbo::tools
