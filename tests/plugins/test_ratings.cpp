// Ratings of items by users, and rows of few values that are not 0 from the file to the loss: what is read, how users
// are split, and that parts give for such rows what they give for the rows written out.
#include <map>
#include <set>

#include "core/run/assembly.hpp"
#include "core/run/defaults.hpp"
#include "core/run/resolve.hpp"
#include "tests/bench/support.hpp"
#include "tests/bench/workbench.hpp"

using namespace elbo;
using namespace elbo::test;
using core::Rows;
using core::Split;

namespace {

core::DataOptions plain() {
    core::DataOptions o;
    o.scale = "none";
    o.test_fraction = 0;
    return o;
}

/// A file of ratings, opened.
struct Rated {
    std::unique_ptr<Part> part;
    std::unique_ptr<Rows> rows;
    explicit Rated(std::vector<NamedValue> values) : part(make_part({"data", "ratings", values})) {
        rows = std::make_unique<Rows>(*part, plain());
    }
    std::vector<float> field(const std::string& name, Split split, std::int64_t row) const {
        if (name == "x") {
            std::vector<float> out(std::size_t(rows->values()));
            rows->read(split, {&row, 1}, out.data());
            return out;
        }
        const core::Field* f = rows->find(name);
        REQUIRE_MESSAGE(f, name);
        std::vector<float> out(std::size_t(f->dims.numel()));
        rows->read(*f, split, {&row, 1}, out.data());
        return out;
    }
    std::vector<std::string> names() const {
        const std::string all = std::get<std::string>(*part->property("value_names"));
        std::vector<std::string> out;
        for (std::size_t at = 0; at < all.size(); at = all.find('\n', at) + 1)
            out.push_back(all.substr(at, all.find('\n', at) - at));
        return out;
    }
    /// Names of the numbers in a list.
    std::set<std::string> listed(const std::string& list, const std::string& lengths, Split split,
                                 std::int64_t row) const {
        const auto ids = field(list, split, row);
        const auto all = names();
        std::set<std::string> out;
        for (std::size_t i = 0; i < std::size_t(field(lengths, split, row)[0]); ++i)
            out.insert(all.at(std::size_t(ids[i])));
        return out;
    }
};

std::string refused(const std::vector<NamedValue>& values) {
    return refusal([&] { Rated rated(values); });
}

/// Forty users with six to nine of thirty items each.
std::string many_ratings(std::map<std::string, std::set<std::string>>& of_user) {
    std::string out = "user,item,stars\n";
    for (int u = 0; u < 40; ++u)
        for (int k = 0; k < 6 + u % 4; ++k) {
            const std::string user = "u" + std::to_string(u), item = std::to_string((u * 7 + k * 11) % 30 + 100);
            if (of_user[user].insert(item).second)
                out += user + "," + item + "," + std::to_string(1 + (u + k) % 5) + "\n";
        }
    return out;
}

} // namespace

TEST_CASE("ratings: every user is in one place, and those held out show a part of their items and hold the rest") {
    TempFolder t;
    std::map<std::string, std::set<std::string>> of_user;
    put(t / "r.csv", many_ratings(of_user));
    const std::string path = (t / "r.csv").string();
    std::multiset<std::set<std::string>> found, known;
    std::size_t judged = 0;
    for (const char* judge : {"test", "validation"}) {
        const Rated r({{"path", path}, {"held_users", std::int64_t(6)}, {"judge", std::string(judge)}});
        CHECK(r.rows->dims() == core::Dims{30});
        CHECK(r.rows->count(Split::train) == 28);
        CHECK(r.rows->count(Split::test) == 6);
        CHECK(r.names().front() == "100");
        CHECK(r.names().back() == "129");
        for (std::int64_t i = 0; i < 6; ++i) {
            auto shown = r.listed("ids", "lengths", Split::test, i),
                 held = r.listed("held", "held_lengths", Split::test, i);
            const std::size_t all = shown.size() + held.size();
            CHECK(shown.size() == std::size_t(std::llround(0.8 * double(all))));
            shown.merge(held);
            CHECK(held.empty()); // none was in both
            found.insert(shown);
            ++judged;
        }
        if (judged > 6) continue;
        for (std::int64_t i = 0; i < 28; ++i) {
            found.insert(r.listed("ids", "lengths", Split::train, i));
            CHECK(r.field("held_lengths", Split::train, i)[0] == 0);
        }
    }
    for (const auto& [user, items] : of_user) known.insert(items);
    CHECK(found == known);
}

