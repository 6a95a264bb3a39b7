// elbo-bench: training steps or reconstructions of a standard workload on random rows that lie in memory, as the
// peers' scripts measure them; or what the machine can do at most. Compared with the peers by tools/bench/compare.
#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "core/base/error.hpp"
#include "ops/backend/backends.hpp"
#include "ops/backend/roofline.hpp"
#include "ops/backend/threads.hpp"
#include "tools/bench/measure.hpp"

namespace {

using namespace elbo;
using Json = nlohmann::ordered_json;
namespace po = boost::program_options;

struct Asked {
    std::string workload = "W1a";
    std::vector<std::int64_t> batches; ///< as given; empty: the workload's own
    int threads = 1;
    std::string precision = "f32";
    bool inference = false, limit = false, units = false, json = false, help = false;
    bench::Effort effort;
};

constexpr const char* kHelp =
    "elbo-bench: training steps of a standard workload\n\n"
    "  --workload <ID>                     W1a, ... (=W1a), or a net's name\n"
    "  --batch <N>                         rows per step (=that of the id); with --inference several, 1,128\n"
    "  --threads <N>                       (=1)\n"
    "  --precision <f32|bf16>              of the operands of products in training steps (=f32)\n"
    "  --seconds <S>                       how long to measure, after as long to warm up at most (=5)\n"
    "  --steps <N>                         measure exactly so many steps instead\n"
    "  --warm-up <N>                       steps before, at most (=50)\n"
    "  --inference                         codes and reconstructions instead of training steps\n"
    "  --limit                             the machine's limits instead: products, and memory (a triad)\n"
    "  --units                             what oneDNN runs of a training step, and measure nothing\n"
    "  --json                              one line of JSON\n\n";

void print_help() {
    fmt::print("{}", kHelp);
    for (const bench::Workload& w : bench::workloads())
        fmt::print("  {:<5} {:<14} batch {:>4}   {}\n", w.id, w.net->name, w.batch, w.net->about);
}

std::vector<std::int64_t> batches_of(const std::string& text) {
    std::vector<std::int64_t> out;
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t end = std::min(text.find(',', at), text.size());
        const std::string one = text.substr(at, end - at);
        if (one.empty() || one.size() > 9 || one.find_first_not_of("0123456789") != std::string::npos ||
            std::stoll(one) < 1)
            throw core::Error(core::Exit::usage, fmt::format("--batch: '{}' is not a number of rows", one));
        out.push_back(std::stoll(one));
        at = end + 1;
    }
    return out;
}

Asked asked_of(int argc, char** argv) {
    Asked a;
    std::string batch;
    po::options_description flags("elbo-bench");
    flags.add_options()("help", po::bool_switch(&a.help))("json", po::bool_switch(&a.json))(
        "inference", po::bool_switch(&a.inference))("limit", po::bool_switch(&a.limit))(
        "units", po::bool_switch(&a.units))("workload", po::value(&a.workload))("batch", po::value(&batch))(
        "threads", po::value(&a.threads))("precision", po::value(&a.precision))(
        "seconds", po::value(&a.effort.seconds))("steps", po::value(&a.effort.steps))("warm-up",
                                                                                      po::value(&a.effort.warm_up));
    using namespace po::command_line_style;
    po::variables_map given;
    po::store(po::command_line_parser(argc, argv)
                  .options(flags)
                  .style(allow_long | long_allow_adjacent | long_allow_next)
                  .run(),
              given);
    po::notify(given);
    if (given.count("batch")) a.batches = batches_of(batch);
    if (a.threads < 1 || !(a.effort.seconds > 0))
        throw core::Error(core::Exit::usage, "--threads and --seconds must be above 0");
    if (a.effort.steps < 0 || a.effort.warm_up < 0)
        throw core::Error(core::Exit::usage, "--steps and --warm-up must not be below 0");
    if (a.batches.size() > 1 && !a.inference)
        throw core::Error(core::Exit::usage, "--batch: several batches are for --inference only");
    if (ops::usable_precision(a.precision) != ops::Precision::f32 && (a.inference || a.limit))
        throw core::Error(core::Exit::usage, "--precision: training alone is done in bf16, the rest in f32");
    if (a.inference && a.limit) throw core::Error(core::Exit::usage, "--inference and --limit exclude each other");
    return a;
}

double rounded(double x, int digits = 3) {
    const double unit = std::pow(10, digits);
    return std::round(x * unit) / unit;
}

Json head(const Asked& a) {
    return {{"program", "elbo " ELBO_VERSION ", " + ops::backend_description()}, {"threads", a.threads}};
}

Json about(const Asked& a, const bench::Workload& w, const char* mode) {
    Json j = head(a);
    j["workload"] = w.net->name;
    j["id"] = w.id.empty() ? Json() : Json(w.id);
    j["batch"] = w.batch;
    j["dtype"] = a.precision;
    j["mode"] = mode;
    return j;
}

void add_times(Json& j, const bench::Times& t, std::int64_t rows) {
    j["steps"] = t.sorted.size();
    j["median_ms"] = rounded(1e3 * t.median());
    j["p90_ms"] = rounded(1e3 * t.at(0.9));
    j["best_ms"] = rounded(1e3 * t.sorted[0]);
    j["rows_per_s"] = std::round(double(rows) / t.median());
}

constexpr double kMib = 1 << 20;

