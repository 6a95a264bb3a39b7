#include "core/run/config.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "core/base/error.hpp"
#include "core/run/resolve.hpp"
#include "tests/bench/environment.hpp"
#include "tests/bench/refusals.hpp"
#include "tests/bench/support.hpp"

using namespace elbo::core;
using elbo::test::put;
using elbo::test::TempFolder;

namespace {

using Settings = std::vector<GivenSetting>;

const Settings kVae{{"model", "vae", "train vae"}, {"data", "shapes", "--data"}};

Registry& registry() { return elbo::test::plugins(); }

RunConfig resolved(const Settings& more) {
    Settings all = kVae;
    all.insert(all.end(), more.begin(), more.end());
    return resolve(all, registry());
}

void check_error(const Settings& more, const std::vector<std::string>& texts) {
    const Error e = elbo::test::error_of([&] { resolved(more); });
    CHECK(e.code() == Exit::usage);
    elbo::test::must_say(e.what(), texts);
}

ParameterValue value(const RunConfig& c, const std::string& kind, const std::string& name) {
    for (const auto& v : c.part(kind).values)
        if (v.name == name) return v.value;
    FAIL(name);
    return {};
}

RunConfig read_back(const TempFolder& t, const RunConfig& config) {
    put(t / "config.toml", config_toml(config));
    return resolve(settings_of(read_config(t / "config.toml")), registry());
}

} // namespace

TEST_CASE("resolve: fills in the parts a model uses, the optimizer and every default") {
    const RunConfig c = resolved({});
    std::vector<std::string> kinds;
    for (const auto& p : c.parts) kinds.push_back(p.kind);
    CHECK(kinds == std::vector<std::string>{"model", "encoder", "posterior", "prior", "decoder", "likelihood",
                                            "optimizer", "data"});
    CHECK(c.part("prior").name == "standard_normal");
    CHECK(c.part("optimizer").name == "adam");
    CHECK(std::get<double>(value(c, "model", "beta")) == 1);
    CHECK(std::get<std::vector<std::int64_t>>(value(c, "encoder", "hidden")) == std::vector<std::int64_t>{400});
    CHECK(c.epochs == RunConfig().epochs);
    CHECK(c.threads == 0); // as many as there are, once it is known where it runs
}

TEST_CASE("resolve: later settings win, '-' and '_' are the same") {
    const RunConfig c = resolved({{"epochs", "3", "file:1"},
                                  {"epochs", "4", "--epochs"},
                                  {"prior", "vamp", ""},
                                  {"checkpoint-every", "5", ""},
                                  {"checkpoint_every", "6", ""},
                                  {"data.test-count", "9", ""}});
    CHECK(c.epochs == 4);
    CHECK(c.checkpoint_every == 6);
    CHECK(c.part("prior").name == "vamp");
    CHECK(std::get<std::int64_t>(value(c, "data", "test_count")) == 9);
}

TEST_CASE("resolve: what nobody takes is refused with its origin and the nearest name") {
    check_error({{"epoch", "3", "--epoch"}}, {"no setting 'epoch'; did you mean 'epochs'?", "at --epoch"});
    check_error({{"prior.components", "3", "c.toml:7"}},
                {"prior 'standard_normal' has no parameter 'components'", "at c.toml:7"});
    check_error({{"optimizer.weight_dcay", "3", "x"}}, {"did you mean 'weight_decay'?"});
    check_error({{"model", "ae", ""}, {"prior", "vamp", "--prior"}}, {"model 'ae' uses no prior", "at --prior"});
    check_error({{"prior", "vmap", "c.toml:2"}}, {"did you mean 'vamp'?", "at c.toml:2"});
    check_error({{"latent", "0", "c.toml:3"}}, {"c.toml:3: 0 is out of bounds"});
    check_error({{"data.scale", "minmax", "--data.scale"}}, {"'minmax' is not a choice"});
    CHECK_THROWS_AS(resolve({{"model", "vae", ""}}, registry()), Error);
    CHECK_THROWS_AS(resolve({{"data", "shapes", ""}}, registry()), Error);
    CHECK_THROWS_AS(resolve({}, registry()), Error);
}

TEST_CASE("config.toml: every value comes back with all its bits") {
    TempFolder t;
    const std::string path = "C:\\data\\it's \"here\" # [x]\t\xc3\xa9";
    const RunConfig c = resolved({{"data", "csv", ""},
                                  {"data.path", path, ""},
                                  {"data.label", "a = 1", ""},
                                  {"data.standardize", "true", ""},
                                  {"data.scale", "none", ""},
                                  {"seed", "9223372036854775807", ""},
                                  {"optimizer.lr", "0.30000000000000004", ""},
                                  {"optimizer.eps", "5e-324", ""},
                                  {"optimizer.decoupled", "true", ""},
                                  {"model.beta", "1e+300", ""},
                                  {"encoder.hidden", "1048576,1", ""},
                                  {"decoder.hidden", "7", ""},
                                  {"prior", "vamp", ""},
                                  {"prior.mean", "-0.1", ""},
                                  {"model.warmup", "100000000000000000000", ""}});
    const RunConfig back = read_back(t, c);
    CHECK(config_toml(back) == config_toml(c));
    CHECK(std::get<std::string>(value(back, "data", "path")) == path);
    CHECK(std::get<std::string>(value(back, "data", "label")) == "a = 1");
    CHECK(std::get<double>(value(back, "optimizer", "lr")) == 0.1 + 0.2);
    CHECK(std::get<double>(value(back, "optimizer", "eps")) == 5e-324);
    CHECK(std::get<double>(value(back, "model", "beta")) == 1e300);
    CHECK(std::get<double>(value(back, "model", "warmup")) == 1e20);
    CHECK(back.seed == 9223372036854775807);
    CHECK(std::get<bool>(value_of(back.data, "standardize")));
    CHECK(std::get<std::string>(value_of(back.data, "scale")) == "none");
}

