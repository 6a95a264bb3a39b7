// compare: from config.toml, run.json and metrics.csv alone.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "core/files/lock.hpp"
#include "tests/bench/command.hpp"

using namespace elbo::test;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

// A run folder as it could have been written, without anything to compute with.
void made_up_run(const fs::path& folder, const std::string& settings, const std::string& metrics,
                 const std::string& values = "1000", const std::string& data = "aa") {
    fs::create_directories(folder);
    put(folder / "config.toml", "[run]\nepochs = 3\n" + settings);
    put(folder / "run.json", R"({"trained_values": )" + values + R"(, "data": {"sha256": ")" + data + R"("}})");
    if (!metrics.empty()) put(folder / "metrics.csv", metrics);
}

constexpr const char* kHead =
    "epoch,step,train_loss,test_loss,test_reconstruction,test_kl,test_squared_error,seconds\n";
const std::string kFirst = std::string(kHead) + "1,5,9,8,7,1,4,1.5\n2,10,7,6,4,2,3,1.5\n3,15,6,7,5,2,2,1.5\n";
const std::string kSecond = std::string(kHead) + "1,5,9,8,7,1,4,0.5\n2,10,7,5,3.5,1.5,3,0.5\n";

struct TwoRuns : TempFolder {
    explicit TwoRuns(const std::string& first = "seed = 1\n", const std::string& second = "seed = 2\n") {
        made_up_run(path / "a", first, kFirst);
        made_up_run(path / "b", second, kSecond, "900");
    }
    Outcome compare(std::vector<std::string> words) const {
        words.insert(words.begin(), "compare");
        return runner(words, path);
    }
    json compared(std::vector<std::string> words) const {
        words.push_back("--json");
        const Outcome o = compare(words);
        must_be_done(o);
        return json::parse(o.out);
    }
};

const std::string kVae =
    "seed = 1\nkeep = 'last'\n[model]\nname = 'vae'\nbeta = 1.0\n[likelihood]\nname = 'bernoulli'\n";

} // namespace

TEST_CASE("compare: the best and the last epoch of each run, and only the settings that differ") {
    TwoRuns t;
    const json j = t.compared({"a", "b/"});
    CHECK(j["differs"] == json::array({"seed"}));
    const json& a = j["runs"][0];
    CHECK(a["run"] == "a");
    CHECK(a["state"] == "finished");
    CHECK(a["best"] ==
          json{{"epoch", 2}, {"loss", 6.0}, {"terms", {{"reconstruction", 4.0}, {"kl", 2.0}, {"squared_error", 3.0}}}});
    CHECK(a["last"]["epoch"] == 3);
    CHECK(a["last"]["loss"] == 7.0);
    CHECK(a["trained_values"] == 1000);
    CHECK(a["seconds"] == 4.5);
    CHECK(a["settings"] == json{{"seed", "1"}});
    CHECK(j["runs"][1]["run"] == "b");
    CHECK(j["runs"][1]["state"] == "stopped");
    CHECK(j["runs"][1]["epochs"] == 2);
    CHECK(j["runs"][1]["epochs_wanted"] == 3);
    CHECK(j["best"]["best_loss"] == json::array({"b"}));
    CHECK(j["best"]["squared_error"] == json::array({"a", "b"}));
    CHECK(j["best"]["trained_values"] == json::array({"b"}));
}

TEST_CASE("compare: the table marks the best of each column, and says where nothing differs") {
    TwoRuns t;
    const Outcome o = t.compare({"a", "b"});
    must_be_done(o);
    CHECK(o.err == "");
    for (const char* text :
         {"5.000*", "6.000 ", "900*", "* the smallest", "settings that differ:\nrun  seed\na    1\nb    2\n"})
        CHECK_MESSAGE(o.out.find(text) != std::string::npos, "wanted: " << text << "\n" << o.out);
    const Outcome same = t.compare({"a", "a"});
    CHECK(same.out.find("no setting differs") != std::string::npos);
    const Outcome alone = t.compare({"a"});
    must_be_done(alone);
    CHECK(alone.out.find('*') == std::string::npos);
}

