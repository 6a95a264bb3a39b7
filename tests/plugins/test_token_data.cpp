// Texts and molecules as rows of tokens: what is cut where, which vocabulary, and what is refused in which words.
#include <fstream>

#include <zlib.h>

#include "core/data/token_text.hpp"
#include "tests/bench/opened.hpp"
#include "tests/bench/support.hpp"

using namespace elbo;
using namespace elbo::test;
using core::Rows;
using core::Split;
namespace fs = std::filesystem;

namespace {

using Settings = std::vector<NamedValue>;
using Texts = std::vector<std::string>;

const std::string kNone = "\xEF\xBF\xBD";

core::DataOptions no_test_rows() {
    core::DataOptions o;
    o.test_fraction = 0;
    return o;
}

struct Opened : OpenedData {
    Opened(const std::string& name, const Settings& values) : OpenedData(name, values, no_test_rows()) {}
    std::vector<float> ids(Split split, std::int64_t i) const { return x(i, split); }
    std::vector<float> ids(std::int64_t i) const { return x(i); }
    float field(const std::string& name, std::int64_t i, Split split = Split::train) const {
        float out = -1;
        rows->read(*rows->find(name), split, {&i, 1}, &out);
        return out;
    }
    Texts texts(Split split = Split::train) const {
        Texts out;
        for (std::int64_t i = 0; i < rows->count(split); ++i)
            out.push_back(core::text_of(rows->x().names, ids(split, i)));
        return out;
    }
    const Texts& names() const { return rows->x().names; }
};

/// A file of that text, and what it is read as.
struct File {
    TempFolder folder;
    std::string path;
    explicit File(const std::string& text) : path((folder / "x.txt").string()) { put(path, text); }
    Settings with(const Settings& more) const {
        Settings out{{"path", path}};
        if (std::none_of(more.begin(), more.end(), [](const NamedValue& v) { return v.name == "test"; }))
            out.push_back({"test", 0.0});
        out.insert(out.end(), more.begin(), more.end());
        return out;
    }
    Opened open(const Settings& more = {}, const std::string& name = "text") const { return {name, with(more)}; }
    std::string refused(const Settings& more = {}, const std::string& name = "text") const {
        std::string out = refusal([&] { open(more, name); });
        for (auto at = out.find(path); at != out.npos; at = out.find(path)) out.replace(at, path.size(), "x.txt");
        return out.substr(0, out.find('\n'));
    }
};

std::int64_t whole(int n) { return n; }
NamedValue tokens(const char* kind) { return {"tokens", std::string(kind)}; }

} // namespace

TEST_CASE("text: a row is its characters, the end, and ends to the last place") {
    const Opened o = File("ba\n\nabab\nb\n").open();
    CHECK(o.names() == Texts{"", kNone, "b", "a"});
    CHECK(o.rows->dims() == core::Dims{5});
    CHECK(o.rows->x().kind == ELBO_TOKENS);
    CHECK(o.rows->low() == 0);
    CHECK(o.rows->high() == 3);
    CHECK(o.ids(0) == std::vector<float>{2, 3, 0, 0, 0});
    CHECK(o.ids(1) == std::vector<float>{3, 2, 3, 2, 0});
    CHECK(o.field("lengths", 0) == 3);
    CHECK(o.field("lengths", 1) == 5);
    CHECK(o.field("lengths", 2) == 2);
    CHECK(o.rows->find("lengths")->kind == ELBO_COUNTS);
    CHECK(o.texts() == Texts{"ba", "abab", "b"});
    CHECK(o.rows->notes() == Texts{"1 empty line is left out"});
}

TEST_CASE("text: what is cut into tokens of any kind and put together again is the same text") {
    const Texts lines{"It's  a test, isn't it?",
                      " \"Quoted\" (and: odd)  spaces ",
                      "\xC3\x9C"
                      "ber na\xC3\xAFve \xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E \xF0\x9F\x99\x82!",
                      "a\\b\\n\ttab 3.14",
                      std::string(200, 'x'),
                      "the theme of the thesis is the thermos"};
    std::string all;
    for (const std::string& line : lines) all += line + "\n";
    const File f(all);
    for (const char* kind : {"characters", "words", "bytepairs"}) {
        CAPTURE(kind);
        CHECK(f.open({tokens(kind)}).texts() == lines);
    }
    const Opened windows =
        f.open({{"by", std::string("windows")}, {"length", whole(8)}, {"stride", whole(8)}, tokens("characters")});
    std::string text;
    for (const std::string& piece : windows.texts()) text += piece;
    CHECK(all.starts_with(text));
    CHECK(windows.rows->notes().empty());
}

