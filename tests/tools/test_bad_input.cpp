// What a person or a file gets wrong: the right exit code, a message that says what and where, and nothing half done.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/bench/command.hpp"
#include "tests/bench/support.hpp"

using namespace elbo::test;
namespace fs = std::filesystem;

namespace {

struct Case {
    std::vector<std::string> words;
    int code;
    std::vector<std::string> texts; ///< what standard error must hold
};

void check_message(const Outcome& o, const Case& c) {
    refused_at_once(o, c.code, c.texts);
    CHECK(o.err.ends_with("\n"));
}

// Runs in a folder with these files: afterwards there must be nothing new in it.
void check(const Case& c, const fs::path& folder) {
    const auto names = [&] {
        std::vector<std::string> all;
        for (const auto& e : fs::recursive_directory_iterator(folder)) all.push_back(e.path().string());
        std::sort(all.begin(), all.end());
        return all;
    };
    const auto before = names();
    const Outcome o = runner(c.words, folder);
    std::string line;
    for (const auto& w : c.words) line += " " + (w.empty() ? "''" : w);
    INFO("model-runner" << line << "\n" << o.text());
    check_message(o, c);
    CHECK(names() == before);
}

std::vector<std::string> with(const std::vector<std::string>& more, const std::string& model = "vae") {
    return tiny_run("out", more, model);
}

std::string big_endian(std::uint32_t v) {
    return {char(v >> 24), char(v >> 16 & 255), char(v >> 8 & 255), char(v & 255)};
}

// An IDX file of n images of 8 by 8 bytes.
std::string idx_images(std::uint32_t n) {
    std::string bytes = big_endian(0x803) + big_endian(n) + big_endian(8) + big_endian(8);
    for (std::uint32_t i = 0; i < n * 64; ++i) bytes += char(i * 37 % 256);
    return bytes;
}

std::string idx_floats(float last) {
    std::string bytes = big_endian(0xD02) + big_endian(4) + big_endian(2);
    for (int i = 0; i < 8; ++i) {
        const float v = i == 7 ? last : 0.5f;
        std::uint32_t bits;
        std::memcpy(&bits, &v, 4);
        bytes += big_endian(bits);
    }
    return bytes;
}

} // namespace

TEST_CASE("bad words: verbs, flags, parts and parameters that do not exist name the nearest") {
    TempFolder t;
    for (const Case& c :
         std::vector<Case>{{{"tran", "vae"}, 2, {"no verb 'tran'", "did you mean 'train'?", "verbs: list"}},
                           {{"--verbose"}, 2, {"no verb '--verbose'"}},
                           {{"eval", "run", "--spilt", "train"},
                            2,
                            {"'eval' has no flag --spilt", "did you mean 'split'?", "--help"}},
                           {{"list", "--jsno"}, 2, {"did you mean 'json'?"}},
                           {with({"--prior", "vmap"}),
                            2,
                            {"no prior is called 'vmap'", "did you mean 'vamp'?", "laplace", "at --prior"}},
                           {with({}, "vea"), 2, {"no model is called 'vea'", "did you mean 'vae'?"}},
                           {with({"--data", "shape"}), 2, {"no data is called 'shape'", "did you mean 'shapes'?"}},
                           {with({"--optimiser", "adam"}), 2, {"no setting 'optimiser'", "did you mean 'optimizer'?"}},
                           {with({"--model.bta", "1"}),
                            2,
                            {"model 'vae' has no parameter 'bta'", "did you mean 'beta'?", "at --model.bta"}},
                           {with({"--optimizer.weight-dcay", "1"}), 2, {"did you mean 'weight_decay'?"}},
                           {with({"--prior", "laplace", "--prior.components", "3"}),
                            2,
                            {"prior 'laplace' has no parameter 'components'", "scale"}},
                           {with({"--prior.scale", "3"}), 2, {"prior 'standard_normal' has no parameter 'scale'"}},
                           {with({"--data.labels", "x"}), 2, {"data 'shapes' has no parameter 'labels'"}},
                           {with({"--prior", "laplace"}, "ae"), 2, {"model 'ae' uses no prior"}},
                           {with({"--nonsense.scale", "3"}), 2, {"no setting 'nonsense.scale'", "at --nonsense.scale"}},
                           {{"describe", "prior/vmap"}, 2, {"did you mean 'vamp'?"}},
                           {{"describe", "vamp"}, 2, {"'vamp' is not KIND/NAME", "prior/vamp"}},
                           {{"describe"}, 2, {"usage: model-runner describe KIND/NAME"}},
                           {{"list", "priors"}, 2, {"no parts of kind 'priors'", "did you mean 'prior'?"}},
                           {{"train", "vae"}, 2, {"no data was chosen", "--data"}},
                           {{"train"}, 2, {"usage: model-runner train MODEL"}},
                           {{"train", "--prior", "vamp", "--help", "--model"}, 2, {"--model: a value is missing"}},
                           {with({"extra"}), 2, {"'extra' is one word too many"}},
                           {{"eval"}, 2, {"usage: model-runner eval RUN"}},
                           {{"eval", "-x"}, 2, {"-x"}}})
        check(c, t.path);
}

