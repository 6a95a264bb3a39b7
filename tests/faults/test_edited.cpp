// Run folders that a person has edited, and files that are no files.
#include <doctest/doctest.h>
#include <sys/stat.h>
#include <zlib.h>

#include "core/files/safetensors.hpp"
#include "tests/faults/faults.hpp"

using namespace elbo::test;
namespace core = elbo::core;
namespace fs = std::filesystem;

namespace {

constexpr const char* kLast = "run/checkpoints/step-000000006.safetensors";

/// The checkpoint with other metadata or without some tensors, its checksums made anew.
void rewrite(const fs::path& file, const std::map<std::string, std::string>& changes, std::int64_t scaler = 0) {
    std::vector<std::vector<float>> values;
    std::vector<core::StoredTensor> tensors;
    std::map<std::string, std::string> metadata;
    const std::vector<double> ones(std::size_t(scaler), 1.0);
    {
        const core::SafetensorsFile old(file);
        metadata = old.metadata();
        values.reserve(old.tensors().size());
        for (const auto& t : old.tensors()) {
            if (t.dtype != "F32") continue;
            values.emplace_back(std::size_t(t.dims.numel()));
            old.read_f32(t.name, values.back());
            tensors.emplace_back(t.name, t.dims, values.back().data());
        }
        if (scaler > 0)
            for (const char* name : {"data.center", "data.spread"})
                tensors.emplace_back(name, elbo::core::Dims{scaler}, ones.data());
    }
    metadata.erase("sha256"), metadata.erase("sha256.tensors");
    for (const auto& [key, value] : changes) metadata[key] = value;
    core::write_safetensors(file, tensors, metadata);
}

void put_pipe(const fs::path& file) {
    fs::remove(file);
    REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
}

std::string zipped(const std::string& bytes) {
    z_stream z{};
    REQUIRE(::deflateInit2(&z, 1, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY) == Z_OK);
    std::string out(::deflateBound(&z, bytes.size()) + 64, '\0');
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    z.avail_in = unsigned(bytes.size());
    z.next_out = reinterpret_cast<Bytef*>(out.data());
    z.avail_out = unsigned(out.size());
    REQUIRE(::deflate(&z, Z_FINISH) == Z_STREAM_END);
    out.resize(z.total_out);
    ::deflateEnd(&z);
    return out;
}

std::vector<std::string> csv_run(const std::string& file) {
    return {"train",
            "vae",
            "--data",
            "csv",
            "--data.path",
            file,
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
            "run"};
}

} // namespace

TEST_CASE("config.toml edited amid an epoch: another batch is refused with both numbers, another seed is told") {
    TempFolder t;
    auto words = tiny_run("run", {"--data.count", "4000", "--batch", "4", "--epochs", "1000"});
    words.insert(words.begin(), ELBO_RUNNER);
    const Outcome o = run({.words = words, .folder = t.path, .when = "epoch 1/", .signal = SIGTERM, .after_ms = 60});
    INFO(o.text());
    REQUIRE(o.code == 143);
    const std::string config = get(t / "run/config.toml");
    auto edit = [&](std::string from, const std::string& to) {
        std::string text = config;
        text.replace(text.find(from), from.size(), to);
        put(t / "run/config.toml", text);
    };
    const bool amid =
        core::SafetensorsFile(fs::directory_iterator(t / "run/checkpoints")->path()).metadata().contains("batch");
    REQUIRE(amid);
    edit("batch = 4\n", "batch = 5\n");
    refused(runner({"resume", "run", "--epochs", "2"}, t.path), 2, {"of 4", "5", "amid an epoch", "batches"});
    edit("seed = 1\n", "seed = 7\n");
    const Outcome other = runner({"eval", "run"}, t.path);
    CHECK_MESSAGE(other.code == 0, other.text());
    CHECK(other.has("warning: the run was made with seed 1, and config.toml says 7"));
}

