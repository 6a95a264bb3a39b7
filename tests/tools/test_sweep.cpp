// train --sweep: the plan, its refusals, and runs side by side that a kill or a signal does not spoil.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

#include "core/base/error.hpp"
#include "core/base/text.hpp"
#include "tests/bench/command.hpp"
#include "tools/runner/sweep/outcome.hpp"
#include "tools/runner/sweep/picture.hpp"

using namespace elbo;
using namespace elbo::test;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

std::vector<std::string> names_of(std::vector<tools::Point> points, std::int64_t seeds = 0) {
    tools::plan_runs(points, seeds, 1);
    std::vector<std::string> out;
    for (const auto& p : points)
        for (const auto& r : p.runs) out.push_back(r.name);
    return out;
}

std::vector<tools::Axis> axes(const std::vector<std::string>& written) {
    std::vector<tools::Axis> out;
    for (const auto& w : written) out.push_back(tools::axis_of(w));
    return out;
}

/// What an error says; "" when there is none.
template <class F>
std::string said(F f) {
    try {
        f();
    } catch (const core::Error& e) {
        CHECK(e.code() == core::Exit::usage);
        return e.what();
    }
    return "";
}

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::vector<std::string> sweep(const std::vector<std::string>& more, const std::string& out = "sweep") {
    std::vector<std::string> words{"--batch", "100"};
    words.insert(words.end(), more.begin(), more.end());
    auto all = tiny_run(out, words);
    // The tiny run's own latent and threads are what a sweep chooses.
    for (const char* flag : {"--latent", "--threads"}) {
        const auto at = std::find(all.begin(), all.end(), flag);
        all.erase(at, at + 2);
    }
    return all;
}

const std::vector<std::string> kFour{"--sweep", "latent=2,4", "--sweep", "model.beta=0.5,2", "--jobs", "2"};

/// results.csv, or metrics.csv, without the seconds at the end of each line.
std::string without_seconds(const fs::path& file) {
    std::string out;
    for (const std::string& line : core::pieces(get(file), '\n')) out += line.substr(0, line.rfind(',')) + "\n";
    return out;
}

} // namespace

TEST_CASE("sweep: a grid is every value with every other, the last key fastest, each seed of each") {
    CHECK(names_of(tools::grid_points(axes({"latent=8,16", "model.beta=0.5,1"})), 2) ==
          std::vector<std::string>{"latent=8,model.beta=0.5,seed=1", "latent=8,model.beta=0.5,seed=2",
                                   "latent=8,model.beta=1,seed=1", "latent=8,model.beta=1,seed=2",
                                   "latent=16,model.beta=0.5,seed=1", "latent=16,model.beta=0.5,seed=2",
                                   "latent=16,model.beta=1,seed=1", "latent=16,model.beta=1,seed=2"});
    CHECK(names_of(tools::grid_points({}), 2) == std::vector<std::string>{"seed=1", "seed=2"});
    CHECK(names_of(tools::grid_points(axes({"encoder.hidden=400,400;200"}))) ==
          std::vector<std::string>{"encoder.hidden=400,400", "encoder.hidden=200"});
    CHECK(tools::axis_of("checkpoint-every=1,2").key == "checkpoint_every");
}

TEST_CASE("sweep: what cannot be a folder's name still gets one of its own") {
    const auto names = names_of(tools::grid_points(axes({"data.path=../a/b.csv,../a_b.csv," + std::string(500, 'x')})));
    CHECK(names[0] == "data.path=.._a_b.csv");
    CHECK(names[1] == "data.path=.._a_b.csv_2");
    CHECK(names[2].size() < 200);
}

