#include "core/host/settings.hpp"

#include <doctest/doctest.h>

using namespace elbo;
using namespace elbo::core;

namespace {

struct Oven {
    std::int64_t shelves = 3;
    double heat = 180;
    bool fan = false;
    std::string mode = "bake";
    std::vector<std::int64_t> minutes{10, 20};

    void parameters(auto& p) {
        p("shelves", shelves, "that fit", within(1, 5));
        p("heat", heat, "in degrees", not_negative);
        p("fan", fan, "turns");
        p("mode", mode, "what it does", one_of("bake|grill"));
        p("minutes", minutes, "of each part", positive);
    }
};

} // namespace

TEST_CASE("settings: one line gives type, default, bounds and choices") {
    const auto all = declared<Oven>();
    REQUIRE(all.size() == 5);
    CHECK(all[0].name == "shelves");
    CHECK(all[0].help == "that fit");
    CHECK(all[0].bounds_text() == "1 <= value <= 5");
    CHECK(std::get<std::int64_t>(all[0].fallback) == 3);
    CHECK(all[1].bounds_text() == ">= 0");
    CHECK(all[2].type_text() == "true|false");
    CHECK(all[3].type_text() == "bake|grill");
    CHECK(std::get<std::string>(all[3].fallback) == "bake");
    CHECK(value_text(all[4].fallback) == "10,20");
    CHECK_THROWS_AS(all[0].parse("6", "--shelves"), Error);
}

TEST_CASE("settings: what is set by name is what the member holds") {
    Oven oven;
    for (const auto& [name, text] : std::vector<std::pair<std::string, std::string>>{
             {"shelves", "4"}, {"heat", "0.5"}, {"fan", "true"}, {"mode", "grill"}, {"minutes", "7"}})
        for (const auto& spec : declared<Oven>())
            if (spec.name == name) {
                set_value(oven, name, spec.parse(text, name));
                CHECK(value_text(value_of(oven, name)) == text);
            }
    CHECK(oven.shelves == 4);
    CHECK(oven.heat == 0.5);
    CHECK(oven.fan);
    CHECK(oven.mode == "grill");
    CHECK(oven.minutes == std::vector<std::int64_t>{7});
    CHECK_THROWS_AS(value_of(oven, "light"), std::logic_error);
}
