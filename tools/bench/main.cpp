// elbo-bench: the training step of a standard workload on random rows that lie in memory, as the PyTorch peers measure
// it: whole steps (forward, backward, Adam), median over a given time after warm-up.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "core/base/error.hpp"
#include "core/base/machine.hpp"
#include "core/base/philox.hpp"
#include "core/host/registry.hpp"
#include "core/run/session.hpp"
#include "ops/backend/backends.hpp"
#include "ops/backend/threads.hpp"
#include "ops/table.hpp"

namespace {

using namespace elbo::core;
namespace po = boost::program_options;

/// The peers' models: encoder, decoder, their parameters, and the size of the code.
struct Workload {
    const char *encoder, *decoder;
    std::vector<NamedValue> encoder_values, decoder_values;
    std::int64_t latent;
};
using Widths = std::vector<std::int64_t>;
const std::map<std::string, Workload> kWorkloads{
    {"mlp_vae", {"mlp", "mlp", {{"hidden", Widths{400}}}, {{"hidden", Widths{400}}}, 20}},
    {"deep_mlp_vae", {"mlp", "mlp", {{"hidden", Widths{512, 512}}}, {{"hidden", Widths{512, 512}}}, 32}},
    {"conv_vae", {"conv", "conv", {{"features", std::int64_t(0)}}, {{"features", std::int64_t(0)}}, 32}}};
constexpr std::int64_t kValues = 784, kBatches = 8;
constexpr int kWarmUp = 12;

std::string workload_names(const char* between) {
    std::string out;
    for (const auto& [name, w] : kWorkloads) out += (out.empty() ? "" : between) + name;
    return out;
}

std::vector<std::unique_ptr<Part>> parts_of(const Workload& w, Registry& registry) {
    const std::vector<std::tuple<const char*, const char*, std::vector<NamedValue>>> all{
        {"model", "vae", {}},
        {"encoder", w.encoder, w.encoder_values},
        {"posterior", "diagonal_gaussian", {}},
        {"prior", "standard_normal", {}},
        {"decoder", w.decoder, w.decoder_values},
        {"likelihood", "bernoulli", {}},
        {"optimizer", "adam", {}}};
    std::vector<std::unique_ptr<Part>> parts;
    for (const auto& [kind, name, values] : all)
        parts.push_back(std::make_unique<Part>(registry.find(kind, name), values));
    return parts;
}

int run(int argc, char** argv) {
    po::options_description flags("elbo-bench");
    std::string workload;
    std::int64_t batch = 128;
    int threads = 1;
    double seconds = 5;
    flags.add_options()("help", "this text")("json", "one line of JSON")(
        "workload", po::value(&workload)->default_value("mlp_vae"), "which")(
        "batch", po::value(&batch)->default_value(128), "rows per step")(
        "threads", po::value(&threads)->default_value(1), "of the compute team")(
        "seconds", po::value(&seconds)->default_value(5), "how long to measure");
    po::variables_map given;
    using namespace po::command_line_style;
    po::store(po::command_line_parser(argc, argv)
                  .options(flags)
                  .style(allow_long | long_allow_adjacent | long_allow_next)
                  .run(),
              given);
    po::notify(given);
    if (given.count("help")) {
        fmt::print(
            "elbo-bench: training steps of a standard workload\n\n"
            "  --workload <NAME>                   {} (=mlp_vae)\n  --batch <N>                         (=128)\n"
            "  --threads <N>                       (=1)\n  --seconds <S>                       (=5)\n"
            "  --json                              one line of JSON\n",
            workload_names(", "));
        return 0;
    }
    const auto found = kWorkloads.find(workload);
    if (found == kWorkloads.end())
        throw Error(Exit::usage, fmt::format("no workload is called '{}'{}", workload,
                                             did_you_mean(workload, {"mlp_vae", "deep_mlp_vae", "conv_vae"})))
            .note("there are " + workload_names(", "));
    if (batch < 1 || threads < 1 || !(seconds > 0))
        throw Error(Exit::usage, "--batch, --threads and --seconds must be above 0");

    Registry registry;
    registry.add_default_places();
    auto backend = elbo::ops::make_backend("dnnl", threads);
    SessionSettings settings;
    settings.latent = found->second.latent;
    settings.data = {28, 28, 1};
    settings.steps_per_epoch = 1 << 20;
    Session session(parts_of(found->second, registry), settings, elbo::ops::table(), *backend);
    session.prepare(batch);
    std::vector<float> x(std::size_t(kBatches * batch * kValues));
    PhiloxSequence draw(0, stream_of("bench"));
    for (float& v : x) v = float(draw.uniform());

    StepResult last;
    auto step = [&](std::int64_t n) { last = session.step(x.data() + n % kBatches * batch * kValues, batch); };
    for (int i = 0; i < kWarmUp; ++i) step(0);
    std::vector<double> times;
    times.reserve(1 << 20);
    const double end = seconds_now() + seconds;
    for (std::int64_t n = 0; seconds_now() < end || times.empty(); ++n) {
        const double began = seconds_now();
        step(n);
        times.push_back(seconds_now() - began);
    }
    std::sort(times.begin(), times.end());
    const double median = times[times.size() / 2];
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const nlohmann::ordered_json j{{"program", "elbo " ELBO_VERSION ", " + elbo::ops::backend_description()},
                                   {"workload", workload},
                                   {"batch", batch},
                                   {"threads", threads},
                                   {"dtype", "f32"},
                                   {"steps", times.size()},
                                   {"median_ms", std::round(median * 1e6) / 1e3},
                                   {"best_ms", std::round(times[0] * 1e6) / 1e3},
                                   {"rows_per_s", std::round(double(batch) / median)},
                                   {"loss", std::round(last.loss * 1e3) / 1e3},
                                   {"rss_mib", usage.ru_maxrss / 1024}};
    if (given.count("json")) fmt::print("{}\n", j.dump());
    else
        for (const auto& [key, value] : j.items()) fmt::print("{:<10} {}\n", key, value.dump());
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    elbo::ops::wait_passively(argv);
    try {
        return run(argc, argv);
    } catch (const Error& e) {
        fmt::print(stderr, "error: {}\n", e.what());
        return int(e.code());
    } catch (const std::exception& e) {
        fmt::print(stderr, "error: {}\n", e.what());
        return int(Exit::usage);
    }
}
