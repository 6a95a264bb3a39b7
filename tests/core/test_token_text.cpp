// Tokens as text, and what a run keeps of its data.
#include <nlohmann/json.hpp>

#include "core/data/kept_rows.hpp"
#include "core/data/token_text.hpp"
#include "core/files/atomic.hpp"
#include "tests/bench/support.hpp"
#include "tests/bench/workbench.hpp"

using namespace elbo;
using namespace elbo::test;
using core::Rows;
using core::Split;
using core::text_of;
using core::TokenLines;

namespace {

using Names = std::vector<std::string>;
using Ids = std::vector<float>;

} // namespace

TEST_CASE("token names: one per number, and backslashes and newlines come back as they were") {
    CHECK(core::token_names("\n\xEF\xBF\xBD\n the\na") == Names{"", "\xEF\xBF\xBD", " the", "a"});
    CHECK(core::token_names("\nx\n\\\\\n\\n\nn") == Names{"", "x", "\\", "\n", "n"});
    CHECK(core::token_names("\n\\\\n") == Names{"", "\\n"});
    CHECK(core::token_names("a\n") == Names{"a", ""});
}

TEST_CASE("text of a row: its names up to the first 0, and what is no number of a name is the unknown sign") {
    const Names names{"", "\xEF\xBF\xBD", "Hello", " the", "!"};
    CHECK(text_of(names, Ids{2, 3, 4, 0, 3}) == "Hello the!");
    CHECK(text_of(names, Ids{0, 2}) == "");
    CHECK(text_of(names, Ids{2, 2}) == "HelloHello");
    const std::string unknown = "\xEF\xBF\xBD";
    CHECK(text_of(names, Ids{5, 2.5f, -1, NAN, INFINITY, 1e30f, 4}) ==
          unknown + unknown + unknown + unknown + unknown + unknown + "!");
}

TEST_CASE("token lines: a row is one line, and only a vocabulary with control characters is written otherwise") {
    CHECK(TokenLines({"", "?", "C", "\\", "n"}).line(Ids{2, 3, 4}) == "C\\n");
    const TokenLines lines({"", "?", "a", "\n", "\t", "\\", "\x1b"});
    CHECK(lines.line(Ids{2, 3, 4, 5, 6, 2}) == "a\\n\\t\\\\\\x1ba");
}

namespace {

struct Text {
    TempFolder folder;
    std::unique_ptr<Part> part;
    std::unique_ptr<Rows> rows;
    explicit Text(const std::string& text) {
        put(folder / "x.txt", text);
        part = make_part({"data", "text", {{"path", (folder / "x.txt").string()}, {"test", 0.25}}});
        rows = std::make_unique<Rows>(*part, core::DataOptions{});
    }
};

} // namespace

TEST_CASE("kept rows: come back from their text, and stand for rows that are not there until one is read") {
    Text t("ab\nb\\\nc\nabc\n");
    const auto kept = core::kept_rows_of(text_of(core::kept_of(*t.rows)));
    REQUIRE(kept);
    CHECK(kept->x.kind == ELBO_TOKENS);
    CHECK(kept->x.names == t.rows->x().names);
    CHECK(kept->x.dims == core::Dims{4});
    CHECK(kept->x.high == t.rows->high());
    CHECK(kept->count[ELBO_TRAIN] == 3);
    CHECK(kept->count[ELBO_TEST] == 1);
    REQUIRE(kept->fields.size() == 1);
    CHECK(kept->fields[0].name == "lengths");

    const core::Error why(core::Exit::data, "the file is gone");
    const Rows absent(*t.part, *kept, {}, why);
    CHECK(!absent.are_there());
    CHECK(absent.are_tokens());
    CHECK(absent.count(Split::test) == 1);
    CHECK(absent.dims() == t.rows->dims());
    CHECK(absent.high() == t.rows->high());
    CHECK(absent.hash() == "");
    float x[4];
    const std::int64_t row = 0;
    CHECK(refusal([&] { absent.read(Split::train, {&row, 1}, x); }).find("the file is gone") != std::string::npos);
    CHECK(refusal([&] {
              absent.read(absent.fields()[0], Split::train, {&row, 1}, x);
          }).find("the file is gone") != std::string::npos);
}

TEST_CASE("kept rows: what is damaged or cannot be is not believed") {
    Text t("ab\nb\nc\nabc\n");
    const std::string good = text_of(core::kept_of(*t.rows));
    const auto with = [&](const std::string& from, const std::string& to) {
        std::string text = good;
        const auto at = text.find(from);
        REQUIRE_MESSAGE(at != std::string::npos, good);
        text.replace(at, from.size(), to);
        CHECK(!core::kept_rows_of(text)); // its sum is another one
        auto json = nlohmann::ordered_json::parse(text);
        json.erase("sha256");
        json["sha256"] = core::sha256(json.dump(1) + "\n");
        return core::kept_rows_of(json.dump(1) + "\n");
    };
    CHECK(with("\"high\": 4.0", "\"high\": 5.0"));
    CHECK(core::kept_rows_of(good));
    CHECK(!core::kept_rows_of(""));
    CHECK(!core::kept_rows_of("[1]"));
    CHECK(!core::kept_rows_of(good.substr(0, good.size() / 2)));
    CHECK(!core::kept_rows_of(std::string(100000, '[')));
    CHECK(!with("elbo data 1", "elbo data 2"));
    CHECK(!with("\"name\": \"x\"", "\"name\": \"X y\""));
    CHECK(!with("\"high\": 4.0", "\"high\": null"));
    CHECK(!with("\"high\": 4.0", "\"high\": -4.0"));
    CHECK(!with("\"dims\": [\n   4", "\"dims\": [\n   -4"));
    CHECK(!with("\"high\": 4.0", "\"high\": \"4\""));
    CHECK(!with("\"dims\": [\n   4", "\"dims\": [4, 4, 4, 4, 4, 4, 4, 4, 4"));
    CHECK(!with("\"dims\": [\n   4", "\"dims\": [9999999999, 4"));
}

TEST_CASE("rows of tokens: whatever would mix their numbers is refused, by the option's name") {
    Text t("ab\nb\nc\nabc\n");
    const auto why = [&](auto set) {
        core::DataOptions o;
        set(o);
        return refusal([&] { Rows(*t.part, o); });
    };
    CHECK(why([](auto& o) { o.scale = "unit"; }).find("data.scale unit: the values of 'text' are numbers of tokens") !=
          std::string::npos);
    CHECK(why([](auto& o) { o.standardize = true; }).find("data.standardize:") != std::string::npos);
    CHECK(why([](auto& o) { o.dequantize = true; }).find("data.dequantize:") != std::string::npos);
    CHECK(why([](auto& o) { o.mirror = true; }).find("data.mirror:") != std::string::npos);
    CHECK(why([](auto& o) { o.binarize = "fixed"; }).find("data.binarize:") != std::string::npos);
}
