// report: one page that shows what was trained and what came of it.
#include <fmt/format.h>

#include <memory>

#include "core/base/error.hpp"
#include "core/base/notice.hpp"
#include "core/files/atomic.hpp"
#include "tools/runner/judging.hpp"
#include "tools/runner/report/page.hpp"
#include "tools/runner/report/sections.hpp"
#include "tools/runner/results.hpp"

namespace elbo::tools {

namespace fs = std::filesystem;

namespace {

std::string name_of_run(const std::string& folder) {
    const fs::path path = fs::path(folder).lexically_normal();
    return (path.filename().empty() ? path.parent_path() : path).filename().string();
}

OpenRun open_one(const std::string& folder, const Arguments& arguments, core::Registry& registry) {
    Arguments of = arguments;
    of.operand = folder;
    of.flags.erase("out");
    return open_run(of, registry);
}

// All there is to say of one run.
std::string part_of(const std::string& folder, const Arguments& arguments, core::Registry& registry) {
    const RunRecord record = read_record(folder);
    const OpenRun open = open_one(folder, arguments, registry);
    const core::Split split = open.rows().count(core::Split::test) > 0 ? core::Split::test : core::Split::train;
    const auto judged = judged_run(open, split, registry);
    report::Subject s{open, record, split, judged->evaluation(), *judged};
    for (const std::string& line : s.evaluation.warnings(name_of(split))) core::tell(line);
    std::string state;
    if (!record.holder.empty())
        state = fmt::format(
            "<p class=\"note\">This run is still training; what is shown is its state after epoch {}.</p>\n",
            open.progress.epoch);
    else if (record.state() != "finished")
        state =
            fmt::format("<p class=\"note\">This run: {}, after epoch {}.</p>\n", record.state(), open.progress.epoch);
    return state + report::figures(s) + report::pictures(s) + report::curves(record) + report::scores(s) +
           report::columns_of_table(s) + report::latents(s) + report::map_of_codes(s) + report::what_was_trained(s) +
           report::how_to_repeat(s);
}

// Settings that differ, and how far each run came.
std::string comparison(const std::vector<RunRecord>& records) {
    std::vector<std::vector<std::string>> rows{{"setting"}};
    for (const RunRecord& r : records) rows[0].push_back(name_of_run(r.folder));
    std::vector<std::string> keys;
    for (const RunRecord& r : records)
        for (const auto& [key, value] : r.settings)
            if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
    auto add = [&](const std::string& name, auto text) {
        auto& row = rows.emplace_back(std::vector<std::string>{name});
        for (const RunRecord& r : records) row.push_back(text(r));
    };
    for (const std::string& key : keys)
        if (std::any_of(records.begin(), records.end(),
                        [&](const RunRecord& r) { return r.setting(key) != records[0].setting(key); }))
            add(key, [&](const RunRecord& r) { return r.setting(key); });
    add("epochs done", [](const RunRecord& r) { return std::to_string(r.metrics.rows.size()); });
    add("smallest loss", [](const RunRecord& r) {
        const auto best = r.best_row();
        return best ? fmt::format("{:.3f} ({})", *r.metrics.at(*best, r.split() + "_loss"), r.split()) : "none yet";
    });
    add("seconds", [](const RunRecord& r) { return fmt::format("{:.0f}", r.seconds()); });
    return report::section("What differs", "", report::table(rows));
}

std::string body_of(const Arguments& arguments, core::Registry& registry) {
    const auto& runs = arguments.operands;
    if (runs.size() == 1)
        return fmt::format("<h1>{}</h1>\n", report::escaped(name_of_run(runs[0]))) +
               part_of(runs[0], arguments, registry);
    std::vector<RunRecord> records;
    for (const std::string& run : runs) records.push_back(read_record(run));
    std::string body = fmt::format("<h1>{} runs</h1>\n", runs.size()) + comparison(records) +
                       report::curves_together(records) + "<div class=\"runs\">\n";
    for (const std::string& run : runs)
        body += fmt::format("<div>\n<h2>{}</h2>\n{}</div>\n", report::escaped(name_of_run(run)),
                            part_of(run, arguments, registry));
    return body + "</div>\n";
}

int report_runs(const Arguments& arguments, core::Registry& registry) {
    const fs::path out = arguments.value("out").value_or(
        (arguments.operands.size() == 1 ? fs::path(arguments.operand) / "report.html" : fs::path("report.html"))
            .string());
    if (out.extension() != ".html")
        throw core::Error(core::Exit::usage, fmt::format("--out: '{}' must end in .html", out.string()));
    const std::string title = arguments.operands.size() == 1 ? name_of_run(arguments.operand) : "runs";
    core::write_atomically(out, report::page("elbo: " + title, body_of(arguments, registry)));
    fmt::print("{}\n", out.string());
    return 0;
}

const VerbEntry entry({.order = 96,
                       .name = "report",
                       .operand = "RUN...",
                       .summary = "one page (HTML) with pictures, curves, codes and figures; several runs side by side",
                       .flags = {out_flag("the page (default: RUN/report.html, of several runs report.html)"),
                                 kThreads},
                       .run = report_runs});

} // namespace
} // namespace elbo::tools