TEST_CASE("bad words: an abbreviation is not guessed") {
    TempFolder t;
    for (const Case& c :
         std::vector<Case>{{with({"--epoch", "3"}), 2, {"no setting 'epoch'", "did you mean 'epochs'?"}},
                           {with({"--enc", "mlp"}), 2, {"no setting 'enc'", "did you mean 'encoder'?"}},
                           {with({"--overwr"}), 2, {"overwr"}},
                           {{"list", "--js"}, 2, {"did you mean 'json'?"}},
                           {{"li"}, 2, {"did you mean 'list'?"}}})
        check(c, t.path);
}

TEST_CASE("bad words: missing and empty values") {
    TempFolder t;
    for (const Case& c : std::vector<Case>{{with({"--epochs"}), 2, {"--epochs: a value is missing"}},
                                           {with({"--epochs", "--seed", "3"}), 2, {"--epochs: a value is missing"}},
                                           {with({"--prior="}), 2, {"--prior"}},
                                           {with({"--prior", ""}), 2, {"--prior"}},
                                           {with({"--config"}), 2, {"--config"}},
                                           {with({"--out"}), 2, {"--out"}},
                                           {with({"--out", ""}), 2, {"--out"}},
                                           {with({"--overwrite=yes"}), 2, {"--overwrite"}},
                                           {{"list", "--plugin"}, 2, {"--plugin"}},
                                           {{"list", "--plugin", ""}, 2, {"--plugin"}},
                                           {{"list", "--plugin-dir", ""}, 2, {"--plugin-dir"}}})
        check(c, t.path);
}

TEST_CASE("bad words: numbers, bounds and choices") {
    TempFolder t;
    for (const Case& c : std::vector<Case>{
             {with({"--batch", "0"}), 2, {"--batch: 0 is out of bounds", "1 <= value"}},
             {with({"--batch", "-3"}), 2, {"--batch: -3 is out of bounds"}},
             {with({"--batch", "abc"}), 2, {"--batch: 'abc' is not a whole number"}},
             {with({"--batch", "1e99"}), 2, {"--batch: '1e99' is not a whole number"}},
             {with({"--batch", "12.5"}), 2, {"--batch: '12.5' is not a whole number"}},
             {with({"--batch", "99999999999999999999"}), 2, {"--batch"}},
             {with({"--batch", " 3"}), 2, {"--batch"}},
             {with({"--epochs", "-1"}), 2, {"--epochs: -1 is out of bounds"}},
             {with({"--seed", "-1"}), 2, {"--seed: -1 is out of bounds"}},
             {with({"--threads", "-1"}), 2, {"--threads: -1 is out of bounds"}},
             {with({"--precision", "bf61"}),
              2,
              {"--precision: 'bf61' is not a choice; there are f32|bf16", "did you mean 'bf16'?"}},
             {with({"--precision", "auto"}), 2, {"--precision: 'auto' is not a choice; there are f32|bf16"}},
             {with({"--threads", "99999999999"}), 2, {"--threads: 99999999999 is out of bounds"}},
             {with({"--latent", "0"}), 2, {"--latent: 0 is out of bounds"}},
             {with({"--optimizer.lr", "0"}), 2, {"--optimizer.lr: 0 is out of bounds", "> 0"}},
             {with({"--optimizer.lr", "nan"}), 2, {"--optimizer.lr"}},
             {with({"--optimizer.lr", "inf"}), 2, {"--optimizer.lr"}},
             {with({"--optimizer.lr", "1e999"}), 2, {"--optimizer.lr"}},
             {with({"--optimizer.lr", "fast"}), 2, {"--optimizer.lr: 'fast' is not a real"}},
             {with({"--optimizer.beta1", "1"}), 2, {"--optimizer.beta1: 1 is out of bounds", "0 <= value < 1"}},
             {with({"--optimizer.decoupled", "yes"}), 2, {"--optimizer.decoupled: 'yes'", "true|false"}},
             {with({"--encoder.hidden", "1,x"}), 2, {"--encoder.hidden: '1,x' is not a list of whole numbers"}},
             {with({"--encoder.hidden", "32,0"}), 2, {"--encoder.hidden: 0 is out of bounds"}},
             {with({"--encoder.activation", "relo"}),
              2,
              {"--encoder.activation: 'relo'", "did you mean 'relu'?", "tanh"}},
             {with({"--model.score", "nll"}), 2, {"--model.score: 'nll' is not a choice", "elbo|reconstruction"}},
             {with({"--data.scale", "minmax"}), 2, {"--data.scale", "auto|unit|none"}},
             {with({"--data.test-fraction", "1"}), 2, {"--data.test-fraction: 1 is out of bounds"}},
             {with({"--data.size", "7"}), 2, {"--data.size: 7 is out of bounds"}}})
        check(c, t.path);
}