TEST_CASE("ratings: x, and numbers with values and lengths, are one row in two forms") {
    TempFolder t;
    std::map<std::string, std::set<std::string>> of_user;
    put(t / "r.csv", many_ratings(of_user));
    const Rated r(
        {{"path", (t / "r.csv").string()}, {"values", std::string("ratings")}, {"held_users", std::int64_t(4)}});
    for (Split split : {Split::train, Split::test})
        for (std::int64_t i = 0; i < r.rows->count(split); ++i) {
            std::vector<float> written(30);
            const auto ids = r.field("ids", split, i), values = r.field("values", split, i);
            const auto n = std::size_t(r.field("lengths", split, i)[0]);
            for (std::size_t m = 0; m < ids.size(); ++m) {
                if (m < n) written.at(std::size_t(ids[m])) = values[m];
                else CHECK((ids[m] == 0 && values[m] == 0));
            }
            CHECK(written == r.field("x", split, i));
        }
    CHECK(r.rows->high() == 5);
}

TEST_CASE("ratings: thresholds, second ratings, users with few items and items nobody trained on are told") {
    TempFolder t;
    std::map<std::string, std::set<std::string>> of_user;
    std::string text = many_ratings(of_user);
    text += "few,100,5\nfew,101,5\n" + std::string("u0,") + *of_user["u0"].begin() + ",5\nu1,103,0.5\n";
    for (int u = 0; u < 40; ++u) text += "u" + std::to_string(u) + ",own" + std::to_string(u) + ",5\n";
    put(t / "r.csv", text);
    const Rated r({{"path", (t / "r.csv").string()}, {"at_least", 1.0}, {"held_users", std::int64_t(6)}});
    must_say(r.rows->description(), {"1 ratings below 1 left out", "1 ratings given again, of which the last counts",
                                     "1 users with fewer than 5 items left out",
                                     "6 ratings of test users are of items that no training user rated, and left out"});
    // Numbers before words.
    CHECK(r.names().front() == "100");
    CHECK(r.rows->dims() == core::Dims{30 + 28});
}

TEST_CASE("ratings: with and without a header, two columns, other columns and separators") {
    TempFolder t;
    std::map<std::string, std::set<std::string>> of_user;
    const std::string text = many_ratings(of_user);
    put(t / "r.csv", text);
    const std::string path = (t / "r.csv").string();
    const Rated with({{"path", path}});
    const auto same = [&](const std::string& other, std::vector<NamedValue> values) {
        put(t / "other", other);
        values.push_back({"path", (t / "other").string()});
        const Rated r(values);
        CHECK(r.names() == with.names());
        for (std::int64_t i = 0; i < r.rows->count(Split::train); ++i)
            CHECK(r.field("x", Split::train, i) == with.field("x", Split::train, i));
    };
    same(text.substr(text.find('\n') + 1), {});
    same(text.substr(text.find('\n') + 1), {{"header", std::string("no")}});
    std::string tabs = text, pairs, turned = "item\tuser\n";
    std::replace(tabs.begin(), tabs.end(), ',', '\t');
    same(tabs, {{"separator", std::string("tab")}});
    for (std::size_t at = text.find('\n') + 1; at < text.size(); at = text.find('\n', at) + 1) {
        const std::string line = text.substr(at, text.find('\n', at) - at);
        const std::size_t first = line.find(','), second = line.rfind(',');
        pairs += line.substr(0, second) + "\n";
        turned += line.substr(first + 1, second - first - 1) + "\t" + line.substr(0, first) + "\n";
    }
    same("user,item\n" + pairs, {});
    same(turned, {{"separator", std::string("tab")}, {"user", std::string("user")}, {"item", std::string("item")}});
    same(turned, {{"separator", std::string("tab")}, {"user", std::string("1")}, {"item", std::string("0")}});
}

