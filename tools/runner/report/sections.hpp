// What a report says of one run: each function gives a section of the page, or "" where there is nothing to show.
#pragma once

#include <string>
#include <vector>

#include "core/run/evaluation.hpp"
#include "tools/metrics/metric.hpp"
#include "tools/runner/open_run.hpp"
#include "tools/runner/run_record.hpp"

namespace elbo::tools::report {

/// A run, and what was found out about it once for all sections.
struct Subject {
    const OpenRun& open;
    const RunRecord& record;
    core::Split split;
    core::Evaluation evaluation;
    Judged& judged;
};

std::string what_was_trained(const Subject& s);
std::string figures(const Subject& s);
std::string curves(const RunRecord& record);
/// The same curve of several runs in one chart.
std::string curves_together(const std::vector<RunRecord>& records);
std::string pictures(const Subject& s);
std::string latents(const Subject& s);
std::string map_of_codes(Subject& s);
std::string scores(Subject& s);
std::string columns_of_table(Subject& s);
std::string how_to_repeat(const Subject& s);

} // namespace elbo::tools::report