Json training(const Asked& a, core::Backend& backend) {
    const bench::Workload w = bench::find_workload(a.workload, a.batches.empty() ? 0 : a.batches[0]);
    bench::Bench b(w, backend);
    ops::settle_team();
    const bench::Training t = bench::train(b, a.effort);
    const auto program = b.session().program("train", w.batch);
    const double flops = bench::product_flops(*program);
    Json j = about(a, w, "train");
    add_times(j, t.times, w.batch);
    j["gflop_per_step"] = rounded(1e-9 * flops, 6);
    j["gflops"] = rounded(1e-9 * flops / t.times.median(), 1);
    j["parameters"] = b.session().tensors().trained_values();
    j["first_loss"] = rounded(t.first_loss);
    j["loss"] = rounded(t.last_loss);
    j["first_step_ms"] = rounded(1e3 * t.first_step_seconds, 0);
    j["freeze_ms"] = rounded(1e3 * b.freeze_seconds(), 1);
    j["slab_bytes"] = program->slab_bytes;
    j["allocations_per_step"] = rounded(double(t.allocations.ours) / t.allocation_steps, 1);
    j["dnnl_allocations_per_step"] = rounded(double(t.allocations.of_dnnl) / t.allocation_steps, 1);
    j["rss_mib"] = rounded(bench::peak_bytes() / kMib, 1);
    return j;
}

std::string attributes_text(const core::ProgramNode& n) {
    std::string out;
    for (const core::Attribute& a : n.attributes) {
        if (a.type == core::AttributeType::integers) out += fmt::format(" {}={}", a.key, a.integers.text());
        else if (a.integer != 0) out += fmt::format(" {}={}", a.key, a.integer);
    }
    return out;
}

std::string size_text(const core::Program& p, core::NodeId id) {
    const std::int64_t apart = p.layout(id).row_stride;
    return p.dims(id).text() + (apart ? fmt::format(" (rows {} apart)", apart) : "");
}

/// What the library runs of a program and what it chose for each, in order, each kind of unit once.
std::string units_text(const core::Program& p) {
    std::string out;
    std::set<std::string> seen;
    for (const core::Unit& u : p.units) {
        if (!u.claimed) continue;
        const char* by_rows = u.kind == core::Unit::Kind::streamed ? " by rows" : "";
        std::string line = u.label + by_rows + attributes_text(p.node(u.nodes[0]));
        for (core::NodeId in : u.operands) line += " " + size_text(p, in);
        line += " -> " + size_text(p, u.claimed_value()) + ": " + u.claimed->chosen() + "\n";
        if (seen.insert(line).second) out += line;
    }
    return out;
}

std::string units(const Asked& a, core::Backend& backend) {
    const bench::Workload w = bench::find_workload(a.workload, a.batches.empty() ? 0 : a.batches[0]);
    bench::Bench b(w, backend);
    return ops::backend_description() + "\n" + units_text(*b.session().program("train", w.batch));
}

Json inference(const Asked& a, core::Backend& backend) {
    const auto batches = a.batches.empty() ? std::vector<std::int64_t>{1, 128} : a.batches;
    Json all = Json::array();
    for (std::int64_t rows : batches) {
        const bench::Workload w = bench::find_workload(a.workload, rows);
        bench::Bench b(w, backend);
        ops::settle_team();
        Json one{{"batch", rows}};
        b.run("reconstruct", 0);
        one["first_ms"] = all.empty() ? Json(rounded(1e3 * bench::seconds_since_start(), 0)) : Json();
        const auto times = bench::timed(a.effort, [&](std::int64_t n) { b.run("reconstruct", n); });
        add_times(one, times, rows);
        const double flops = bench::product_flops(*b.session().program("reconstruct", rows));
        one["gflops"] = rounded(1e-9 * flops / times.median(), 1);
        one["encode_ms"] = rounded(1e3 * bench::timed(a.effort, [&](std::int64_t n) { b.run("encode", n); }).median());
        all.push_back(one);
    }
    Json j = about(a, bench::find_workload(a.workload), "inference");
    j.erase("batch");
    j["inference"] = all;
    j["rss_mib"] = rounded(bench::peak_bytes() / kMib, 1);
    return j;
}

Json limit(const Asked& a, core::Backend& backend) {
    ops::settle_team();
    const core::Roofline l = ops::measure_roofline(backend, a.effort.seconds, 256 << 20);
    Json j = head(a);
    j["mode"] = "limit";
    j["gflops"] = rounded(l.flops * 1e-9, 1);
    j["triad_8mb_gb_s"] = rounded(l.cached_bytes * 1e-9, 1);
    j["triad_256mb_gb_s"] = rounded(l.bytes * 1e-9, 1);
    return j;
}

int run(int argc, char** argv) {
    const Asked a = asked_of(argc, argv);
    if (a.help) {
        print_help();
        return 0;
    }
    const auto backend = ops::make_backend("dnnl", a.threads, ops::usable_precision(a.precision));
    if (a.units) {
        fmt::print("{}", units(a, *backend));
        return 0;
    }
    const Json j = a.limit ? limit(a, *backend) : a.inference ? inference(a, *backend) : training(a, *backend);
    if (a.json) fmt::print("{}\n", j.dump());
    else
        for (const auto& [key, value] : j.items()) fmt::print("{:<26} {}\n", key, value.dump());
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    ops::wait_passively(argv);
    try {
        return run(argc, argv);
    } catch (const core::Error& e) {
        fmt::print(stderr, "error: {}\n", e.what());
        return int(e.code());
    } catch (const std::exception& e) {
        fmt::print(stderr, "error: {}\n", e.what());
        return int(core::Exit::usage);
    }
}