TEST_CASE("compare: numbers that mean different things have no best, and a line says why") {
    const std::string beta =
        "seed = 1\nkeep = 'last'\n[model]\nname = 'vae'\nbeta = 4.0\n[likelihood]\nname = 'bernoulli'\n";
    const std::string mse = "seed = 1\nkeep = 'last'\n[model]\nname = 'vae'\nbeta = 1.0\n[likelihood]\nname = 'mse'\n";
    {
        const TwoRuns t(kVae, beta);
        const json j = t.compared({"a", "b"});
        CHECK(!j["best"].contains("best_loss"));
        CHECK(j["best"].contains("kl"));
        CHECK(t.compare({"a", "b"}).has("note: the models"));
    }
    {
        const TwoRuns t(kVae, mse);
        const json j = t.compared({"a", "b"});
        CHECK(!j["best"].contains("kl"));
        CHECK(j["best"].contains("squared_error"));
    }
    const TwoRuns t;
    made_up_run(t / "c", "seed = 1\n", kSecond, "900", "bb");
    const json j = t.compared({"a", "c"});
    CHECK(!j["best"].contains("squared_error"));
    CHECK(j["best"].contains("seconds"));
    CHECK(j["notes"][0].get<std::string>().find("same rows") != std::string::npos);
}

TEST_CASE("compare: a run without finished epochs is listed as such, and one that trains says so") {
    const TwoRuns t;
    made_up_run(t / "new", "seed = 3\n", "");
    const Outcome o = t.compare({"a", "new"});
    must_be_done(o);
    CHECK(o.out.find("no finished epoch") != std::string::npos);
    CHECK(o.out.find("0/3") != std::string::npos);
    CHECK(t.compared({"a", "new"})["runs"][1]["best"].is_null());
    const elbo::core::FileLock held(t.path / "new/lock", "train");
    CHECK(t.compared({"a", "new"})["runs"][1]["state"] == "running, no finished epoch");
}

TEST_CASE("compare --csv: a line per run, texts with commas between marks") {
    const TwoRuns t("seed = 1\nhidden = [4, 5]\n", "seed = 1\nhidden = [6]\n");
    must_be_done(t.compare({"a", "b", "--csv", "all.csv"}));
    CHECK(get(t / "all.csv") ==
          "run,state,epochs,epochs_wanted,split,best_loss,best_epoch,reconstruction,kl,squared_error,active_latents,"
          "last_loss,trained_values,seconds,hidden\n"
          "a,finished,3,3,test,6,2,4,2,3,,7,1000,4.5,\"4,5\"\n"
          "b,stopped,2,3,test,5,2,3.5,1.5,3,,5,900,1,6\n");
}

TEST_CASE("compare: what is no run, or damaged, is told and left out; alone it is an error") {
    const TwoRuns t;
    fs::create_directory(t / "empty");
    const Outcome o = t.compare({"a", "empty", "b"});
    CHECK(o.code == 3);
    CHECK(o.has("left out: "));
    CHECK(o.has("not a run"));
    CHECK(o.out.find("5.000*") != std::string::npos);
    refused_at_once(t.compare({"empty"}), 3, {"not a run"});
    put(t / "a/metrics.csv", std::string(kHead) + "1,5,9,8,7,1,4,1.5\n3,15,6,7,5,2,2,1.5\n");
    refused_at_once(t.compare({"a"}), 3, {"a/metrics.csv:3", "epoch 3 where 2 should be"});
    put(t / "a/metrics.csv", std::string(kHead) + "1,5,9,8,7,1,4\n");
    refused_at_once(t.compare({"a"}), 3, {"a/metrics.csv:2", "7 values in 8 columns"});
    put(t / "a/metrics.csv", std::string(kHead) + "1,5,9,8,x,1,4,1\n");
    refused_at_once(t.compare({"a"}), 3, {"'x' is no number"});
    refused_at_once(t.compare({}), 2, {"RUN..."});
}

TEST_CASE("compare: a real run needs neither its plugins nor its data, and says what it trained") {
    const TrainedRun t;
    t.replace("run/config.toml", "'standard_normal'", "'gone_with_its_plugin'");
    const json j = json::parse(t.use({"compare", "run", "--json"}));
    const json& run = j["runs"][0];
    CHECK(run["state"] == "finished");
    CHECK(run["trained_values"] == 784 * 32 + 32 + 32 * 8 + 8 + 4 * 32 + 32 + 32 * 784 + 784);
    CHECK(run["best"]["terms"].contains("negative_elbo"));
    const json eval = json::parse(t.file("run/run.json"));
    CHECK(eval["trained_values"] == run["trained_values"]);
}
