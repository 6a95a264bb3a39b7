// verify and doctor: what is damaged is found and named, and what is sound is called so.
#include <doctest/doctest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/bench/command.hpp"

using namespace elbo::test;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

json verified(const TrainedRun& t, int code = 0) {
    const Outcome o = runner({"verify", "run", "--json"}, t.path);
    INFO(o.text());
    REQUIRE(o.code == code);
    CHECK(!o.has("going on from")); // nothing goes on
    return json::parse(o.out);
}

json line_of(const json& all, const std::string& file) {
    for (const json& f : all["files"])
        if (f["file"] == file) return f;
    return {{"state", "not listed"}, {"text", ""}};
}

std::string newest_checkpoint(const TrainedRun& t) {
    std::string newest;
    for (const auto& e : fs::directory_iterator(t / "run/checkpoints"))
        newest = std::max(newest, e.path().filename().string());
    return "checkpoints/" + newest;
}

// One bit, far from the beginning.
void flip(const fs::path& file) {
    std::string bytes = get(file);
    bytes[bytes.size() - bytes.size() / 4] ^= 1;
    put(file, bytes);
}

void cut(const fs::path& file) { put(file, get(file).substr(0, get(file).size() / 2)); }

void found_damaged(const TrainedRun& t, const std::string& file, const std::string& why) {
    const json all = verified(t, 3);
    CHECK(all["sound"] == false);
    INFO(all.dump(2));
    CHECK(line_of(all, file)["state"] == "damaged");
    CHECK(line_of(all, file)["text"].get<std::string>().find(why) != std::string::npos);
    for (const json& f : all["files"])
        if (f["file"] != file) CHECK(f["counts"] == false);
}

} // namespace

TEST_CASE("verify: every file of a fresh run is sound, and every checkpoint loads") {
    const TrainedRun t;
    t.use({"encode", "run"});
    t.use({"score", "run", "--out", "run/scores.csv"});
    const json all = verified(t);
    CHECK(all["sound"] == true);
    std::set<std::string> listed;
    for (const json& f : all["files"]) {
        INFO(f.dump());
        CHECK(f["state"] == "sound");
        listed.insert(f["file"]);
    }
    for (const auto& e : fs::recursive_directory_iterator(t / "run"))
        if (e.is_regular_file())
            CHECK_MESSAGE(listed.count(e.path().lexically_relative(t / "run").string()), e.path().string());
    CHECK(listed.count("data"));
    CHECK(listed.count("plugin model_vae"));
    CHECK(line_of(all, newest_checkpoint(t))["text"].get<std::string>().find("loads") != std::string::npos);
    CHECK(t.use({"verify", "run"}).find("the run is sound") != std::string::npos);
}

TEST_CASE("verify: one bit of a checkpoint or of the weights") {
    const TrainedRun t;
    const std::string checkpoint = newest_checkpoint(t);
    const std::string before = t.file("run/" + checkpoint);
    flip(t / "run" / checkpoint);
    found_damaged(t, checkpoint, "checksum");
    put(t / "run" / checkpoint, before);
    flip(t / "run/model/weights.safetensors");
    found_damaged(t, "model/weights.safetensors", "checksum");
}

TEST_CASE("verify: texts and pictures that are not what was written") {
    const TrainedRun t;
    const std::string metrics = t.file("run/metrics.csv"), info = t.file("run/run.json");
    const std::string first_epoch = metrics.substr(metrics.find('\n') + 1, metrics.find("\n2,") - metrics.find('\n'));
    t.replace("run/metrics.csv", first_epoch, "");
    found_damaged(t, "metrics.csv", "epoch 2 where 1 should be");
    put(t / "run/metrics.csv", metrics);
    cut(t / "run/run.json");
    found_damaged(t, "run.json", "not JSON");
    put(t / "run/run.json", info);
    const std::string data = t.file("run/data.json");
    flip(t / "run/data.json");
    found_damaged(t, "data.json", "not what was written");
    put(t / "run/data.json", data);
    const std::string picture = t.file("run/pictures/samples.png");
    cut(t / "run/pictures/samples.png");
    found_damaged(t, "pictures/samples.png", "can be decoded");
    put(t / "run/pictures/samples.png", picture);
    t.use({"encode", "run"});
    cut(t / "run/codes.npy");
    found_damaged(t, "codes.npy", "its shape needs");
}

TEST_CASE("verify: a configuration that makes no model, or another one") {
    const TrainedRun t;
    const std::string config = t.file("run/config.toml");
    t.replace("run/config.toml", "'standard_normal'", "'gone'");
    const json gone = verified(t, 3);
    CHECK(line_of(gone, "config.toml")["state"] == "damaged");
    CHECK(line_of(gone, "config.toml")["text"].get<std::string>().find("'gone'") != std::string::npos);
    put(t / "run/config.toml", config);
    t.replace("run/config.toml", "latent = 4", "latent = 5");
    const json other = verified(t, 3);
    CHECK(line_of(other, newest_checkpoint(t))["state"] == "damaged");
    CHECK(line_of(other, "model/weights.safetensors")["state"] == "damaged");
}