TEST_CASE("config.toml: texts with line breaks, control characters and no characters come back") {
    TempFolder t;
    for (const std::string& path :
         {std::string(), std::string("a\nb"), std::string("'''"), std::string("\"\"\""), std::string("a\x01\x7f"),
          std::string("\\"), std::string("ends in '"), std::string("  spaces  ")}) {
        const RunConfig c = resolved({{"data", "csv", ""}, {"data.path", path, ""}});
        INFO(config_toml(c));
        CHECK(std::get<std::string>(value(read_back(t, c), "data", "path")) == path);
    }
}

TEST_CASE("read_config: keeps section, key, value and line; faults give file:line") {
    TempFolder t;
    put(t / "c.toml",
        "# first\n[run]\nepochs = 3\n\n[encoder]\nhidden = [3, 4]\nname = \"mlp\"\n[model]\nbeta = 0.5\n");
    const ConfigText text = read_config(t / "c.toml");
    REQUIRE(text.find("encoder", "hidden"));
    CHECK(text.find("encoder", "hidden")->value == "3,4");
    CHECK(text.find("encoder", "hidden")->line == 6);
    CHECK(text.find("model", "beta")->value == "0.5");
    CHECK(text.find("run", "beta") == nullptr);
    const auto settings = settings_of(text);
    const auto with = [&](const std::string& key) {
        return std::find_if(settings.begin(), settings.end(), [&](const auto& s) { return s.key == key; });
    };
    REQUIRE(with("epochs") != settings.end());
    CHECK(with("epochs")->origin == (t / "c.toml").string() + ":3");
    CHECK(with("encoder")->value == "mlp");

    for (const auto& fault :
         std::vector<std::pair<std::string, std::string>>{{"[run]\nepochs =\n", ":2"},
                                                          {"epochs = 3\n", ":1"},
                                                          {"[run]\n[run]\n", ":2"},
                                                          {"[run]\nx = 1979-05-27\n", ":2"},
                                                          {"[run]\nx = [{}]\n", ":2"},
                                                          {"[run]\nx = \"open\n", ":2"},
                                                          {"\xff\xfe\n", ":1"},
                                                          {"[run]\nepochs = 1\nepochs = 2\n", ":3"}}) {
        put(t / "bad.toml", fault.first);
        INFO(fault.first);
        try {
            read_config(t / "bad.toml");
            FAIL_CHECK("no error");
        } catch (const Error& e) {
            CHECK(e.code() == Exit::usage);
            CHECK(e.where() == (t / "bad.toml").string() + fault.second);
        }
    }
}

TEST_CASE("used_roles: roles with their kinds and defaults") {
    const auto roles = used_roles("encoder=mlp prior  critic:encoder=a-b d:decoder", "model 'm'");
    REQUIRE(roles.size() == 4);
    CHECK(roles[0].role == "encoder");
    CHECK(roles[0].kind == "encoder");
    CHECK(roles[0].fallback == "mlp");
    CHECK(roles[1].kind == "prior");
    CHECK(roles[1].fallback == "");
    CHECK(roles[2].role == "critic");
    CHECK(roles[2].kind == "encoder");
    CHECK(roles[2].fallback == "a_b");
    CHECK(roles[3].role == "d");
    CHECK(roles[3].kind == "decoder");
    CHECK(roles[3].fallback == "");
    CHECK(used_roles("", "m").empty());
    for (const char* wrong : {"Encoder=mlp", "=mlp", "critic:=mlp", ":encoder", "a:b:c"}) {
        const Error e = elbo::test::error_of([&] { used_roles(wrong, "model 'm'"); });
        CHECK(e.code() == Exit::plugin);
        elbo::test::must_say(e.what(), {"uses of model 'm' says '" + std::string(wrong) + "'"});
    }
}

TEST_CASE("roles_of: those of the run, with what fills them; missing ones pass") {
    const auto roles = roles_of({{"model", "vae", ""}, {"prior", "vamp", ""}}, registry());
    const auto role = [&](const std::string& name) -> const Role& {
        const auto it = std::find_if(roles.begin(), roles.end(), [&](const Role& r) { return r.role == name; });
        REQUIRE(it != roles.end());
        return *it;
    };
    REQUIRE(role("prior").info);
    CHECK(role("prior").info->name == "vamp");
    CHECK(role("encoder").info->name == "mlp");
    CHECK(role("optimizer").kind == "optimizer");
    CHECK(role("data").info == nullptr);
}
