// eval, reconstruct, sample, encode and score: what a trained run is for.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <set>
#include <sstream>

#include <nlohmann/json.hpp>

#include "core/base/error.hpp"
#include "core/files/arrays.hpp"
#include "core/files/picture.hpp"
#include "core/run/evaluation.hpp"
#include "core/run/metrics.hpp"
#include "core/run/resolve.hpp"
#include "tools/runner/commands.hpp"

namespace elbo::tools {

using core::Error;
using core::Exit;
using core::Split;
using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kMostSamples = 1 << 20, kMostDrawn = 10000;

Split split_of(const Arguments& arguments, const core::Rows& rows) {
    const std::string name = arguments.value("split").value_or("test");
    if (name != "train" && name != "test")
        throw Error(Exit::usage, fmt::format("--split: '{}'; there are train, test", name));
    const Split split = name == "train" ? Split::train : Split::test;
    if (rows.count(split) == 0) throw Error(Exit::data, fmt::format("the data has no {} rows", name));
    return split;
}

// Runs a purpose over rows first .. first+count, in batches, and hands on each output.
template <class F>
void each_batch(const OpenRun& open, const std::string& purpose, Split split, std::int64_t first, std::int64_t count,
                F f) {
    const std::int64_t batch = std::min(open.config.batch, count);
    std::vector<float> x(std::size_t(batch * open.rows().values()));
    std::vector<std::int64_t> which(static_cast<std::size_t>(batch));
    std::uint64_t step = 0;
    for (std::int64_t at = 0; at < count; at += batch) {
        const std::int64_t n = std::min(batch, count - at);
        std::iota(which.begin(), which.end(), first + at);
        open.rows().read(split, {which.data(), std::size_t(n)}, x.data());
        open.session().run(purpose, x.data(), n, ++step);
        f(first + at, open.session().output(purpose));
    }
}

// Said before anything is computed.
fs::path checked_ending(const fs::path& out, const std::vector<std::string>& endings) {
    if (std::find(endings.begin(), endings.end(), out.extension().string()) != endings.end()) return out;
    throw Error(Exit::usage, fmt::format("--out: '{}' must end in {}", out.string(), fmt::join(endings, " or ")));
}

void write_array(const fs::path& file, const std::vector<float>& values, const core::Dims& dims,
                 const std::string& column) {
    if (file.extension() == ".npy") return core::write_npy(file, values, dims);
    std::vector<std::string> header;
    for (std::int64_t i = 0; i < dims.row(); ++i) header.push_back(column + std::to_string(i));
    core::write_csv(file, header, std::vector<double>(values.begin(), values.end()));
}

bool is_picture(const fs::path& file, const core::Dims& row) {
    if (file.extension() != ".png") return false;
    if (!is_image(row))
        throw Error(Exit::usage, fmt::format("rows of {} are no images; use --out FILE.npy or .csv", row.text()));
    return true;
}

} // namespace

int eval(const Arguments& arguments, core::Registry& registry) {
    OpenRun open = open_run(arguments, registry);
    const Split split = split_of(arguments, open.rows());
    const core::Evaluation e = core::evaluate(open.session(), open.rows(), split, open.config.batch);
    // What is no log density has no bound to compare either.
    const bool density = open.session().part("likelihood").property("density").value_or("1") == "1";
    const std::string unit = density ? "nats" : "the likelihood's loss";
    const char* kl_kind = !e.kl ? "none" : e.kl_estimated ? "one-sample estimate" : "analytic";
    if (arguments.has("json")) {
        auto optional = [](const std::optional<double>& v) { return v ? Json(*v) : Json(nullptr); };
        Json j{{"run", arguments.operand},
               {"split", split == Split::train ? "train" : "test"},
               {"rows", e.rows},
               {"epoch", open.progress.epoch},
               {"step", open.progress.step},
               {"negative_elbo", optional(e.negative_elbo())},
               {"reconstruction", optional(e.reconstruction)},
               {"kl", optional(e.kl)},
               {"kl_kind", kl_kind},
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
               {"unit", unit + " per row"}};
        fmt::print("{}\n", j.dump());
        return 0;
    }
    fmt::print("rows            {} ({})\n", e.rows, split == Split::train ? "train" : "test");
    if (auto bound = e.negative_elbo()) fmt::print("negative elbo   {:.4f} per row, in {}, z sampled\n", *bound, unit);
    if (e.reconstruction) fmt::print("reconstruction  {:.4f} per row, in {}, z sampled\n", *e.reconstruction, unit);
    if (e.kl) fmt::print("kl              {:.4f} nats/row, {}\n", *e.kl, kl_kind);
    fmt::print("loss            {:.4f} per row, z sampled\n", e.loss);
    fmt::print("squared error   {:.4f} per row, z the mean\n", e.squared_error);
    fmt::print("active latents  {} of {}\n", e.active, e.code_variance.size());
    return 0;
}