TEST_CASE("a checkpoint of sound checksums and unsound contents is refused") {
    TrainedRun t;
    const std::string whole = t.file(kLast);
    for (const auto& changes : std::vector<std::map<std::string, std::string>>{{{"batch", "-1"}},
                                                                               {{"batch", "3"}, {"sums", "1 1 1"}},
                                                                               {{"batch", "1"}, {"sums", ""}},
                                                                               {{"batch", "one"}},
                                                                               {{"rows", "-5"}},
                                                                               {{"rows", "301"}},
                                                                               {{"epoch", "18446744073709551615"}},
                                                                               {{"step", "18446744073709551615"}},
                                                                               {{"sums", "nan 1 1"}},
                                                                               {{"best", "x"}},
                                                                               {{"format", "elbo checkpoint 9"}}}) {
        put(t / kLast, whole);
        rewrite(t / kLast, changes);
        fs::remove(t / "run/checkpoints/step-000000003.safetensors");
        INFO(changes.begin()->first << " " << changes.begin()->second);
        for (const auto& words : {std::vector<std::string>{"eval", "run"}, {"resume", "run", "--epochs", "3"}})
            refused(runner(words, t.path), 3, {kLast});
    }
    put(t / kLast, whole);
    rewrite(t / kLast, {}, 5); // the data has 784 values a row, and is not standardized
    for (const auto& words : {std::vector<std::string>{"eval", "run"}, {"resume", "run", "--epochs", "3"}})
        refused(runner(words, t.path), 3, {kLast, "data.center"});
    const TrainedRun scaled({"--data.standardize", "true", "--likelihood", "gaussian"});
    rewrite(scaled / kLast, {}, 5);
    for (const auto& words : {std::vector<std::string>{"eval", "run"}, {"resume", "run", "--epochs", "3"}})
        refused(runner(words, scaled.path), 3, {"standardized over 5 values", "784"});
    rewrite(scaled / kLast, {});
    for (const auto& words : {std::vector<std::string>{"eval", "run"}, {"resume", "run", "--epochs", "3"}})
        refused(runner(words, scaled.path), 3, {kLast, "data.center"});
    put(t / kLast, whole);
    must_be_done(runner({"eval", "run"}, t.path));
}

TEST_CASE("run.json missing or damaged costs no run") {
    TrainedRun t;
    for (const std::string& text : {std::string(), std::string("{"), std::string("[1]"), std::string(400000, '['),
                                    std::string("{\"data\": 3, \"plugins\": [1]}"), std::string("\xff\xfe")}) {
        put(t / "run/run.json", text);
        const Outcome o = runner({"eval", "run"}, t.path);
        CHECK_MESSAGE(o.code == 0, o.text());
        const Outcome on = runner({"resume", "run"}, t.path);
        CHECK_MESSAGE(on.code == 0, on.text());
    }
    fs::remove(t / "run/run.json");
    must_be_done(runner({"eval", "run"}, t.path));
    must_be_done(runner({"resume", "run", "--epochs", "3"}, t.path));
    CHECK(t.file("run/run.json").find("\"sha256\"") != std::string::npos);
}

TEST_CASE("what is no regular file is refused at once") {
    TrainedRun t;
    const std::string config = t.file("run/config.toml"), last = t.file(kLast);
    auto at_once = [&](const std::vector<std::string>& words, int code, const std::string& text) {
        auto all = words;
        all.insert(all.begin(), ELBO_RUNNER);
        const Outcome o = run({.words = all, .folder = t.path, .seconds = 60});
        INFO(o.text());
        CHECK_FALSE(o.killed);
        refused(o, code, {text});
    };
    put_pipe(t / "run/config.toml");
    at_once({"eval", "run"}, 2, "config.toml");
    at_once({"resume", "run"}, 2, "config.toml");
    at_once({"train", "--config", "run/config.toml", "--out", "x"}, 2, "config.toml");
    fs::remove(t / "run/config.toml");
    fs::create_symlink("/dev/zero", t / "run/config.toml");
    at_once({"eval", "run"}, 2, "config.toml");
    fs::remove(t / "run/config.toml");
    for (const std::string& bytes :
         {std::string(400000, '['), "a = " + std::string(400000, '['), std::string("a = '\xff'\n"),
          "a = " + std::string(400000, '{'), std::string(2 << 20, '#')}) {
        put(t / "run/config.toml", bytes);
        at_once({"eval", "run"}, 2, "config.toml");
    }
    put(t / "run/config.toml", config);
    put_pipe(t / "run/run.json");
    at_once({"eval", "run"}, 3, "run.json");
    fs::remove(t / "run/run.json");
    put_pipe(t / kLast);
    fs::remove(t / "run/checkpoints/step-000000003.safetensors");
    at_once({"eval", "run"}, 3, kLast);
    fs::remove(t / kLast);
    fs::create_symlink("/dev/zero", t / kLast);
    at_once({"eval", "run"}, 3, kLast);
    fs::remove(t / kLast);
    put(t / kLast, last);
    put_pipe(t / "pipe.so");
    at_once({"list", "--plugin", "pipe.so"}, 4, "pipe.so");
}

TEST_CASE("data that is a pipe or a device is refused at once") {
    TempFolder t;
    put_pipe(t / "pipe");
    for (const char* file : {"pipe", "/dev/zero", "/dev/null"}) {
        auto words = csv_run(file);
        for (const char* kind : {"csv", "idx"}) {
            words[3] = kind;
            auto all = words;
            all.insert(all.begin(), ELBO_RUNNER);
            const Outcome o = run({.words = all, .folder = t.path, .seconds = 60});
            CHECK_FALSE(o.killed);
            refused_at_once(o, 3, {file, "no regular file"});
        }
    }
}