TEST_CASE("sweep: draws are within the range, of their kind, all different, and the same for the same seed") {
    const auto all = axes({"optimizer.lr=1e-4..1e-2:log", "latent=2..5", "prior=laplace,vamp"});
    const auto points = tools::random_points(all, 40, 7, {"latent"});
    REQUIRE(points.size() == 40);
    int below = 0;
    std::set<std::string> latents, priors;
    for (const auto& p : points) {
        const double lr = std::stod(p.settings[0].value);
        CHECK(lr >= 1e-4);
        CHECK(lr <= 1e-2);
        below += lr < 1e-3;
        latents.insert(p.settings[1].value);
        priors.insert(p.settings[2].value);
    }
    CHECK(below > 10); // uniform on a log scale: about half; on a plain one it would be a tenth
    CHECK(below < 30);
    CHECK(latents == std::set<std::string>{"2", "3", "4", "5"});
    CHECK(priors.size() == 2);
    CHECK(names_of(points) == names_of(tools::random_points(all, 40, 7, {"latent"})));
    CHECK(names_of(points) != names_of(tools::random_points(all, 40, 8, {"latent"})));
    const auto three = names_of(tools::random_points(axes({"latent=1..3"}), 3, 1, {"latent"}));
    CHECK(std::set<std::string>(three.begin(), three.end()).size() == 3);
    CHECK(holds(said([] { tools::random_points(axes({"latent=1..3"}), 4, 1, {"latent"}); }), "only 3 different"));
}

TEST_CASE("sweep: what is written wrongly is refused with the reason") {
    CHECK(holds(said([] { tools::axis_of("latent"); }), "is not KEY=VALUES"));
    CHECK(holds(said([] { tools::axis_of("latent="); }), "is not KEY=VALUES"));
    CHECK(holds(said([] { tools::axis_of("latent=4,,8"); }), "empty value"));
    CHECK(holds(said([] { tools::axis_of("latent=4,8,4"); }), "'4' is there twice"));
    CHECK(holds(said([] { tools::axis_of("latent=9..3"); }), "smaller number"));
    CHECK(holds(said([] { tools::axis_of("latent=0..3:log"); }), "above 0"));
    CHECK(holds(said([] { tools::axis_of("latent=1..3:lin"); }), "only :log"));
    CHECK(holds(said([] { tools::grid_points(axes({"latent=1..3"})); }), "--random N"));
    CHECK(holds(said([] { tools::random_points(axes({"latent=1.2..1.8"}), 1, 1, {"latent"}); }), "no whole number"));
}

TEST_CASE("sweep: rounds are a quarter, a half and all; the better half, rounded up, goes on") {
    CHECK(tools::rounds_of(4) == std::vector<std::int64_t>{1, 2, 4});
    CHECK(tools::rounds_of(10) == std::vector<std::int64_t>{3, 5, 10});
    CHECK(tools::better_half({3.0, 1.0, 2.0, 0.5}) == std::vector<std::size_t>{1, 3});
    CHECK(tools::better_half({3.0, 1.0, 1.0, 1.0, {}}) == std::vector<std::size_t>{1, 2, 3});
    CHECK(tools::better_half({{}, 9.0, {}, {}}) == std::vector<std::size_t>{1});
    CHECK(tools::better_half({}).empty());
}

TEST_CASE("sweep: metrics are those of the last epoch, of the best one where that is kept, and none after the round") {
    const std::string csv =
        "epoch,step,train_loss,train_kl,test_loss,test_kl,test_negative_elbo,test_squared_error,active_latents,"
        "seconds\n"
        "1,3,9,1,8,1.5,8,2,3,0.5\n2,6,7,1,6,2.5,6,2,3,0.25\n3,9,5,1,7,3.5,7,2,3,0.25\n";
    const auto last = tools::measured(csv, false, 100);
    CHECK(last.epochs == 3);
    CHECK(last.loss == 7.0);
    CHECK(last.seconds == 1.0);
    REQUIRE(last.terms.size() == 1);
    CHECK(last.terms[0] == std::pair<std::string, double>{"kl", 3.5});
    CHECK(tools::measured(csv, true, 100).loss == 6.0);
    CHECK(tools::measured(csv, true, 100).terms[0].second == 2.5);
    CHECK(tools::measured(csv, false, 1).loss == 8.0);
    const auto blind = tools::measured("epoch,step,train_loss,train_kl,seconds\n1,3,9,1,2\n", true, 9);
    CHECK(!blind.on_test);
    CHECK(blind.loss == 9.0);
    CHECK(!tools::measured("", false, 9).loss);
}