int reconstruct(const Arguments& arguments, core::Registry& registry) {
    OpenRun open = open_run(arguments, registry);
    const Split split = split_of(arguments, open.rows());
    const std::int64_t all = open.rows().count(split);
    std::int64_t first = 0, last = std::min<std::int64_t>(15, all - 1);
    if (auto range = arguments.value("rows")) {
        char rest = 0;
        long long a = 0, b = 0;
        if (std::sscanf(range->c_str(), "%lld..%lld%c", &a, &b, &rest) != 2 || a < 0 || b < a)
            throw Error(Exit::usage, fmt::format("--rows: '{}' is not a range like 0..15", *range));
        if (b >= all) throw Error(Exit::usage, fmt::format("--rows: the split has rows 0..{}", all - 1));
        first = a, last = b;
    }
    const fs::path out = checked_ending(
        arguments.value("out").value_or((open.run.folder() / "pictures" / "reconstructions.png").string()),
        {".png", ".npy", ".csv"});
    if (is_picture(out, open.rows().dims())) {
        if (last - first >= kMostDrawn)
            throw Error(Exit::usage, fmt::format("--rows: at most {} in one picture", kMostDrawn))
                .note("or --out FILE.npy");
        draw_reconstructions(out, open.session(), open.rows(), split, first, last - first + 1);
    } else {
        std::vector<float> values;
        each_batch(open, "reconstruct", split, first, last - first + 1,
                   [&](std::int64_t, std::span<const float> x) { values.insert(values.end(), x.begin(), x.end()); });
        write_array(out, values, {last - first + 1, open.rows().values()}, "x");
    }
    fmt::print("{}\n", out.string());
    return 0;
}

int sample(const Arguments& arguments, core::Registry& registry) {
    OpenRun open = open_run(arguments, registry);
    if (!can_sample(open.session()))
        throw Error(Exit::usage, fmt::format("model '{}' has no prior to sample from", open.config.part("model").name))
            .note("train a 'vae', or use reconstruct or encode");
    const std::int64_t count = arguments.number("count", 1).value_or(64);
    if (count > kMostSamples) throw Error(Exit::usage, fmt::format("--count: at most {} at once", kMostSamples));
    const auto seed = std::uint64_t(arguments.number("seed", 0).value_or(1));
    const fs::path out =
        checked_ending(arguments.value("out").value_or((open.run.folder() / "pictures" / "samples.png").string()),
                       {".png", ".npy", ".csv"});
    if (is_picture(out, open.rows().dims())) {
        if (count > kMostDrawn)
            throw Error(Exit::usage, fmt::format("--count: at most {} in one picture", kMostDrawn))
                .note("or --out FILE.npy");
        draw_samples(out, open.session(), count, seed);
    } else {
        open.session().run("sample", nullptr, count, seed);
        const auto x = open.session().output("sample");
        write_array(out, {x.begin(), x.end()}, {count, open.rows().values()}, "x");
    }
    fmt::print("{}\n", out.string());
    return 0;
}

int encode(const Arguments& arguments, core::Registry& registry) {
    OpenRun open = open_run(arguments, registry);
    const Split split = split_of(arguments, open.rows());
    const fs::path out =
        checked_ending(arguments.value("out").value_or((open.run.folder() / "codes.npy").string()), {".npy", ".csv"});
    std::vector<float> codes;
    each_batch(open, "encode", split, 0, open.rows().count(split),
               [&](std::int64_t, std::span<const float> z) { codes.insert(codes.end(), z.begin(), z.end()); });
    write_array(out, codes, {open.rows().count(split), open.config.latent}, "z");
    fmt::print("{}\n", out.string());
    return 0;
}

namespace {

// The labels named by --anomalies.
std::set<double> named_anomalies(const Arguments& arguments) {
    std::set<double> out;
    std::stringstream pieces(arguments.value("anomalies").value_or(""));
    for (std::string piece; std::getline(pieces, piece, ',');) {
        double v = 0;
        auto [end, error] = std::from_chars(piece.data(), piece.data() + piece.size(), v);
        if (error != std::errc() || end != piece.data() + piece.size())
            throw Error(Exit::usage, fmt::format("--anomalies: '{}' is not a label", piece));
        out.insert(v);
    }
    return out;
}

double auc_of(const std::vector<double>& scores, const std::vector<double>& labels, std::set<double> anomalies) {
    const bool binary = std::all_of(labels.begin(), labels.end(), [](double l) { return l == 0 || l == 1; });
    if (anomalies.empty() && binary) anomalies.insert(1);
    if (anomalies.empty()) {
        fmt::print(stderr, "labels are not 0 and 1: no ROC AUC; say which are anomalies with --anomalies 4,9\n");
        return NAN;
    }
    std::vector<int> is;
    for (double l : labels) is.push_back(anomalies.count(l) ? 1 : 0);
    return core::roc_auc(scores, is);
}

} // namespace

