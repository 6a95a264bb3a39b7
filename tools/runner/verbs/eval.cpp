// eval: how good a trained run is over a split.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/base/notice.hpp"
#include "core/run/evaluation.hpp"
#include "core/run/trainer.hpp"
#include "tools/runner/judging.hpp"
#include "tools/runner/results.hpp"

namespace elbo::tools {

using Json = nlohmann::ordered_json;

namespace {

std::string kind_of(const core::EvaluatedTerm& t) { return t.estimated ? "one-sample estimate" : "analytic"; }

// What is no log density has no bound to compare either.
std::string unit_of(const OpenRun& open) {
    const core::Part* likelihood = open.session().find_part("likelihood");
    return !likelihood || likelihood->fact<bool>("density") ? "nats" : "the likelihood's loss";
}

Json left_out(const core::Evaluation& e) {
    Json out = Json::array();
    for (const core::OddRow& r : e.odd) out.push_back(r.row);
    return out;
}

Json json_of(const OpenRun& open, const core::Evaluation& e, std::optional<double> nll, const std::string& run,
             const std::string& split) {
    auto value = [&](const char* name) { return e.term(name) ? Json(e.term(name)->value) : Json(nullptr); };
    Json terms = Json::object(), latents = Json::object();
    for (const core::EvaluatedTerm& t : e.terms) {
        terms[t.name] = {{"value", t.value}, {"bound", t.bound}, {"estimated", t.estimated}};
        if (!t.latents.empty()) latents[t.name] = t.latents;
    }
    return {{"run", run},
            {"split", split},
            {"rows", e.rows},
            {"rows_left_out", left_out(e)},
            {"epoch", open.progress.epoch},
            {"step", open.progress.step},
            {"negative_elbo", e.negative_elbo() ? Json(*e.negative_elbo()) : Json(nullptr)},
            {"importance_nll", nll ? Json(*nll) : Json(nullptr)},
            {"reconstruction", value("reconstruction")},
            {"kl", value("kl")},
            {"kl_kind", e.term("kl") ? kind_of(*e.term("kl")) : "none"},
            {"terms", terms},
            {"per_latent", latents},
            {"loss", e.loss},
            {"squared_error", e.squared_error},
            {"perplexity", e.perplexity ? Json(*e.perplexity) : Json(nullptr)},
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

std::string text_of(const core::Evaluation& e, std::optional<double> nll, const std::string& split,
                    const std::string& unit) {
    std::string out = fmt::format("rows            {} ({})\n", e.rows, split);
    if (auto bound = e.negative_elbo())
        out += fmt::format("negative elbo   {:.4f} per row, in {}, z sampled\n", *bound, unit);
    if (nll) out += fmt::format("-log p(x)       {:.4f} per row, in {}, by importance sampling\n", *nll, unit);
    for (const core::EvaluatedTerm& t : e.terms)
        out += t.name == "kl" ? fmt::format("kl              {:.4f} nats/row, {}\n", t.value, kind_of(t))
                              : fmt::format("{:<15} {:.4f} per row, in {}, z sampled{}\n", t.name, t.value, unit,
                                            t.estimated ? ", an estimate" : "");
    out += fmt::format("loss            {:.4f} per row, z sampled\n", e.loss);
    if (e.perplexity) out += fmt::format("perplexity      {:.4f} per token, z sampled\n", *e.perplexity);
    else out += fmt::format("squared error   {:.4f} per row, z the mean\n", e.squared_error);
    out += fmt::format("active latents  {} of {}\n", e.active, e.code_variance.size());
    return out;
}

// The metrics that were asked for, and nothing else.
int eval_metrics(const Arguments& arguments, core::Registry& registry) {
    const std::vector<AskedMetric> asked = asked_metrics(*arguments.value("metrics"));
    const OpenRun open = open_run(arguments, registry);
    const core::Split split = split_of(arguments, open.rows());
    const auto judged = judged_run(open, split, registry);
    Json json = Json::object();
    std::string text = fmt::format("{:<28} {} ({})\n", "rows", open.rows().count(split), name_of(split));
    for (const AskedMetric& a : asked) {
        Json values = Json::object();
        for (const Measured& m : a.metric->measure(*judged, a.argument)) {
            values[m.name] = m.value;
            const std::string name = m.name == a.metric->name ? a.text : a.text + " " + m.name;
            text +=
                fmt::format("{:<28} {:.6g}{}{}\n", name, m.value, a.metric->unit.empty() ? "" : " ", a.metric->unit);
        }
        json[a.text] = {{"values", values}, {"unit", a.metric->unit}, {"higher_is_better", a.metric->higher_is_better}};
    }
    print_result(
        arguments,
        [&] {
            return Json{{"run", arguments.operand},
                        {"split", name_of(split)},
                        {"rows", open.rows().count(split)},
                        {"metrics", json}}
                .dump();
        },
        [&] { return text; });
    return 0;
}

int eval(const Arguments& arguments, core::Registry& registry) {
    if (arguments.has("metrics")) return eval_metrics(arguments, registry);
    const OpenRun open = open_run(arguments, registry);
    const core::Split split = split_of(arguments, open.rows());
    const core::Evaluation e = core::evaluate(open.session(), open.rows(), split, open.config.batch);
    for (const std::string& line : e.warnings(name_of(split))) core::tell(line);
    std::optional<double> nll;
    if (const auto draws = arguments.number("importance", 1))
        nll = core::importance_nll(open.session(), open.rows(), split, open.config.batch, *draws);
    print_result(
        arguments, [&] { return json_of(open, e, nll, arguments.operand, name_of(split)).dump(); },
        [&] { return text_of(e, nll, name_of(split), unit_of(open)); });
    return 0;
}

const VerbEntry entry({.order = 50,
                       .name = "eval",
                       .operand = "RUN",
                       .summary = "negative elbo, reconstruction, KL and more over a split",
                       .flags = {kSplit,
                                 {"metrics", "METRICS", "these instead, separated by commas; `list metric` shows all"},
                                 {"importance", "K", "-log p(x) too, by K importance samples of every row"},
                                 kThreads,
                                 kJson},
                       .run = eval});

} // namespace
} // namespace elbo::tools