TEST_CASE("text: words carry the blank before them, signs do not, and apostrophes join") {
    const Opened o = File("The cat, the cat\ndon't \"go\"").open({tokens("words")});
    Texts pieces;
    for (std::int64_t i : {0, 1})
        for (float id : o.ids(i))
            if (id != 0) pieces.push_back(o.names()[std::size_t(id)]);
    CHECK(pieces == Texts{"The", " cat", ",", " the", " cat", "don't", " ", "\"", "go", "\""});
}

TEST_CASE("text: byte pairs are the most frequent neighbours, learned one after the other, never across words") {
    // Pairs: ab 5 times, then "ab" with the blank before 3 times, "abc" twice.
    const File f("abc abc ab\nab ab\n");
    const Opened four = f.open({tokens("bytepairs"), {"vocabulary", whole(8)}});
    CHECK(four.names() == Texts{"", kNone, "a", "b", " ", "c", "ab", " ab"});
    CHECK(four.texts() == Texts{"abc abc ab", "ab ab"});
    CHECK(four.field("lengths", 1) == 3);
    const Opened all = f.open({tokens("bytepairs")});
    for (const std::string& name : all.names()) CHECK(name.find(" ", 1) == std::string::npos);
    CHECK(all.texts() == Texts{"abc abc ab", "ab ab"});
    CHECK(f.open({tokens("bytepairs")}).names() == all.names());
}

TEST_CASE("text: the vocabulary is that of the training rows, however the test rows are held out") {
    std::string text;
    for (int i = 0; i < 26; ++i) text += std::string(3, char('a' + i)) + "\n";
    const File f(text);
    for (const char* kind : {"characters", "words", "bytepairs"}) {
        CAPTURE(kind);
        const Opened o = f.open({tokens(kind), {"test", 0.5}});
        CHECK(o.rows->count(Split::train) == 13);
        CHECK(o.rows->count(Split::test) == 13);
        std::string learned, seen;
        for (const std::string& row : o.texts()) learned += row;
        for (std::size_t i = 2; i < o.names().size(); ++i) CHECK(learned.find(o.names()[i]) != std::string::npos);
        for (const std::string& row : o.texts(Split::test)) seen += row;
        CHECK(seen.find_first_of("abcdefghijklmnopqrstuvwxyz") == std::string::npos);
        REQUIRE(o.rows->notes().size() == 1);
        CHECK(o.rows->notes()[0].find("100 %) in test rows") != std::string::npos);
    }
    CHECK(f.open({{"test", 0.5}}).texts() == f.open({{"test", 0.5}}).texts());
    CHECK(f.open({{"test", 0.5}}).texts() != f.open({{"test", 0.5}, {"seed", whole(2)}}).texts());
    put(f.folder / "test.txt", "aXa\n");
    const Opened given = f.open({{"test", 0.5}, {"test_path", (f.folder / "test.txt").string()}});
    CHECK(given.rows->count(Split::train) == 26);
    CHECK(given.texts(Split::test) == Texts{"a" + kNone + "a"});
    const Opened windows = f.open({{"by", std::string("windows")}, {"length", whole(4)}, {"test", 0.5}});
    CHECK(windows.texts().back() == "mmm\n");
    CHECK(windows.texts(Split::test).front() == kNone + kNone + kNone + "\n");
}

TEST_CASE("text: the rarer tokens are unknown beyond the largest vocabulary, and how many is said") {
    const Opened o = File("aaa\naab\nabc\n").open({{"vocabulary", whole(4)}});
    CHECK(o.names() == Texts{"", kNone, "a", "b"});
    CHECK(o.ids(2) == std::vector<float>{2, 3, 1, 0});
    CHECK(
        o.rows->notes() ==
        Texts{"characters that are not in the vocabulary of 4 are unknown: 1 of 9 (11.1 %) in training rows, 0 of 0 (0 "
              "%) in test rows"});
}

TEST_CASE("text: rows that are too long are refused with file and line, or cut and counted") {
    const File f("ab\nabcdef\nabcd\n");
    CHECK(f.refused({{"length", whole(5)}}) ==
          "x.txt:2: 6 tokens and the end need 7 places, and rows have 5; the longest needs 7: give --data.length "
          "7, or --data.long cut");
    const Opened o = f.open({{"length", whole(4)}, {"long", std::string("cut")}});
    CHECK(o.texts() == Texts{"ab", "abcd", "abcd"});
    CHECK(o.field("lengths", 0) == 3);
    CHECK(o.field("lengths", 1) == 4);
    CHECK(o.rows->notes() == Texts{"2 of 3 rows need more than 4 places and are cut (data.long cut)"});
    const File longer(std::string(600, 'a') + "\nb\n");
    CHECK(longer.refused().find("x.txt:1: 600 tokens and the end need 601 places, and rows have 512") !=
          std::string::npos);
    CHECK(longer.open({{"length", whole(601)}}).rows->dims() == core::Dims{601});
}