TEST_CASE("a run whose folders are links is refused, and nothing is written outside of it") {
    TrainedRun t;
    for (const char* part : {"checkpoints", "model", "pictures"}) {
        const fs::path inside = t / ("run/" + std::string(part)), outside = t / ("outside_" + std::string(part));
        fs::rename(inside, outside);
        fs::create_symlink(outside, inside);
        const auto before = std::distance(fs::directory_iterator(outside), {});
        refused(runner({"resume", "run", "--epochs", "3"}, t.path), 3, {part, "symbolic link"});
        refused(runner(tiny_run("run", {"--overwrite"}), t.path), 3, {part, "symbolic link"});
        CHECK(std::distance(fs::directory_iterator(outside), {}) == before);
        fs::remove(inside);
        fs::rename(outside, inside);
    }
    must_be_done(runner({"resume", "run", "--epochs", "3"}, t.path));
}

TEST_CASE("gzip data: streams in a row are one file; other bytes behind, or a bomb, are refused by name") {
    TempFolder t;
    const std::string rows = "1,2\n3,4\n5,7\n6,9\n";
    put(t / "good.csv.gz", zipped(rows) + zipped("7,8\n") + zipped(""));
    must_be_done(runner(csv_run("good.csv.gz"), t.path));
    CHECK(get(t / "run/log.txt").find("5 ") != std::string::npos);
    fs::remove_all(t / "run");
    const std::string whole = zipped(rows);
    for (const std::string& more : {std::string("x"), std::string("\n"), std::string(1, '\0'), std::string("7,8\n"),
                                    std::string(1 << 19, 'y'), std::string("\x1f")}) {
        put(t / "more.csv.gz", whole + more);
        refused_at_once(runner(csv_run("more.csv.gz"), t.path), 3, {"more.csv.gz", "follow the gzip data"});
    }
    for (std::size_t size = 2; size < whole.size(); size += 5) {
        put(t / "cut.csv.gz", whole.substr(0, size));
        const Outcome o = runner(csv_run("cut.csv.gz"), t.path);
        refused_at_once(o, 3, {"cut.csv.gz", "truncated"});
    }
    std::string turned = whole;
    turned[turned.size() - 6] = char(turned[turned.size() - 6] ^ 1);
    put(t / "turned.csv.gz", turned);
    refused_at_once(runner(csv_run("turned.csv.gz"), t.path), 3, {"turned.csv.gz", "damaged gzip data"});
    std::string bomb = zipped(rows); // then blank lines, which a file may end with
    const std::string blank = zipped(std::string(8 << 20, ' ') + "\n");
    for (int i = 0; i < 130; ++i) bomb += blank;
    put(t / "bomb.csv.gz", bomb);
    refused_at_once(runner(csv_run("bomb.csv.gz"), t.path), 3, {"bomb.csv.gz", "1 GiB", "100 times"});
    CHECK_FALSE(fs::exists(t / "run"));
}

TEST_CASE("results take the place of no data and no part of the run") {
    TempFolder t;
    const std::string rows = "1,2\n3,4\n5,7\n6,9\n";
    put(t / "rows.csv", rows);
    must_be_done(runner(csv_run("rows.csv"), t.path));
    fs::create_symlink(t / "rows.csv", t / "link.csv");
    fs::create_hard_link(t / "rows.csv", t / "hard.csv");
    for (const char* out : {"rows.csv", "./rows.csv", "run/../rows.csv", "hard.csv", "run/checkpoints/x.npy",
                            "run/model/x.csv", "run/metrics.csv"}) {
        CAPTURE(out);
        refused(runner({"encode", "run", "--out", out}, t.path), 2,
                {"--out", out == std::string("run/checkpoints/x.npy") ? "checkpoints" : ""});
        CHECK(get(t / "rows.csv") == rows);
    }
    refused(runner({"score", "run", "--out", "rows.csv"}, t.path), 2, {"rows.csv", "data of the run"});
    refused(runner({"sample", "run", "--out", "link.csv"}, t.path), 2, {"link.csv", "data of the run"});
    CHECK(get(t / "rows.csv") == rows);
    CHECK_FALSE(fs::exists(t / "run/checkpoints/x.npy"));
}

TEST_CASE("sample: many come batch by batch, and the first are those of fewer") {
    TrainedRun t;
    t.use({"sample", "run", "--count", "1024", "--out", "few.npy", "--seed", "3"});
    t.use({"sample", "run", "--count", "5000", "--out", "many.npy", "--seed", "3"});
    const std::string few = t.file("few.npy"), many = t.file("many.npy");
    const std::size_t bytes = 1024 * 784 * 4;
    REQUIRE(few.size() > bytes);
    REQUIRE(many.size() > 4 * bytes);
    const bool same = many.substr(many.size() - 5000 * 784 * 4, bytes) == few.substr(few.size() - bytes);
    CHECK(same);
    // 60000 rows are 188 MB; the program itself takes less than that, whatever the count.
    const Outcome o =
        run({.words = {"/bin/sh", "-c",
                       "exec prlimit --data=180000000 " ELBO_RUNNER " sample run --count 60000 --out big.npy"},
             .folder = t.path});
    INFO(o.text());
    CHECK(o.code == 0);
}