TEST_CASE("bad config.toml: exit 2 with file and line") {
    TempFolder t;
    const std::string run = "[run]\nepochs = 2\n", data = "[data]\nname = 'shapes'\n";
    struct Text {
        std::string text, where;
        std::vector<std::string> also;
    };
    for (const Text& c :
         std::vector<Text>{{run + "epoch = 3\n", "c.toml:3", {"no setting 'epoch'", "did you mean 'epochs'?"}},
                           {run + "[priro]\nname = 'vamp'\n", "c.toml:4", {"priro", "did you mean 'prior'?"}},
                           {run + "[prior]\nname = 'vamp'\nscael = 2\n", "c.toml:5", {"no parameter 'scael'"}},
                           {run + "[prior]\nname = 'vmap'\n", "c.toml:4", {"did you mean 'vamp'?"}},
                           {run + "latent = \n", "c.toml:3", {"not valid TOML"}},
                           {run + "[run]\n", "c.toml:3", {"not valid TOML"}},
                           {run + "epochs = 3\n", "c.toml:3", {"not valid TOML"}},
                           {"epochs = 2\n", "c.toml:1", {"'epochs' belongs into a [section]"}},
                           {run + "[model]\nbeta = { a = 1 }\n", "c.toml:4", {"only texts, numbers"}},
                           {run + "[model]\nbeta = -1\n", "c.toml:4", {"-1 is out of bounds"}},
                           {run + "latent = 'four'\n", "c.toml:3", {"'four' is not a whole number"}},
                           {std::string("\0\x01\xff", 3), "c.toml:1", {}}}) {
        put(t / "c.toml", c.text + data);
        Case as{{"train", "vae", "--config", "c.toml", "--out", "out"}, 2, c.also};
        as.texts.push_back(c.where);
        check(as, t.path);
    }
    check({with({"--config", "none.toml"}), 2, {"none.toml", "No such file"}}, t.path);
    check({with({"--config", "."}), 2, {"."}}, t.path);
}

