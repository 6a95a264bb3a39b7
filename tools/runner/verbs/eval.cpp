// eval: how good a trained run is over a split.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/run/evaluation.hpp"
#include "core/run/trainer.hpp"
#include "tools/runner/results.hpp"

namespace elbo::tools {

using Json = nlohmann::ordered_json;

namespace {

std::string kl_kind(const core::Evaluation& e) {
    if (!e.kl) return "none";
    return e.kl_estimated ? "one-sample estimate" : "analytic";
}

// What is no log density has no bound to compare either.
std::string unit_of(const OpenRun& open) {
    const bool density = open.session().part("likelihood").property("density").value_or("1") == "1";
    return density ? "nats" : "the likelihood's loss";
}

Json json_of(const OpenRun& open, const core::Evaluation& e, const std::string& run, const std::string& split) {
    auto optional = [](const std::optional<double>& v) { return v ? Json(*v) : Json(nullptr); };
    return {{"run", run},
            {"split", split},
            {"rows", e.rows},
            {"epoch", open.progress.epoch},
            {"step", open.progress.step},
            {"negative_elbo", optional(e.negative_elbo())},
            {"reconstruction", optional(e.reconstruction)},
            {"kl", optional(e.kl)},
            {"kl_kind", kl_kind(e)},
            {"loss", e.loss},
            {"squared_error", e.squared_error},
            {"active_latents", e.active},
            {"latents", e.code_variance.size()},
            {"z",
             {{"negative_elbo", "sample"},
              {"reconstruction", "sample"},
              {"loss", "sample"},
              {"squared_error", "mean"},
              {"active_latents", "mean"}}},
            {"unit", unit_of(open) + " per row"}};
}

std::string text_of(const core::Evaluation& e, const std::string& split, const std::string& unit) {
    std::string out = fmt::format("rows            {} ({})\n", e.rows, split);
    if (auto bound = e.negative_elbo())
        out += fmt::format("negative elbo   {:.4f} per row, in {}, z sampled\n", *bound, unit);
    if (e.reconstruction)
        out += fmt::format("reconstruction  {:.4f} per row, in {}, z sampled\n", *e.reconstruction, unit);
    if (e.kl) out += fmt::format("kl              {:.4f} nats/row, {}\n", *e.kl, kl_kind(e));
    out += fmt::format("loss            {:.4f} per row, z sampled\n", e.loss);
    out += fmt::format("squared error   {:.4f} per row, z the mean\n", e.squared_error);
    out += fmt::format("active latents  {} of {}\n", e.active, e.code_variance.size());
    return out;
}

int eval(const Arguments& arguments, core::Registry& registry) {
    const OpenRun open = open_run(arguments, registry);
    const core::Split split = split_of(arguments, open.rows());
    const core::Evaluation e = core::evaluate(open.session(), open.rows(), split, open.config.batch);
    print_result(
        arguments, [&] { return json_of(open, e, arguments.operand, name_of(split)).dump(); },
        [&] { return text_of(e, name_of(split), unit_of(open)); });
    return 0;
}

const VerbEntry entry({.order = 50,
                       .name = "eval",
                       .operand = "RUN",
                       .summary = "negative elbo, reconstruction, KL and more over a split",
                       .flags = {kSplit, kThreads, kJson},
                       .run = eval});

} // namespace
} // namespace elbo::tools