TEST_CASE("text: windows overlap by their stride and are full; the last part of the text is for testing") {
    const File f("abcdefghij\nklmnopqrst\n");
    const Opened o =
        f.open({{"by", std::string("windows")}, {"length", whole(4)}, {"stride", whole(2)}, {"test", 0.5}});
    CHECK(o.texts() == Texts{"abcd", "cdef", "efgh", "ghij"});
    CHECK(o.rows->count(Split::test) == 4);
    CHECK(o.field("lengths", 3) == 4);
    CHECK(f.refused({{"by", std::string("windows")}, {"length", whole(40)}}) ==
          "x.txt: the training part has 22 tokens, and a window 40; give shorter windows (--data.length) or "
          "another share to test (--data.test)");
}

TEST_CASE("text: labels before a tab are classes, by number where they are numbers") {
    const File f("10\tred\n2\tgreen\n\n10\tblue\n");
    const Opened o = f.open({{"labels", true}});
    CHECK(o.texts() == Texts{"red", "green", "blue"});
    CHECK(o.rows->find("labels")->names == Texts{"2", "10"});
    CHECK(o.rows->find("labels")->classes() == 2);
    CHECK(o.field("labels", 0) == 1);
    CHECK(o.field("labels", 1) == 0);
    const Opened held = f.open({{"labels", true}, {"test", 0.34}});
    CHECK(held.rows->count(Split::test) == 1);
    for (Split s : {Split::train, Split::test})
        for (std::int64_t i = 0; i < held.rows->count(s); ++i)
            CHECK((held.texts(s)[std::size_t(i)] == "green") == (held.field("labels", i, s) == 0));
    CHECK(File("1\ta\nb\n").refused({{"labels", true}}) ==
          "x.txt:2: there is no tab between a label and the text; leave --data.labels out if there are no "
          "labels");
    CHECK(File("\ta\n").refused({{"labels", true}}) == "x.txt:1: the label before the tab is empty");
}

TEST_CASE("text: files in another encoding are refused, and the likely one is named") {
    CHECK(File("abc\ncaf\xE9\n").refused() ==
          "x.txt:2: is not UTF-8: byte 0xE9 at place 4 of the line; it looks like Latin-1 (ISO 8859-1); convert "
          "it: iconv -f LATIN1 -t UTF-8");
    CHECK(File("\x93quoted\x94 caf\xE9\n").refused() ==
          "x.txt:1: is not UTF-8: byte 0x93 at place 1 of the line; it looks like Windows-1252; convert it: "
          "iconv -f WINDOWS-1252 -t UTF-8");
    CHECK(File(std::string("\xFF\xFE"
                           "a\0\n\0",
                           6))
              .refused() ==
          "x.txt:1: is not UTF-8 but UTF-16, as its first bytes say; convert it: iconv -f UTF-16 -t UTF-8");
    CHECK(File(std::string("a\0b\n", 4)).refused() == "x.txt:1: holds a zero byte; this is not a text file");
    for (const char* wrong : {"\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82"})
        CHECK(File(wrong).refused().find("x.txt:1: is not UTF-8") != std::string::npos);
    CHECK(File("\xEF\xBB\xBF"
               "ab\r\nb\r\n")
              .open()
              .texts() == Texts{"ab", "b"});
}

TEST_CASE("text: files that hold nothing, or are not there, are refused") {
    CHECK(File("").refused() == "x.txt: holds no rows: it is empty");
    CHECK(File("\n\n").refused() == "x.txt: holds no rows: every line is empty");
    must_say(refusal([] {
                 Opened("text", {{"path", std::string("/no/such/file")}});
             }),
             {"/no/such/file", "No such file"});
    must_say(refusal([] { Opened("text", {}); }), {"--data.path"});
    must_say(File("a\n").refused({{"test", 0.9}}), {"--data.test leaves no training rows"});
}

TEST_CASE("text: several files follow one another, packed ones too") {
    const File f("one\n");
    const std::string packed = (f.folder / "b.gz").string();
    gzFile out = ::gzopen(packed.c_str(), "wb");
    REQUIRE(out);
    ::gzputs(out, "two\nlonger\n");
    ::gzclose(out);
    const Opened o("text", {{"path", f.path + "," + packed}, {"test", 0.0}});
    CHECK(o.texts() == Texts{"one", "two", "longer"});
    CHECK(o.rows->files() == Texts{f.path, packed});
    const std::string why = refusal([&] {
        Opened("text", {{"path", f.path + "," + packed}, {"test", 0.0}, {"length", whole(4)}});
    });
    must_say(why, {"b.gz:2: 6 tokens"});
}