TEST_CASE("sweep: mean and spread over seeds, sorted by loss, and what has none comes last") {
    tools::Outcome all{"out", {"latent"}, {}};
    const auto add = [&](const std::string& latent, const std::vector<double>& losses) {
        tools::PointOutcome p{{"latent=" + latent, {{"latent", latent, ""}}, {}}, {}};
        for (double loss : losses) {
            const bool lost = std::isnan(loss);
            tools::Measured m{4, true, loss, {{"kl", loss / 10}}, 1};
            if (lost) m.loss.reset();
            const auto state = lost ? tools::State::diverged : tools::State::finished;
            tools::RunOutcome run;
            run.run = {"latent=" + latent + ",seed=1", 1};
            run.state = state, run.code = lost ? 5 : 0, run.measured = m;
            p.runs.push_back(run);
        }
        all.points.push_back(p);
    };
    add("2", {NAN, NAN});
    add("4", {5, NAN});
    add("8", {20, 22, 24});
    add("16", {10, 12});
    tools::sort_by_loss(all);
    const std::string table = tools::table_of(all);
    CHECK(holds(table, "latent=16  11.000 ± 1.414"));
    CHECK(holds(table, "latent=8   22.000 ± 2.000"));
    CHECK(holds(table, "1 of 2 diverged"));
    CHECK(holds(table, "2 of 2 diverged"));
    CHECK(table.find("latent=16 ") < table.find("latent=8 "));
    CHECK(table.find("latent=8 ") < table.find("latent=4 "));
    CHECK(table.find("latent=4 ") < table.find("latent=2 "));
    const std::string svg = tools::svg_of(all, {});
    CHECK(std::count(svg.begin(), svg.end(), '<') == std::count(svg.begin(), svg.end(), '>'));
    CHECK(holds(svg, "1 without a loss"));
    CHECK(holds(svg, "latent=16: 11.000 ± 1.414"));
    CHECK(!holds(svg, "nan"));
}

TEST_CASE("sweep: refused before anything starts, with the nearest name") {
    TempFolder t;
    const auto refuses = [&](const std::vector<std::string>& words, const std::vector<std::string>& texts) {
        refused_at_once(runner(sweep(words), t.path), 2, texts);
        CHECK(t.names().empty());
    };
    refuses({"--sweep", "latnt=2,4"}, {"there is no setting 'latnt'; did you mean 'latent'?", "--sweep latnt=2"});
    refuses({"--sweep", "model.bet=1,2"}, {"did you mean 'beta'?"});
    refuses({"--sweep", "model.bet=1..2", "--random", "2"}, {"did you mean 'beta'?"});
    refuses({"--sweep", "latent=2,four"}, {"--sweep latent=four", "whole number"});
    refuses({"--sweep", "latent=2..4"}, {"a grid has no range", "--random N"});
    refuses({"--sweep", "latent=2,4", "--sweep", "latent=8"}, {"'latent' is swept twice"});
    refuses({"--sweep", "latent=2,4", "--latent", "8"}, {"--latent is given too"});
    refuses({"--sweep", "seed=1,2", "--seeds", "2"}, {"--seeds chooses"});
    refuses({"--sweep", "threads=1,2"}, {"--jobs"});
    refuses({"--sweep", "latent=2,4", "--stop-after-worst"}, {"needs 4 epochs or more"});
    refuses({"--jobs", "2"}, {"--jobs belongs to a sweep"});
    refuses({"--random", "2", "--seeds", "2"}, {"no --sweep"});
    refuses({"--sweep", "latent=2,4", "--overwrite"}, {"--overwrite", "is not replaced"});
    refuses({"--sweep", "latent=2,4", "--jobs", "0"}, {"--jobs"});
    put(t / "file", "mine");
    refused_at_once(runner(sweep(kFour, "."), t.path), 2, {"not a sweep's"});
    CHECK(t.names() == std::vector<std::string>{"file"});
}

