// sample: new examples, from the prior or from a density fitted to codes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/error.hpp"
#include "core/base/notice.hpp"
#include "core/base/text.hpp"
#include "core/files/arrays.hpp"
#include "core/run/mixture.hpp"
#include "ops/table.hpp"
#include "tools/runner/codes.hpp"
#include "tools/runner/drawing.hpp"
#include "tools/runner/results.hpp"
#include "tools/runner/token_text.hpp"

namespace elbo::tools {

using core::Error;
using core::Exit;

namespace {

constexpr std::int64_t kMostSamples = std::int64_t(1) << 32;
constexpr const char* kFrom = "prior|gaussian_mixture|kde|flow|two_stage";

// What the deviations of draws from the prior are multiplied by. A prior without deviations, and a model without a
// prior, go on as they would.
void set_temperature(const Arguments& arguments, core::Session& session, std::int64_t count) {
    const auto text = arguments.value("temperature");
    if (!text) return;
    const auto t = core::parse_number<double>(*text);
    if (!t || !(*t > 0) || !std::isfinite(float(*t)))
        throw Error(Exit::usage, fmt::format("--temperature: '{}' is not a number above 0", *text))
            .note("1 is the prior as it is, less than 1 stays nearer to its middle");
    session.set_temperature(*t);
    const std::string model = session.part("model").info().name;
    if (!session.can("sample")) {
        core::tell(fmt::format("note: --temperature has no effect: model '{}' has no prior", model));
        return;
    }
    const auto& inputs = session.program("sample", std::min(count, kSamplesAtOnce))->inputs;
    if (std::none_of(inputs.begin(), inputs.end(), [](const auto& in) { return in.name == "temperature"; }))
        core::tell("note: --temperature has no effect: the prior's draws have no deviation that it could change");
}

// How tokens, or pixels, are picked that are drawn one after the other.
void set_picking(const Arguments& arguments, core::Session& session, std::int64_t count, bool decodes) {
    core::Picking picking{.temperature = 1};
    std::vector<std::pair<std::string, std::string>> asked; // flags, and what parts see of them
    auto number = [&](const char* flag, const char* input, float& to, auto fits, const char* what) {
        const auto text = arguments.value(flag);
        if (!text) return;
        asked.emplace_back(flag, input);
        const auto v = core::parse_number<double>(*text);
        if (!v || !std::isfinite(*v) || !fits(*v))
            throw Error(Exit::usage, fmt::format("--{}: '{}' is not {}", flag, *text, what));
        to = float(*v);
    };
    number(
        "pick-temperature", "pick_temperature", picking.temperature, [](double v) { return v >= 0; },
        "0 or a number above it");
    number(
        "top-k", "pick_most", picking.most, [](double v) { return v >= 1 && v == std::floor(v); }, "1, 2, 3, ...");
    number(
        "top-p", "pick_share", picking.share, [](double v) { return v > 0 && v <= 1; }, "a share above 0 and up to 1");
    session.set_picking(picking);
    if (asked.empty()) return;
    const std::string purpose = session.can("sample") && !decodes ? "sample" : "decode";
    const auto& inputs = session.program(purpose, std::min(count, kSamplesAtOnce))->inputs;
    auto read = [&](const std::string& name) {
        return std::any_of(inputs.begin(), inputs.end(), [&](const auto& in) { return in.name == name; });
    };
    if (!read("pick_temperature"))
        return core::tell(
            "note: --pick-temperature, --top-k and --top-p have no effect: nothing is drawn value by value");
    for (const auto& [flag, input] : asked)
        if (!read(input))
            core::tell(
                fmt::format("note: --{} has no effect: values are drawn from a density, not picked among a few", flag));
}

// What codes are drawn from with --from; nothing where the model's own way is meant.
core::CodeDraws codes_from(const Arguments& arguments, const OpenRun& open, core::Registry& registry) {
    const std::string from = arguments.value("from").value_or("");
    const bool trains = from == "flow" || from == "two_stage";
    if (arguments.has("fit-steps") && !trains)
        throw Error(Exit::usage, "--fit-steps: of --from flow or two_stage, which are trained on the codes");
    core::Session& session = open.session();
    const std::string model = session.part("model").info().name;
    if (from.empty()) return {};
    if (from == "prior" && !session.can("sample"))
        throw Error(Exit::usage, fmt::format("--from prior: model '{}' has none", model))
            .note("gaussian_mixture, kde, flow and two_stage are fitted to its codes");
    if (from == "prior") return {};
    if (!trains && from != "kde" && from != "gaussian_mixture")
        throw Error(Exit::usage, fmt::format("--from: '{}'; there are {}", from, kFrom));
    must_decode(open, "sample --from " + from);
    if (const std::string space = space_of(open); space != "real")
        throw Error(Exit::usage, fmt::format("--from {}: the codes of model '{}' are no real numbers but lie in the "
                                             "space '{}'",
                                             from, model, space))
            .note("--from prior");
    auto codes = core::codes_of_training_rows(session, open.rows(), open.config.batch);
    const std::int64_t latent = session.settings().latent, n = std::int64_t(codes.size()) / latent;
    const std::uint64_t seed = session.settings().seed;
    if (from == "kde") return core::kernels_around(std::move(codes), latent, seed);
    if (from == "gaussian_mixture") {
        const core::Mixture mixture(codes, latent, core::kCodeComponents, seed);
        return [=](std::int64_t count, std::uint64_t of) { return mixture.draw(count, of); };
    }
    core::CodeTraining how{.seed = seed};
    how.steps = arguments.number("fit-steps", 1).value_or(how.steps);
    const auto made =
        core::trained_on(std::move(codes), latent, from == "flow", how, registry, ops::table(), *open.backend);
    core::tell(fmt::format("{} of {} codes: loss {:.3f} -> {:.3f} nats in {} steps",
                           from == "flow" ? "real NVP" : "second VAE", n, made.first, made.last, how.steps));
    return made.draw;
}

// How samples come about, of a model that makes them in steps.
int stages(const Arguments& arguments, const OpenRun& open, std::int64_t count, std::uint64_t seed) {
    if (!open.session().can("stages"))
        throw Error(Exit::usage, fmt::format("--stages: model '{}' does not make its samples in steps",
                                             open.config.part("model").name))
            .note("'draw' does");
    if (count > kSamplesAtOnce) throw Error(Exit::usage, fmt::format("--stages: at most {} samples", kSamplesAtOnce));
    const auto out = out_file(arguments, open, "pictures/stages.png", {".png"});
    is_picture(out, open.rows().dims(), count, "--count");
    draw_stages(out, open.session(), open.rows(), count, seed);
    fmt::print("{}\n", out.string());
    return 0;
}

int sample(const Arguments& arguments, core::Registry& registry) {
    const OpenRun open = open_run(arguments, registry);
    if (!can_sample(open.session()))
        throw Error(Exit::usage, fmt::format("model '{}' has no prior to sample from, and decodes no codes",
                                             open.config.part("model").name))
            .note("train a 'vae', or use reconstruct or encode");
    const std::int64_t count = arguments.number("count", 1).value_or(64);
    if (count > kMostSamples) throw Error(Exit::usage, fmt::format("--count: at most {} at once", kMostSamples));
    const auto seed = std::uint64_t(arguments.number("seed", 0).value_or(1));
    const auto label = arguments.number("label", 0);
    const core::CodeDraws codes = codes_from(arguments, open, registry);
    if (codes && arguments.has("stages"))
        throw Error(Exit::usage, "--stages: of samples from the prior; --from names another density");
    if (codes && arguments.has("temperature"))
        throw Error(Exit::usage, "--temperature: of draws from the prior; --from names another density");
    set_temperature(arguments, open.session(), count);
    set_picking(arguments, open.session(), count, bool(codes));
    if (auto text = TokenText::wanted(arguments, open)) {
        samples_of(
            open.session(), open.rows(), count, seed, label, [&](auto batch) { text->add_rows(batch); }, codes);
        text->finish();
        return 0;
    }
    if (arguments.has("stages")) return stages(arguments, open, arguments.number("count", 1).value_or(8), seed);
    const auto out = out_file(arguments, open, "pictures/samples.png", {".png", ".npy", ".csv"});
    if (is_picture(out, open.rows().dims(), count, "--count")) {
        draw_samples(out, open.session(), open.rows(), count, seed, label, codes);
    } else {
        core::ArrayFile file(out, {count, open.rows().values()}, "x");
        samples_of(
            open.session(), open.rows(), count, seed, label, [&](auto batch) { file.add(batch); }, codes);
        file.commit();
    }
    fmt::print("{}\n", out.string());
    return 0;
}

const VerbEntry entry(
    {.order = 70,
     .name = "sample",
     .operand = "RUN",
     .summary = "new examples, from the prior or a density fitted to the codes",
     .flags = {{"count", "N", "how many (default: 64)"},
               {"seed", "N", "which noise (default: 1)"},
               {"label", "N", "of this class, for a model that takes classes (default: each in turn)"},
               {"from", kFrom,
                "where codes are drawn: the prior, or what is fitted to the codes of the training rows: 10 Gaussians, "
                "a kernel around each code, a real NVP, a second VAE (default: the prior, Gaussians without one)"},
               {"fit-steps", "N", "of a flow or second VAE on the codes, in batches of 256 (default: 2000)"},
               {"temperature", "T",
                "times the deviations of the prior's draws: below 1 they are more alike (default: "
                "1)"},
               {"stages", "", "how each comes about, of a model that works in steps (default: 8 of them)"},
               {"pick-temperature", "T",
                "what logits are divided by where tokens or pixels are picked one after the other; 0: the most likely "
                "(default: 1)"},
               {"top-k", "K", "pick from the K most likely (default: all)"},
               {"top-p", "P", "pick from the fewest that have the probability P together (default: 1)"},
               out_flag("PNG, npy or csv (default: RUN/pictures/samples.png); of tokens txt, npy or csv "
                        "(default: lines of text, printed)"),
               kThreads},
     .run = sample});

} // namespace
} // namespace elbo::tools