TEST_CASE("ratings: what is wrong is told with file and line") {
    TempFolder t;
    const std::string path = (t / "r.csv").string();
    for (const auto& [text, says] : std::vector<std::pair<std::string, std::string>>{
             {"", "the file is empty"},
             {"user,item,stars\n", "no rating after it"},
             {"1,2,3\n1,3,many\n", ":2: the rating 'many' is no number"},
             {"1,2,3\n1,3,nan\n", ":2: the rating 'nan' is no number"},
             {"1,2,3\n1,3\n", ":2: has 2 fields, the first line has 3"},
             {"1,2,3\n,3,4\n", ":2: has no user"},
             {"1,2,3\n1,,4\n", ":2: has no item"},
             {"1,2,3\n\n1,3,4\n", ":2: blank line"},
             {"1\n2\n", ":1: has 1 fields, and column 1"},
             {"1,2,3\n1,3,4\n", "three are the fewest that can be split"}}) {
        put(path, text);
        must_say(refused({{"path", path}}), {"r.csv", says});
    }
    std::map<std::string, std::set<std::string>> of_user;
    put(path, many_ratings(of_user));
    must_say(refused({{"path", path}, {"user", std::string("reader")}}), {"r.csv:1: names no column 'reader'"});
    must_say(refused({{"path", path}, {"held_users", std::int64_t(20)}}), {"40 users", "none are left to train on"});
    must_say(refused({{"path", path}, {"at_least", 9.0}}), {"no rating is 9 or more"});
    must_say(refused({{"path", path}, {"separator", std::string(", ")}}), {"one character"});
    put(t / "t.csv", "id,name\n100,\"a \"\"b\"\", c\"\n101\n");
    must_say(refused({{"path", path}, {"titles", (t / "t.csv").string()}, {"title", std::string("name")}}),
             {"t.csv:3: has 1 fields, the header has 2"});
    must_say(refused({{"path", path}, {"titles", (t / "t.csv").string()}}), {"t.csv:1", "'title'", "id, name"});
    put(t / "t.csv", "id,name\n100,\"a \"\"b\"\", c\"\n");
    const Rated named({{"path", path}, {"titles", (t / "t.csv").string()}, {"title", std::string("name")}});
    CHECK(named.names()[0] == "a \"b\", c");
    CHECK(named.names()[1] == "101");
    must_say(named.rows->description(), {"29 of 30 items have no title"});
}

namespace {

/// Rows of few values in both forms, for a session.
struct Both {
    static constexpr std::int64_t kRows = 5, kValues = 12, kEntries = 4;
    std::vector<float> x = std::vector<float>(kRows * kValues), ids, values, lengths;
    Both() {
        for (std::int64_t i = 0; i < kRows; ++i) {
            const std::int64_t n = i % (kEntries + 1); // one row is empty
            for (std::int64_t m = 0; m < kEntries; ++m) {
                const std::int64_t id = m < n ? (i * 5 + m * 3) % kValues : 0;
                const float v = m < n ? float(1 + (i + m) % 3) : 0;
                ids.push_back(float(id)), values.push_back(v);
                if (v > 0) x[std::size_t(i * kValues + id)] = v;
            }
            lengths.push_back(float(n));
        }
    }
};

std::unique_ptr<core::Session> session(bool sparse, const std::string& encoder,
                                       const std::vector<NamedValue>& likelihood,
                                       const std::vector<NamedValue>& model = {}) {
    auto settings = session_settings(3, {Both::kValues});
    if (sparse) settings.fields = {{"ids", {Both::kEntries}}, {"values", {Both::kEntries}}, {"lengths", {1}}};
    std::vector<NamedValue> of_encoder{{"hidden", widths({8, 6})}};
    if (encoder == "bag") of_encoder.push_back({"input_dropout", 0.0});
    auto made = make_session(make_parts({{"model", "vae", model},
                                         {"encoder", encoder, of_encoder},
                                         {"decoder", "mlp", {{"hidden", widths({7})}}},
                                         {"posterior", "diagonal_gaussian"},
                                         {"prior", "standard_normal"},
                                         {"likelihood", "multinomial", likelihood},
                                         {"optimizer", "adam"}}),
                             settings);
    made->prepare(Both::kRows);
    return made;
}

std::vector<const float*> pointers(const core::Session& s, const Both& b) {
    std::vector<const float*> out;
    for (const std::string& f : s.fields())
        out.push_back(f == "ids" ? b.ids.data() : f == "values" ? b.values.data() : b.lengths.data());
    return out;
}

} // namespace