TEST_CASE("bad data: exit 3 naming the file") {
    TempFolder t;
    const std::string good = "1,2\n3,4\n5,6\n7,8\n";
    const std::map<std::string, std::string> files{
        {"truncated.idx", idx_images(20).substr(0, 700)},
        {"header.idx", idx_images(20).substr(0, 9)},
        {"magic.idx", "PK\3\4" + idx_images(20)},
        {"empty.idx", ""},
        {"longer.idx", idx_images(20) + "x"},
        {"labels.idx", big_endian(0x801) + big_endian(2) + "ab"},
        {"huge.idx", big_endian(0x803) + big_endian(~0u) + big_endian(~0u) + big_endian(~0u)},
        {"nan.idx", idx_floats(NAN)},
        {"good.idx", idx_images(20)},
        {"ragged.csv", good + "9\n"},
        {"text.csv", good + "9,ten\n"},
        {"nan.csv", good + "9,nan\n"},
        {"hole.csv", good + "9,\n"},
        {"huge.csv", good + "9,1e300\n"},
        {"empty.csv", ""},
        {"header.csv", "a,b\n"},
        {"binary.csv", std::string("1,2\n3,\0\n", 8)},
        {"named.csv", "a,b\n1,2\n3,4\n"}};
    for (const auto& [name, bytes] : files) put(t / name, bytes);
    fs::create_directory(t / "folder");
    const auto idx = [&](const std::string& file, std::vector<std::string> more = {}) {
        std::vector<std::string> words{"train", "vae",   "--data", "idx",       "--data.path",
                                       file,    "--out", "out",    "--threads", "1"};
        words.insert(words.end(), more.begin(), more.end());
        return words;
    };
    const auto csv = [&](const std::string& file, std::vector<std::string> more = {}) {
        more.insert(more.begin(), {"--data", "csv", "--likelihood", "gaussian"});
        return idx(file, more);
    };
    for (const Case& c : std::vector<Case>{
             {idx("truncated.idx"), 3, {"truncated.idx", "truncated", "20 images"}},
             {idx("header.idx"), 3, {"header.idx", "truncated"}},
             {idx("magic.idx"), 3, {"magic.idx", "not an IDX file"}},
             {idx("empty.idx"), 3, {"empty.idx", "is empty"}},
             {idx("longer.idx"), 3, {"longer.idx", "goes on"}},
             {idx("labels.idx"), 3, {"labels.idx", "labels"}},
             {idx("huge.idx"), 3, {"huge.idx"}},
             {idx("nan.idx", {"--likelihood", "gaussian"}), 3, {"nan.idx", "row 3", "nan"}},
             {idx("none.idx"), 3, {"none.idx", "No such file"}},
             {idx("nowhere/at/all"), 3, {"nowhere/at/all", "No such file"}},
             {idx("folder"), 3, {"folder", "train-images-idx3-ubyte"}},
             {idx("good.idx", {"--data.scale", "none"}), 3, {"bernoulli", "0..1", "0..255", "--data.scale"}},
             {{"train", "vae", "--data", "mnist", "--data.path", "folder", "--out", "out"}, 3, {"folder"}},
             {csv("ragged.csv"), 3, {"ragged.csv:5", "expected 2 fields"}},
             {csv("text.csv"), 3, {"text.csv:5", "'ten' is not a number"}},
             {csv("nan.csv"), 3, {"nan.csv:5", "not a finite number"}},
             {csv("hole.csv"), 3, {"hole.csv:5", "empty"}},
             {csv("huge.csv"), 3, {"huge.csv:5", "32 bit float"}},
             {csv("empty.csv"), 3, {"empty.csv", "empty"}},
             {csv("header.csv"), 3, {"header.csv", "no row"}},
             {csv("binary.csv"), 3, {"binary.csv:2", "zero byte"}},
             {csv("named.csv", {"--data.label", "c"}), 3, {"named.csv", "no column 'c'", "'a', 'b'"}},
             {csv("folder"), 3, {"folder", "this is a folder"}},
             {{"train", "vae", "--data", "csv", "--out", "out"}, 3, {"--data.path"}},
             {csv("named.csv", {"--data.separator", "ab"}), 2, {"separator"}},
             {csv("named.csv", {"--data.test-fraction", "0.99"}), 3, {"no training rows"}},
             {csv("named.csv", {"--likelihood", "bernoulli"}), 3, {"1..4", "--data.scale unit"}}})
        check(c, t.path);
}

TEST_CASE("bad data: a data set that is nowhere says where it was looked for") {
    TempFolder t;
    const Outcome o = run({.words = {ELBO_RUNNER, "train", "vae", "--data", "mnist", "--out", "out"},
                           .folder = t.path,
                           .environment = {{"ELBO_DATA", (t / "none").string()}, {"HOME", t.path.string()}}});
    if (o.code == 0) {
        MESSAGE("skipped: mnist is installed here");
        return;
    }
    INFO(o.text());
    check_message(o, {{}, 3, {(t / "none/mnist").string(), "--data.path"}});
    CHECK(t.names().empty());
}
