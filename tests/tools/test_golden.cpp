#include <doctest/doctest.h>

#include "tests/bench/command.hpp"
#include "tests/bench/golden.hpp"

using namespace elbo::test;

namespace {

void check_out(const std::string& name, const std::vector<std::string>& words) {
    const Outcome o = runner(words);
    INFO(o.text());
    CHECK(o.code == 0);
    CHECK(o.err == "");
    check_golden(name, portable(o.out));
}

void check_err(const std::string& name, const std::vector<std::string>& more, int code) {
    TempFolder t;
    const Outcome o = runner(tiny_run("out", more), t.path);
    INFO(o.text());
    CHECK(o.code == code);
    CHECK(o.out == "");
    check_golden(name, portable(o.err, t.path));
}

} // namespace

TEST_CASE("golden: help of the program and of train for two sets of parts") {
    check_out("help", {"--help"});
    check_out("help_train", {"train", "--help"});
    check_out("help_train_vae", {"train", "vae", "--help"});
    check_out("help_train_vae_vamp", {"train", "vae", "--prior", "vamp", "--data", "shapes", "--help"});
}

TEST_CASE("golden: list and describe") {
    check_out("list", {"list"});
    check_out("describe_prior_vamp", {"describe", "prior/vamp"});
    check_out("describe_prior_vamp_json", {"describe", "prior/vamp", "--json"});
}

TEST_CASE("golden: the error of a plugin whose shapes do not fit") {
    TempFolder t;
    const Outcome o = runner({"train", "vae", "--data", "shapes", "--encoder", "crooked", "--threads", "1", "--out",
                              "out", "--plugin", ELBO_TEST_PLUGIN_DIR "/wrong_shape.so"},
                             t.path);
    INFO(o.text());
    CHECK(o.code == 4);
    check_golden("error_wrong_shape", portable(o.err, t.path));
}

TEST_CASE("golden: errors a person meets first") {
    check_err("error_unknown_part", {"--prior", "vmap"}, 2);
    check_err("error_unknown_parameter", {"--optimizer.larning-rate", "1"}, 2);
    check_err("error_out_of_bounds", {"--optimizer.lr", "0"}, 2);
    check_err("error_throws_while_recording",
              {"--prior", "boom", "--plugin", ELBO_TEST_PLUGIN_DIR "/throws_while_recording.so"}, 4);
    check_err("error_other_major", {"--prior", "tomorrow", "--plugin", ELBO_TEST_PLUGIN_DIR "/other_major.so"}, 4);
}