TEST_CASE("sparse rows: training, evaluation and codes are those of the rows written out, and x is read by nobody") {
    for (const bool constant : {true, false}) {
        CAPTURE(constant);
        const Both b;
        const auto dense = session(false, "bag", {{"constant", constant}});
        const auto sparse = session(true, "bag", {{"constant", constant}});
        CHECK(dense->fields().empty());
        for (const char* purpose : {"train", "evaluate", "encode", "reconstruct"}) {
            CHECK(dense->reads_x(purpose, Both::kRows));
            CHECK_MESSAGE(!sparse->reads_x(purpose, Both::kRows), purpose);
        }
        const auto fields = pointers(*sparse, b);
        for (int i = 0; i < 5; ++i) {
            const auto one = dense->step(b.x.data(), Both::kRows),
                       two = sparse->step(nullptr, Both::kRows, fields.data());
            REQUIRE((one.finite && two.finite));
            CHECK(two.loss == doctest::Approx(one.loss).epsilon(1e-5));
        }
        dense->run("evaluate", b.x.data(), Both::kRows, 1);
        sparse->run("evaluate", nullptr, Both::kRows, 1, fields.data());
        for (const char* output : {"loss", "code", "squared_error"}) {
            const auto one = dense->output(output), two = sparse->output(output);
            check_equal(Doubles(two.begin(), two.end()), Doubles(one.begin(), one.end()), 1e-4);
        }
    }
}

TEST_CASE("sparse rows: parts that know nothing of them, and rows that are repeated, read x") {
    const Both b;
    const auto mlp = session(true, "mlp", {});
    CHECK(mlp->reads_x("train", Both::kRows));
    const auto several = session(true, "bag", {}, {{"samples", std::int64_t(3)}});
    CHECK(several->reads_x("train", Both::kRows)); // each row is compared with several codes
    const auto fields = pointers(*several, b);
    CHECK(several->step(b.x.data(), Both::kRows, fields.data()).finite);
}

TEST_CASE("bag: rows of another length give the same code, and an empty row is none") {
    Workbench bench({{"encoder", "bag", {{"hidden", widths({4})}, {"input_dropout", 0.0}}}}, {3}, 2);
    Study s(bench);
    Var h = s.call1("encoder", "features", {s.input("x", {4, 3}, {1, 2, 0, 10, 20, 0, 0, 0, 0, 0, 0, 1})});
    const Doubles all = s.evaluate(h);
    for (std::size_t k = 0; k < 4; ++k) {
        CHECK(all[k] == doctest::Approx(all[4 + k]).epsilon(1e-12));
        CHECK(all[8 + k] == 0); // tanh of a bias that begins at 0
    }
    CHECK(all[12] != 0);
}

TEST_CASE("sparse counts: multinomial and bag are chosen, and values that are changed are read written out") {
    TempFolder t;
    std::map<std::string, std::set<std::string>> of_user;
    put(t / "r.csv", many_ratings(of_user));
    std::vector<core::GivenSetting> given{
        {"model", "vae", ""}, {"data", "ratings", ""}, {"data.path", (t / "r.csv").string(), ""}};
    auto config = core::resolve(given, plugins());
    const Rated r({{"path", (t / "r.csv").string()}});
    std::map<std::string, std::string> chosen;
    for (const auto& g : core::defaults_for(*r.rows, config, given)) chosen[g.key] = g.value;
    CHECK(chosen["likelihood"] == "multinomial");
    CHECK(chosen["encoder"] == "bag");
    CHECK(!chosen.count("data.standardize"));
    given.insert(given.end(), {{"encoder", "bag", ""}, {"likelihood", "mse", ""}, {"data.standardize", "true", ""}});
    config = core::resolve(given, plugins());
    const auto made = core::assemble(config, plugins(), ops::table(), backend("dnnl"));
    CHECK(made.session->reads_x("encode", std::min(config.batch, made.rows->count(Split::train))));
}