int score(const Arguments& arguments, core::Registry& registry) {
    OpenRun open = open_run(arguments, registry);
    const Split split = split_of(arguments, open.rows());
    const std::int64_t n = open.rows().count(split);
    const bool labelled = open.rows().label_width() > 0;
    if (arguments.has("anomalies") && !labelled)
        throw Error(Exit::data, "--anomalies: the data has no labels").note("for csv, name the column: --data.label");
    const std::set<double> anomalies = named_anomalies(arguments);
    const fs::path out =
        checked_ending(arguments.value("out").value_or((open.run.folder() / "scores.csv").string()), {".csv"});
    std::vector<double> scores, labels, table;
    each_batch(open, "score", split, 0, n,
               [&](std::int64_t, std::span<const float> s) { scores.insert(scores.end(), s.begin(), s.end()); });
    for (std::int64_t i = 0; i < n; ++i) {
        table.insert(table.end(), {double(i), scores[std::size_t(i)]});
        if (!labelled) continue;
        labels.push_back(open.rows().labels(split, i)[0]);
        table.push_back(labels.back());
    }
    core::write_csv(
        out, labelled ? std::vector<std::string>{"row", "score", "label"} : std::vector<std::string>{"row", "score"},
        table);
    const double auc = labelled ? auc_of(scores, labels, anomalies) : NAN;
    if (arguments.has("json")) {
        fmt::print(
            "{}\n",
            Json{{"file", out.string()}, {"rows", n}, {"roc_auc", std::isnan(auc) ? Json(nullptr) : Json(auc)}}.dump());
        return 0;
    }
    fmt::print("{}\n", out.string());
    if (!std::isnan(auc)) fmt::print("roc auc {:.4f}\n", auc);
    return 0;
}

bool is_image(const core::Dims& row) { return row.rank == 2 || (row.rank == 3 && (row[2] == 1 || row[2] == 3)); }

bool can_sample(core::Session& session) {
    for (const auto& k : core::used_kinds(session.part("model").property("uses").value_or("")))
        if (k.kind == "prior") return true;
    return false;
}

namespace {

/// How a sheet of rows of one data set is drawn: small images are enlarged.
struct Look {
    int height, width, channels, scale;
    float low, high;
    explicit Look(const core::SessionSettings& s)
        : height(int(s.data[0])), width(int(s.data[1])), channels(s.data.rank == 3 ? int(s.data[2]) : 1),
          scale(std::max(1, 56 / std::max(height, width))), low(float(s.low)), high(float(s.high)) {}
};

} // namespace

void draw_reconstructions(const fs::path& file, core::Session& session, const core::Rows& rows, Split split,
                          std::int64_t first, std::int64_t count) {
    std::vector<float> x(std::size_t(count * rows.values()));
    std::vector<std::int64_t> which(static_cast<std::size_t>(count));
    std::iota(which.begin(), which.end(), first);
    rows.read(split, which, x.data());
    session.run("reconstruct", x.data(), count, 1);
    const Look l(session.settings());
    core::write_png(file, core::pairs(x, session.output("reconstruct"), count, l.height, l.width, l.channels, 16, l.low,
                                      l.high, l.scale, 2));
}

void draw_samples(const fs::path& file, core::Session& session, std::int64_t count, std::uint64_t seed) {
    session.run("sample", nullptr, count, seed);
    const Look l(session.settings());
    const int columns = int(std::ceil(std::sqrt(double(count))));
    core::write_png(file, core::sheet(session.output("sample"), count, l.height, l.width, l.channels, columns, l.low,
                                      l.high, l.scale, 2));
}

void draw_pictures(const core::Run& run, core::Session& session, const core::Rows& rows) {
    if (!is_image(rows.dims())) return;
    const Split split = rows.count(Split::test) > 0 ? Split::test : Split::train;
    draw_reconstructions(run.folder() / "pictures" / "reconstructions.png", session, rows, split, 0,
                         std::min<std::int64_t>(32, rows.count(split)));
    if (can_sample(session)) draw_samples(run.folder() / "pictures" / "samples.png", session, 64, 1);
}

} // namespace elbo::tools