TEST_CASE("sweep: points side by side give what each gives alone; again, nothing is run; another plan is refused") {
    TempFolder t;
    const Outcome o = runner(sweep(kFour), t.path);
    must_be_done(o);
    CHECK(holds(o.out, "latent=4,model.beta=0.5"));
    CHECK(o.has("[4/4] "));
    CHECK(get(t / "sweep/sweep.svg").starts_with("<svg "));
    must_be_done(runner(tiny_run("alone", {"--batch", "100", "--latent", "2", "--model.beta", "2"}), t.path));
    CHECK(without_seconds(t / "sweep/latent=2,model.beta=2/metrics.csv") == without_seconds(t / "alone/metrics.csv"));
    CHECK(holds(get(t / "sweep/logs/latent=2,model.beta=2.txt"), "epoch 2/2"));

    const std::string results = get(t / "sweep/results.csv");
    const auto before = fs::last_write_time(t / "sweep/latent=2,model.beta=2/config.toml");
    const Outcome again = runner({"resume", "sweep", "--json"}, t.path);
    must_be_done(again);
    CHECK(again.err == "");
    CHECK(get(t / "sweep/results.csv") == results);
    CHECK(fs::last_write_time(t / "sweep/latent=2,model.beta=2/config.toml") == before);
    const auto j = json::parse(again.out);
    REQUIRE(j["points"].size() == 4);
    for (int i = 0; i < 3; ++i) CHECK(j["points"][i]["loss"] <= j["points"][i + 1]["loss"]);
    CHECK(j["points"][0]["runs"][0]["epochs"] == 2);

    refused(runner(sweep({"--sweep", "latent=2,4,8"}), t.path), 2, {"another sweep", "latent=2,4,8 here"});
    auto other = sweep(kFour);
    other.insert(other.end(), {"--epochs", "3"});
    refused(runner(other, t.path), 2, {"epochs: 2 there, 3 here", "model-runner resume sweep"});
    refused(runner({"resume", "sweep", "--epochs", "3"}, t.path), 2, {"by its own plan"});
    put(t / "sweep/sweep.json", "{\"format\": 2}");
    refused(runner({"resume", "sweep"}, t.path), 3, {"newer version", "sweep.json"});
    put(t / "sweep/sweep.json", "{\"format\": 1}");
    refused(runner({"resume", "sweep"}, t.path), 3, {"damaged"});
}

TEST_CASE("sweep: killed in the middle, or stopped by a signal, then again: as if undisturbed") {
    TempFolder t;
    std::vector<std::string> long_one = kFour;
    long_one.insert(long_one.end(), {"--epochs", "6", "--checkpoint-every", "3"});
    must_be_done(runner(sweep(long_one, "whole"), t.path));
    const auto disturbed = [&](const std::string& name, int signal, const std::string& when, int code) {
        auto words = sweep(long_one, name);
        words.insert(words.begin(), ELBO_RUNNER);
        const Outcome o = run({.words = words, .folder = t.path, .when = when, .signal = signal});
        INFO(o.text());
        CHECK(o.code == code);
        CHECK(o.out == "");
        const auto ended = json::parse(get(t / name / "sweep.json"))["ended"].size();
        CHECK(ended >= 1);
        CHECK(ended < 4);
        if (signal == SIGTERM) CHECK(o.has("go on with: model-runner resume " + name));
        must_be_done(signal == SIGTERM ? runner({"resume", name}, t.path) : runner(sweep(long_one, name), t.path));
        CHECK(without_seconds(t / name / "results.csv") == without_seconds(t / "whole/results.csv"));
    };
    disturbed("killed", SIGKILL, "[1/4] ", 128 + SIGKILL);
    disturbed("told", SIGTERM, "[1/4] ", 128 + SIGTERM);
}