TEST_CASE("verify: other data than then counts, data that is gone is told") {
    TempFolder t;
    std::string rows = "a,b\n";
    for (int i = 0; i < 50; ++i) rows += std::to_string(i % 7) + "," + std::to_string(i % 5) + "\n";
    put(t / "x.csv", rows);
    must_be_done(runner({"train", "vae", "--data", "csv", "--data.path", "x.csv", "--encoder.hidden", "4",
                         "--decoder.hidden", "4", "--epochs", "1", "--threads", "1", "--out", "run"},
                        t.path));
    const auto verify = [&](int code) {
        const Outcome o = runner({"verify", "run", "--json"}, t.path);
        INFO(o.text());
        REQUIRE(o.code == code);
        return json::parse(o.out);
    };
    CHECK(line_of(verify(0), "data")["state"] == "sound");
    put(t / "x.csv", rows + "1,2\n");
    CHECK(line_of(verify(3), "data")["state"] == "changed");
    fs::remove(t / "x.csv");
    const json gone = verify(0);
    CHECK(line_of(gone, "data")["state"] == "note");
    CHECK(line_of(gone, "data")["text"].get<std::string>().find("not there") != std::string::npos);
    CHECK(line_of(gone, "model/weights.safetensors")["state"] == "sound");
}

TEST_CASE("verify: a plugin of another hash is told and does no harm, one that is gone counts") {
    const TrainedRun t;
    json info = json::parse(t.file("run/run.json"));
    info["plugins"]["prior_standard_normal"]["sha256"] = "00";
    put(t / "run/run.json", info.dump());
    CHECK(line_of(verified(t), "plugin prior_standard_normal")["state"] == "changed");
    info["plugins"]["prior_of_mine"] = {{"file", "/nowhere/prior.so"}, {"sha256", "00"}};
    put(t / "run/run.json", info.dump());
    const json gone = line_of(verified(t, 3), "plugin prior_of_mine");
    CHECK(gone["state"] == "missing");
    CHECK(gone["text"].get<std::string>().find("/nowhere/prior.so") != std::string::npos);
}

TEST_CASE("verify: what lies there beside is noted and does no harm; a link is not followed") {
    const TrainedRun t;
    put(t / "run/notes.txt", "mine");
    put(t / "run/metrics.csv.tmp-1", "epo");
    fs::create_symlink("/etc", t / "run/elsewhere");
    const json all = verified(t);
    CHECK(line_of(all, "notes.txt")["state"] == "note");
    CHECK(line_of(all, "metrics.csv.tmp-1")["state"] == "note");
    CHECK(line_of(all, "elsewhere")["text"].get<std::string>().find("not followed") != std::string::npos);
    CHECK(line_of(all, "elsewhere/passwd")["state"] == "not listed");
    refused_at_once(runner({"verify", "nothing"}, t.path), 3, {"not a run"});
    fs::remove(t / "run/run.json");
    CHECK(line_of(verified(t, 3), "run.json")["state"] == "missing");
}

TEST_CASE("doctor: works here, names what it looked at, and says why a plugin was refused") {
    TempFolder t;
    fs::create_directory(t / "plugins");
    fs::copy(ELBO_TEST_PLUGIN_DIR "/other_major.so", t / "plugins/other_major.so");
    const std::string path = (t / "plugins").string() + ":relative:" + (t / "none").string();
    const Outcome o = run({.words = {ELBO_RUNNER, "doctor", "--json"},
                           .folder = t.path,
                           .environment = {{"ELBO_PLUGIN_PATH", path}, {"ELBO_DATA", (t / "none").string()}}});
    must_be_done(o);
    const json all = json::parse(o.out);
    CHECK(all["works"] == true);
    std::map<std::string, int> topics, warnings;
    std::string texts;
    for (const json& f : all["findings"]) {
        ++topics[f["topic"].get<std::string>()];
        warnings[f["topic"].get<std::string>()] += f["state"] == "warning";
        texts += f["text"].get<std::string>() + "\n";
    }
    for (const char* topic : {"version", "processor", "cores", "threads", "memory", "backend", "parts", "disk"})
        CHECK_MESSAGE(topics[topic] == 1, topic);
    CHECK(topics["data"] == 2);
    CHECK(warnings["plugin folder"] == 2);
    CHECK(warnings["plugin"] == 1);
    CHECK(warnings["ELBO_DATA"] == 1);
    INFO(texts);
    CHECK(texts.find("other_major.so: refused: ") != std::string::npos);
    CHECK(texts.find("oneDNN ") != std::string::npos);
    CHECK(texts.find("relative (ELBO_PLUGIN_PATH): it is not absolute") != std::string::npos);
}

TEST_CASE("doctor: a plugin that crashes is a finding") {
    const Outcome o = run({.words = {ELBO_RUNNER, "doctor", "--plugin-dir", ELBO_TEST_PLUGIN_DIR}, .environment = {}});
    INFO(o.text());
    CHECK(o.code == 0);
    CHECK(o.out.find("refused: ") != std::string::npos);
    CHECK(o.out.find("elbo works; ") != std::string::npos);
}
