// What several verbs share: which rows they work on, what a model gives for them, and where that goes.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/run/code_density.hpp"
#include "tools/runner/open_run.hpp"

namespace elbo::tools {

/// --split; test when it is not given. Throws Error: usage for another name, data when there are no such rows.
core::Split split_of(const Arguments& arguments, const core::Rows& rows);
std::string name_of(core::Split split);

/// What a purpose gives for rows first .. first+count, batch by batch.
void outputs_of(const OpenRun& open, const std::string& purpose, core::Split split, std::int64_t first,
                std::int64_t count, const std::function<void(std::span<const float>)>& take);

/// Whether new examples can be made at all: of a prior, or of a density fitted to codes.
bool can_sample(core::Session& session);
/// Rows of a batch of them, of all but the last.
inline constexpr std::int64_t kSamplesAtOnce = 1024;
/// New examples, batch by batch. A model that takes classes gets them in turn, or `label` for all; one without a prior
/// is sampled from a mixture of Gaussians that is fitted to the codes of the training rows, and a line says so. With
/// `codes` they are decoded from these, whatever the model's prior. Throws Error (usage) for a class that the data does
/// not have.
void samples_of(core::Session& session, const core::Rows& rows, std::int64_t count, std::uint64_t seed,
                std::optional<std::int64_t> label, const std::function<void(std::span<const float>)>& take,
                core::CodeDraws codes = {});

/// --out, or `fallback` in the run's folder. Throws Error (usage), before anything is computed, for another ending, and
/// for a file that belongs to the run or is its data.
std::filesystem::path out_file(const Arguments& arguments, const OpenRun& open, const std::string& fallback,
                               const std::vector<std::string>& endings);
/// JSON with --json, else the lines for people; only what is printed is made.
void print_result(const Arguments& arguments, const std::function<std::string()>& json,
                  const std::function<std::string()>& text);

} // namespace elbo::tools
