// Run folders that are damaged, in the way, or on a full disk; and verbs asked for what they cannot do.
#include <doctest/doctest.h>
#include <sys/mount.h>

#include <algorithm>

#include "tests/bench/command.hpp"
#include "tests/bench/support.hpp"

using namespace elbo::test;
namespace fs = std::filesystem;

namespace {

constexpr const char* kLast = "checkpoints/step-000000006.safetensors";

// Every path below a folder with its bytes.
std::map<std::string, std::string> all_of(const fs::path& folder) {
    std::map<std::string, std::string> all;
    for (const auto& e : fs::recursive_directory_iterator(folder))
        if (e.path().filename() != "lock") // says who was there last
            all[e.path().string()] = e.is_regular_file() ? get(e.path()) : "";
    return all;
}

// Refused, with every file of the folder as it was.
void check(const fs::path& folder, const std::vector<std::string>& words, int code,
           const std::vector<std::string>& texts) {
    const auto before = all_of(folder);
    std::string line;
    for (const auto& w : words) line += " " + w;
    INFO("model-runner" << line);
    refused(runner(words, folder), code, texts);
    const bool untouched = all_of(folder) == before;
    CHECK(untouched);
}

// A file system of that many bytes at `folder`, for as long as this lives; none without the right to mount.
struct SmallDisk {
    fs::path folder;
    bool there;
    SmallDisk(fs::path at, const std::string& size) : folder(std::move(at)) {
        fs::create_directory(folder);
        there = ::mount("tmpfs", folder.c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
    }
    ~SmallDisk() {
        if (there) ::umount2(folder.c_str(), MNT_DETACH);
    }
};

} // namespace

TEST_CASE("a run that a later version made is refused by every verb, with both versions") {
    TrainedRun t;
    std::string info = get(t / "run/run.json");
    const auto at = info.find("\"elbo\": \"");
    REQUIRE(at != std::string::npos);
    const auto end = info.find('"', at + 9);
    info.replace(at + 9, end - at - 9, "99.1.0");
    put(t / "run/run.json", info);
    for (const char* verb : {"eval", "resume", "sample", "compare", "report", "plan"})
        check(t.path, {verb, "run"}, 3, {"made by elbo 99.1.0"});
}

TEST_CASE("train: a folder that holds a run is left alone unless --overwrite is given") {
    TrainedRun t;
    check(t.path, tiny_run("run"), 2,
          {"there is a run in this folder already", "model-runner resume run", "--overwrite"});
    fs::create_directory(t / "mine");
    put(t / "mine/thesis.txt", "years of work");
    check(t.path, tiny_run("mine"), 2, {"not a run", "mine"});
    check(t.path, tiny_run("mine", {"--overwrite"}), 2, {"not a run", "mine"});
    put(t / "file", "");
    check(t.path, tiny_run("file"), 2, {"file"});
    fs::create_directory(t / "empty");
    must_be_done(runner(tiny_run("empty"), t.path));
}

TEST_CASE("verbs on a folder that is no run say so") {
    TempFolder t;
    fs::create_directory(t / "mine");
    for (const char* verb : {"resume", "eval", "reconstruct", "sample", "encode", "score", "plan"}) {
        check(t.path, {verb, "mine"}, 3, {"not a run", "config.toml", "mine"});
        check(t.path, {verb, "none"}, 3, {"not a run", "none"});
    }
}

TEST_CASE("verbs refuse what they cannot do before they write anything") {
    TrainedRun t;
    for (const auto& [words, texts] : std::vector<std::pair<std::vector<std::string>, std::vector<std::string>>>{
             {{"eval", "run", "--split", "validation"}, {"--split: 'validation'", "train, test"}},
             {{"eval", "run", "--threads", "-1"}, {"--threads"}},
             {{"eval", "run", "--threads", "99999999999"}, {"--threads"}},
             {{"resume", "run", "--epochs", "20000000000"}, {"--epochs"}},
             {{"resume", "run", "--epochs", "0.5"}, {"--epochs"}},
             {{"resume", "run", "--threads", "100000", "--epochs", "3"}, {"--threads"}},
             {{"reconstruct", "run", "--rows", "0..100"}, {"--rows", "0..99"}},
             {{"reconstruct", "run", "--rows", "5"}, {"--rows: '5' is not a range"}},
             {{"reconstruct", "run", "--rows", "7..3"}, {"--rows"}},
             {{"reconstruct", "run", "--out", "x.jpg"}, {".npy", "x.jpg"}},
             {{"sample", "run", "--count", "0"}, {"--count", "0"}},
             {{"sample", "run", "--count", "9000000000000000000"}, {"--count"}},
             {{"sample", "run", "--seed", "-1"}, {"--seed", "-1"}},
             {{"sample", "run", "--out", "x.txt"}, {"x.txt", ".npy"}},
             {{"encode", "run", "--out", "x.png"}, {"x.png", ".npy"}},
             {{"score", "run", "--out", "x.npy"}, {"x.npy", ".csv"}},
             {{"score", "run", "--anomalies", "four"}, {"--anomalies: 'four' is not a label"}},
             {{"plan", "run", "--format", "jsno"}, {"--format", "did you mean 'json'?"}},
             {{"plan", "run", "--purpose", "trian"}, {"--purpose", "did you mean 'train'?"}}})
        check(t.path, words, 2, texts);
    check(t.path, {"encode", "run", "--out", "none/codes.npy"}, 1, {"none"});
    check(t.path, {"score", "run", "--out", "/proc/scores.csv"}, 1, {"/proc/scores.csv"});
}

TEST_CASE("score: anomalies of data without labels, and pictures of rows that are none, are refused") {
    TempFolder t;
    put(t / "rows.csv", "1,2\n3,4\n5,7\n6,9\n");
    must_be_done(runner({"train",
                         "vae",
                         "--data",
                         "csv",
                         "--data.path",
                         "rows.csv",
                         "--data.test-fraction",
                         "0.5",
                         "--likelihood",
                         "gaussian",
                         "--encoder.hidden",
                         "4",
                         "--decoder.hidden",
                         "4",
                         "--latent",
                         "1",
                         "--epochs",
                         "1",
                         "--threads",
                         "1",
                         "--out",
                         "run"},
                        t.path));
    check(t.path, {"score", "run", "--anomalies", "1"}, 3, {"no labels", "--data.label"});
    check(t.path, {"sample", "run"}, 2, {"no images", ".npy"});
    check(t.path, {"reconstruct", "run"}, 2, {"no images", ".csv"});
}

TEST_CASE("a damaged checkpoint is named, and the one before it is taken; without a sound one, that is an error") {
    TrainedRun t;
    const std::string before = get(t.path / "run/checkpoints/step-000000003.safetensors");
    const std::string whole = get(t.path / "run" / kLast);
    std::string longer = whole + "x", other_format = whole, huge = whole;
    other_format.replace(other_format.find("elbo checkpoint 2"), 17, "elbo checkpoint 9");
    huge.replace(0, 8, std::string(8, '\x7f'));
    for (const std::string& bytes : {whole.substr(0, whole.size() - 1), whole.substr(0, 100), whole.substr(0, 7),
                                     std::string(), longer, other_format, huge, std::string(5000, 'x')}) {
        put(t.path / "run" / kLast, bytes);
        put(t / "run/checkpoints/step-000000003.safetensors", before);
        const Outcome o = runner({"eval", "run", "--json"}, t.path);
        must_be_done(o);
        CHECK(o.has("a checkpoint is damaged"));
        CHECK(o.has(kLast));
        CHECK(o.out.find("\"epoch\":1,") != std::string::npos);
        put(t / "run/checkpoints/step-000000003.safetensors", bytes);
        check(t.path, {"eval", "run"}, 3, {kLast});
        check(t.path, {"resume", "run", "--epochs", "3"}, 3, {kLast});
    }
    put(t.path / "run" / kLast, whole);
    must_be_done(runner({"eval", "run"}, t.path));
    fs::remove_all(t / "run/checkpoints");
    check(t.path, {"eval", "run"}, 3, {"no checkpoint", "run"});
}

TEST_CASE("a checkpoint of another configuration is refused with the tensor that differs") {
    TrainedRun t;
    const std::string text = get(t / "run/config.toml");
    t.replace("run/config.toml", "latent = 4", "latent = 5");
    check(t.path, {"eval", "run"}, 3, {"[32, 4]", "[32, 5]", kLast, "another configuration"});
    put(t / "run/config.toml", text);
    t.replace("run/config.toml", "hidden = [32]", "hidden = [32, 16]");
    check(t.path, {"resume", "run", "--epochs", "3"}, 3, {kLast, "encoder"});
    put(t / "run/config.toml", text);
    t.replace("run/config.toml", "name = 'vae'", "name = 'vea'");
    check(t.path, {"eval", "run"}, 2, {"run/config.toml:1", "did you mean 'vae'?"});
}

TEST_CASE("resume: a run whose data has changed is refused") {
    TempFolder t;
    const auto train = [&](const std::vector<std::string>& more) {
        std::vector<std::string> words{"train",        "vae",      "--data",   "csv", "--data.path", "rows.csv",
                                       "--likelihood", "gaussian", "--latent", "1",   "--epochs",    "1",
                                       "--threads",    "1",        "--out",    "run"};
        words.insert(words.end(), more.begin(), more.end());
        return runner(words, t.path);
    };
    put(t / "rows.csv", "1,2\n3,4\n5,7\n6,9\n");
    must_be_done(train({"--encoder.hidden", "4", "--decoder.hidden", "4"}));
    put(t / "rows.csv", "1,2\n3,4\n5,7\n6,8\n");
    check(t.path, {"resume", "run", "--epochs", "2"}, 3, {"data is not what this run was trained on", "SHA-256"});
    fs::remove(t / "rows.csv");
    check(t.path, {"resume", "run", "--epochs", "2"}, 3, {"rows.csv", "No such file"});
    check(t.path, {"eval", "run"}, 3, {"rows.csv", "No such file"});
}

TEST_CASE("a run that diverges stops with the op, its line and the last good checkpoint") {
    TempFolder t;
    const Outcome o = runner(tiny_run("run", {"--optimizer", "sgd", "--optimizer.lr", "1e9"}), t.path);
    refused(o, 5, {"no longer finite at step", "epoch 1", "plugins/", ".cpp:", "no checkpoint", "--optimizer.lr"});
    CHECK(get(t / "run/log.txt").find("no longer finite") != std::string::npos);
    CHECK(fs::exists(t / "run/config.toml"));

    must_be_done(runner(tiny_run("later"), t.path));
    std::string text = get(t / "later/config.toml");
    text.replace(text.find("lr = 0.001"), 10, "lr = 1e+30");
    put(t / "later/config.toml", text);
    refused(runner({"resume", "later", "--epochs", "9"}, t.path), 5,
            {"epoch 3", std::string("last good checkpoint: later/") + kLast});
    CHECK(runner({"eval", "later"}, t.path).code == 0);
}

TEST_CASE("train: a place that cannot be written to is named, and nothing is left") {
    TempFolder t;
    put(t / "file", "");
    check(t.path, tiny_run("file/run"), 1, {"file/run"});
    check(t.path, tiny_run("/proc/elbo/run"), 1, {"/proc/elbo/run"});
    if (::geteuid() == 0) {
        MESSAGE("skipped: root may write into a folder without the right to");
        return;
    }
    fs::create_directory(t / "locked");
    fs::permissions(t / "locked", fs::perms::owner_read | fs::perms::owner_exec);
    check(t.path, tiny_run("locked/run"), 1, {"locked/run", "Permission denied"});
}

TEST_CASE("train: a full disk ends in a message, never in half a file") {
    TempFolder t;
    {
        const SmallDisk disk(t / "disk", "128k");
        if (!disk.there) {
            MESSAGE("skipped: no right to mount a small file system");
            return;
        }
        refused(runner(tiny_run("disk/run"), t.path), 1, {"No space left on device", "disk/run"});
        for (const auto& file : all_of(t / "disk"))
            CHECK_MESSAGE(file.first.find(".safetensors") == std::string::npos, file.first);
    }
    const SmallDisk tiny(t / "tiny", "16k");
    refused(runner(tiny_run("tiny/run"), t.path), 1, {"No space left on device", "tiny/run"});
}

TEST_CASE("train: a limit on the size of files ends in a message, never in half a file") {
    TempFolder t;
    std::vector<std::string> words = tiny_run("run");
    words.insert(words.begin(), ELBO_RUNNER);
    refused(run({.words = words, .folder = t.path, .file_limit = 65536}), 1, {"File too large", "run/"});
    for (const auto& file : all_of(t / "run"))
        CHECK_MESSAGE(file.first.find(".safetensors") == std::string::npos, file.first);
    std::vector<std::string> again = tiny_run("nothing");
    again.insert(again.begin(), ELBO_RUNNER);
    refused(run({.words = again, .folder = t.path, .file_limit = 100}), 1, {"nothing"});
    CHECK(!fs::exists(t / "nothing"));
}

TEST_CASE("results that cannot be written to standard output are an error") {
    if (!fs::exists("/dev/full")) {
        MESSAGE("skipped: there is no /dev/full");
        return;
    }
    const Outcome o = run({.words = {"/bin/sh", "-c", "exec " ELBO_RUNNER " list > /dev/full"}});
    INFO(o.text());
    CHECK(o.code == 1);
    CHECK(o.err.starts_with("error: "));
}