TEST_CASE("text: options that contradict each other are refused") {
    const File f("a\n");
    must_say(f.refused({{"by", std::string("windows")}, {"labels", true}}), {"labels belong to lines"});
    must_say(f.refused({{"stride", whole(3)}}), {"stride is from one window to the next"});
}

TEST_CASE("smiles: atoms of two letters, in brackets and numbers of rings are one token") {
    const File f("ClCBr\nC[C@@H](N)C(=O)O\nC%12CC%12c1ccccc1\nF/C=C\\F name of it\n[NH4+].[Cl-]\n");
    const Opened o = f.open({}, "smiles");
    const auto pieces = [&](std::int64_t i) {
        Texts out;
        for (float id : o.ids(i))
            if (id != 0) out.push_back(o.names()[std::size_t(id)]);
        return out;
    };
    CHECK(pieces(0) == Texts{"Cl", "C", "Br"});
    CHECK(pieces(1) == Texts{"C", "[C@@H]", "(", "N", ")", "C", "(", "=", "O", ")", "O"});
    CHECK(pieces(2)[1] == "%12");
    CHECK(pieces(4) == Texts{"[NH4+]", ".", "[Cl-]"});
    CHECK(o.texts() == Texts{"ClCBr", "C[C@@H](N)C(=O)O", "C%12CC%12c1ccccc1", "F/C=C\\F", "[NH4+].[Cl-]"});
    CHECK(o.rows->dims() == core::Dims{14});
}

TEST_CASE("smiles: a header is passed over and told, and what is no SMILES is refused with file and line") {
    const Opened o = File("smiles\nCC\nCO\n").open({}, "smiles");
    CHECK(o.texts() == Texts{"CC", "CO"});
    CHECK(o.rows->notes() == Texts{"the first line is a header and no molecule: 'smiles'"});
    const auto why = [](const std::string& text) { return File(text).refused({}, "smiles"); };
    CHECK(why("CC\nCXC\n") == "x.txt:2: 'X' at place 2 of 'CXC' is no character of SMILES");
    CHECK(why("CC\nsmiles\n") == "x.txt:2: 'm' at place 2 of 'smiles' is no character of SMILES");
    CHECK(why("structure\nCC\n") ==
          "x.txt:1: 't' at place 2 of 'structure' is no character of SMILES; if it is "
          "a header, remove the line");
    CHECK(why("CC\nCC,1.5\n") ==
          "x.txt:2: ',' at place 3 of 'CC,1.5' is no character of SMILES; give the column "
          "of molecules alone, one on each line");
    CHECK(why("C[NH\n") == "x.txt:1: a bracket is opened and not closed at place 2 of 'C[NH'");
    CHECK(why("C[N!]\n") == "x.txt:1: '[N!]' at place 2 of 'C[N!]' is no atom in brackets");
    CHECK(why("C%1C\n") == "x.txt:1: % is not followed by the two digits of a ring at place 2 of 'C%1C'");
}

namespace {

/// Nothing where it is not there.
std::string real(const std::string& name) {
    const fs::path path = fs::path(ELBO_TEST_DATA) / name;
    if (fs::exists(path)) return path.string();
    MESSAGE("skipped: ", path.string(), " is not there (CMake cache entry ELBO_TEST_DATA)");
    return "";
}

Texts lines_of(const std::string& path) {
    Texts out;
    gzFile in = ::gzopen(path.c_str(), "rb");
    REQUIRE(in);
    char line[1 << 12];
    while (::gzgets(in, line, sizeof line)) {
        out.emplace_back(line);
        if (out.back().ends_with('\n')) out.back().pop_back();
    }
    ::gzclose(in);
    return out;
}

} // namespace

TEST_CASE("text and smiles: real files come back as they were, row by row") {
    for (const auto& [name, file, kind] :
         {std::tuple{"text", "text/names.txt.gz", "characters"}, std::tuple{"smiles", "smiles/qm9.smi.gz", ""},
          std::tuple{"smiles", "smiles/zinc250k_test.smi.gz", ""}}) {
        const std::string path = real(file);
        if (path.empty()) return;
        CAPTURE(file);
        Settings values{{"path", path}, {"test", 0.0}};
        if (*kind) values.push_back(tokens(kind));
        const Texts lines = lines_of(path), texts = Opened(name, values).texts();
        CHECK(texts.size() == lines.size());
        CHECK((texts == lines));
    }
}