TEST_CASE("sweep: halving stops the worse half at a quarter and a half, and changes nothing for the others") {
    TempFolder t;
    const std::vector<std::string> points{"--sweep", "optimizer.lr=1e-6,1e-3,1e-5,1e-2", "--latent", "4", "--epochs",
                                          "4"};
    auto halved = points;
    halved.push_back("--stop-after-worst");
    must_be_done(runner(sweep(points, "all"), t.path));
    const Outcome o = runner(
        [&] {
            auto words = sweep(halved, "halved");
            words.push_back("--json");
            return words;
        }(),
        t.path);
    must_be_done(o);
    CHECK(o.has("after 1 epoch: 2 of 4 points go on"));
    CHECK(o.has("after 2 epochs: 1 of 2 points go on"));
    const auto j = json::parse(o.out);
    std::map<std::string, int> epochs;
    double best_left_out = 1e9, worst_kept = -1e9;
    for (const auto& p : j["points"]) {
        const std::string lr = p["settings"]["optimizer.lr"];
        epochs[lr] = p["runs"][0]["epochs"];
        CHECK(p["runs"][0]["state"] == (epochs[lr] == 4 ? "finished" : "stopped"));
        // After the first epoch, as the sweep that stops none saw it.
        const auto line = core::pieces(get(t / ("all/optimizer.lr=" + lr + "/metrics.csv")), '\n')[1];
        const auto header = core::pieces(core::pieces(get(t / "all/optimizer.lr=1e-6/metrics.csv"), '\n')[0], ',');
        const auto at = std::find(header.begin(), header.end(), "test_loss") - header.begin();
        const double loss = std::stod(core::pieces(line, ',')[std::size_t(at)]);
        if (epochs[lr] == 1) best_left_out = std::min(best_left_out, loss);
        else worst_kept = std::max(worst_kept, loss);
        if (epochs[lr] == 4)
            CHECK(without_seconds(t / ("halved/optimizer.lr=" + lr + "/metrics.csv")) ==
                  without_seconds(t / ("all/optimizer.lr=" + lr + "/metrics.csv")));
    }
    CHECK(worst_kept < best_left_out);
    CHECK(epochs["1e-6"] == 1);
    CHECK(epochs["1e-5"] == 1);
    CHECK(epochs["1e-3"] + epochs["1e-2"] == 6);
}

TEST_CASE("sweep: a point that diverges is told as such, the others go on, and it is not tried again") {
    TempFolder t;
    const auto words = sweep({"--sweep", "optimizer.lr=1e-3,1e30", "--latent", "2"});
    const Outcome o = runner(words, t.path);
    must_be_done(o);
    CHECK(o.has("optimizer.lr=1e30: diverged (exit code 5), see sweep/logs/optimizer.lr=1e30.txt"));
    CHECK(holds(o.out, "diverged"));
    CHECK(holds(get(t / "sweep/results.csv"), "optimizer.lr=1e30,1e30,,diverged,5,"));
    CHECK(holds(get(t / "sweep/logs/optimizer.lr=1e30.txt"), "error: "));
    const Outcome again = runner(words, t.path);
    must_be_done(again);
    CHECK(again.err == "");
    CHECK(again.out == o.out);
    refused(runner(sweep({"--sweep", "optimizer.lr=1e30,2e30", "--latent", "2"}, "none"), t.path), 5,
            {"no run came to an end", "none/logs"});
}

TEST_CASE("sweep: two in one folder at a time: the second is told who is at work") {
    TempFolder t;
    must_be_done(runner(sweep({"--sweep", "latent=2,4"}), t.path));
    const int file = ::open((t / "sweep/lock").c_str(), O_RDWR | O_CLOEXEC);
    REQUIRE(file >= 0);
    REQUIRE(::flock(file, LOCK_EX | LOCK_NB) == 0);
    refused_at_once(runner(sweep({"--sweep", "latent=2,4"}), t.path), 1, {"in use", "process ", "(sweep, since"});
    refused_at_once(runner({"resume", "sweep"}, t.path), 1, {"in use"});
    ::close(file);
    must_be_done(runner({"resume", "sweep"}, t.path));
}
