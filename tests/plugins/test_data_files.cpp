// Data sets out of files of other programs: NumPy arrays, svmlight text, CIFAR-10's batches, folders of pictures. The
// files are made here, byte by byte where a byte counts.
#include <zip.h>

#include <cstring>

#include "core/files/picture.hpp"
#include "tests/bench/opened.hpp"
#include "tests/bench/support.hpp"

using namespace elbo;
using namespace elbo::test;
using core::DataOptions;
using core::Dims;
using core::Rows;
using core::Split;
namespace fs = std::filesystem;

namespace {

/// A .npy file of version 1 (or another), its header padded as NumPy pads it.
std::string npy(const std::string& type, const std::string& shape, const std::string& bytes, int version = 1,
                const char* fortran = "False") {
    std::string header = "{'descr': '" + type + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }";
    const std::size_t begin = version == 1 ? 10 : 12;
    header.append(64 - (begin + header.size() + 1) % 64, ' ');
    header += "\n";
    std::string out = "\x93NUMPY";
    out += char(version), out += '\0';
    for (std::size_t i = 0; i < begin - 8; ++i) out += char(header.size() >> (8 * i));
    return out + header + bytes;
}
template <class T>
std::string bytes_of(std::initializer_list<T> values, bool swap = false) {
    std::string out;
    for (T v : values) {
        std::string one(reinterpret_cast<const char*>(&v), sizeof v);
        if (swap) std::reverse(one.begin(), one.end());
        out += one;
    }
    return out;
}

DataOptions plain() {
    DataOptions o;
    o.scale = "none";
    o.test_fraction = 0;
    return o;
}

struct Opened : OpenedData {
    Opened(const std::string& name, const std::vector<NamedValue>& values) : OpenedData(name, values, plain()) {}
    std::vector<float> x(Split split = Split::train) const {
        std::vector<std::int64_t> which(std::size_t(rows->count(split)));
        std::iota(which.begin(), which.end(), 0);
        std::vector<float> out(which.size() * std::size_t(rows->values()));
        rows->read(split, which, out.data());
        return out;
    }
    std::vector<float> labels(Split split = Split::train) const {
        std::vector<float> out;
        for (std::int64_t i = 0; i < rows->count(split); ++i) {
            out.push_back(0);
            rows->read(*rows->find("labels"), split, {&i, 1}, &out.back());
        }
        return out;
    }
};
std::string refused(const std::string& name, const std::vector<NamedValue>& values) {
    return refusal([&] { Opened(name, values); });
}

void make_npz(const fs::path& path, const std::vector<std::pair<std::string, std::string>>& arrays) {
    int code = 0;
    zip_t* z = ::zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code);
    REQUIRE(z);
    for (const auto& [name, bytes] : arrays)
        REQUIRE(::zip_file_add(z, (name + ".npy").c_str(), ::zip_source_buffer(z, bytes.data(), bytes.size(), 0), 0) >=
                0);
    REQUIRE(::zip_close(z) == 0);
}

} // namespace

TEST_CASE("npy: every number type, either endianness and every version give the numbers that were stored") {
    TempFolder t;
    const std::string path = (t / "x.npy").string();
    const std::vector<float> want{1, 2, 3, 250, 5, 6};
    const std::vector<std::string> files{npy("|u1", "(2, 3)", bytes_of<std::uint8_t>({1, 2, 3, 250, 5, 6})),
                                         npy("<i2", "(2, 3)", bytes_of<std::int16_t>({1, 2, 3, 250, 5, 6})),
                                         npy(">u2", "(2, 3)", bytes_of<std::uint16_t>({1, 2, 3, 250, 5, 6}, true)),
                                         npy("<i4", "(2, 3)", bytes_of<std::int32_t>({1, 2, 3, 250, 5, 6}), 2),
                                         npy(">i8", "(2, 3)", bytes_of<std::int64_t>({1, 2, 3, 250, 5, 6}, true)),
                                         npy("<f4", "(2, 3)", bytes_of<float>({1, 2, 3, 250, 5, 6}), 3),
                                         npy(">f4", "(2, 3)", bytes_of<float>({1, 2, 3, 250, 5, 6}, true)),
                                         npy("<f8", "(2, 3)", bytes_of<double>({1, 2, 3, 250, 5, 6}))};
    for (const std::string& file : files) {
        put(path, file);
        CAPTURE(file.substr(10, 30));
        const Opened o("npy", {{"path", path}});
        CHECK(o.x() == want);
        CHECK(o.rows->dims() == Dims{3});
    }
    put(path, npy("<f4", "(4,)", bytes_of<float>({1, 2, 3, 4})));
    CHECK(Opened("npy", {{"path", path}}).rows->dims() == Dims{1});
    put(path, npy("|u1", "(1, 2, 3)", bytes_of<std::uint8_t>({1, 2, 3, 250, 5, 6})));
    const Opened image("npy", {{"path", path}});
    CHECK(image.rows->dims() == Dims{2, 3, 1});
    CHECK(image.rows->high() == 255);
}

TEST_CASE("npy: labels and test rows come from files of their own, and what is wrong is named") {
    TempFolder t;
    auto file = [&](const char* name, const std::string& bytes) {
        put(t / name, bytes);
        return (t / name).string();
    };
    const auto x = file("x.npy", npy("<f4", "(3, 2)", bytes_of<float>({1, 2, 3, 4, 5, 6}))),
               y = file("y.npy", npy("<i8", "(3,)", bytes_of<std::int64_t>({2, 0, 1}))),
               test = file("test.npy", npy("<f4", "(1, 2)", bytes_of<float>({7, 8}))),
               test_y = file("test_y.npy", npy("|u1", "(1,)", bytes_of<std::uint8_t>({1})));
    const Opened o("npy", {{"path", x}, {"labels", y}, {"test_path", test}, {"test_labels", test_y}});
    CHECK(o.labels() == std::vector<float>{2, 0, 1});
    CHECK(o.x(Split::test) == std::vector<float>{7, 8});
    CHECK(o.labels(Split::test) == std::vector<float>{1});
    CHECK(o.rows->find("labels")->classes() == 3);

    const auto wide = file("wide.npy", npy("<f4", "(1, 3)", bytes_of<float>({7, 8, 9})));
    must_say(refused("npy", {{"path", x}, {"test_path", wide}}), {"wide.npy", "other sizes"});
    must_say(refused("npy", {{"path", x}, {"labels", x}}), {"6 labels for 3 rows"});
    const auto beyond = file("beyond.npy", npy("<i8", "(3,)", bytes_of<std::int64_t>({2, -1, 1})));
    must_say(refused("npy", {{"path", x}, {"labels", beyond}}), {"beyond.npy", "row 1", "out of range"});
    must_say(refused("npy", {{"path", x}, {"labels", y}, {"test_path", test}}), {"both have labels"});
    const auto nan = file("nan.npy", npy("<f4", "(2, 2)", bytes_of<float>({1, 2, 3, NAN})));
    must_say(refused("npy", {{"path", nan}}), {"nan.npy", "row 1", "value 1"});
    for (const auto& [bytes, says] : std::vector<std::pair<std::string, std::string>>{
             {"hello", "no .npy array"},
             {npy("<f4", "(2, 2)", bytes_of<float>({1, 2, 3})), "truncated"},
             {npy("<f4", "(2, 2)", bytes_of<float>({1, 2, 3, 4, 5})), "promises 16 bytes"},
             {npy("<f4", "(2, 2)", bytes_of<float>({1, 2, 3, 4}), 1, "True"), "ascontiguousarray"},
             {npy("<c8", "(1,)", std::string(8, '\0')), "type 'c8'"},
             {npy("<f4", "(0, 2)", ""), "no rows"},
             {npy("<f8", "(99999999999, 99999999999)", ""), "impossible size"},
             {npy("<f4", "(2, 2)", "").substr(0, 40), "truncated"}})
        must_say(refused("npy", {{"path", file("bad.npy", bytes)}}), {"bad.npy", says});
}

TEST_CASE("npz: arrays are found by their usual names or by key; a missing key is told with those that are there") {
    TempFolder t;
    const std::string path = (t / "a.npz").string();
    const auto x = npy("<f4", "(2, 2)", bytes_of<float>({1, 2, 3, 4})),
               y = npy("<i8", "(2,)", bytes_of<std::int64_t>({1, 0})),
               other = npy("<f4", "(1, 2)", bytes_of<float>({9, 9}));
    make_npz(path, {{"x_train", x},
                    {"y_train", y},
                    {"x_test", other},
                    {"y_test", npy("<i8", "(1,)", bytes_of<std::int64_t>({1}))}});
    const Opened o("npz", {{"path", path}});
    CHECK(o.x() == std::vector<float>{1, 2, 3, 4});
    CHECK(o.labels() == std::vector<float>{1, 0});
    CHECK(o.x(Split::test) == std::vector<float>{9, 9});
    must_say(refused("npz", {{"path", path}, {"key", std::string("rows")}}),
             {"no array 'rows'", "x_train, y_train, x_test, y_test"});
    make_npz(path, {{"anything", x}});
    CHECK(Opened("npz", {{"path", path}}).x() == std::vector<float>{1, 2, 3, 4});
    make_npz(path, {{"one", x}, {"two", other}});
    must_say(refused("npz", {{"path", path}}), {"--data.key", "one, two"});
    CHECK(Opened("npz", {{"path", path}, {"key", std::string("two")}}).x() == std::vector<float>{9, 9});
    put(path, get(path).substr(0, 60));
    must_say(refused("npz", {{"path", path}}), {"a.npz", "cannot be opened"});
}

TEST_CASE("svmlight: sparse rows become dense ones, labels classes by their size") {
    TempFolder t;
    const std::string path = (t / "x.svm").string();
    auto with = [&](const std::string& text, const std::vector<NamedValue>& more = {}) {
        put(path, text);
        auto values = more;
        values.push_back({"path", path});
        return values;
    };
    const Opened o("svmlight", with("+1 1:0.5 3:2 # a comment\n-1 2:1e-1\n\n# nothing\n+1 qid:3 4:-7\n"));
    CHECK(o.x() == std::vector<float>{0.5f, 0, 2, 0, 0, 0.1f, 0, 0, 0, 0, 0, -7});
    CHECK(o.labels() == std::vector<float>{1, 0, 1});
    CHECK(o.rows->find("labels")->names == std::vector<std::string>{"-1", "1"});
    CHECK(Opened("svmlight", with("3 0:1 2:5\n")).x() == std::vector<float>{1, 0, 5});
    CHECK(Opened("svmlight", with("3 1:1 2:5\n", {{"columns", std::int64_t(5)}})).rows->dims() == Dims{5});
    for (const auto& [text, says] :
         std::vector<std::pair<std::string, std::string>>{{"1 2:1 2:3\n", ":1: index 2 comes after 2"},
                                                          {"1 1:1\n1 x\n", ":2: 'x' is no index"},
                                                          {"one 1:1\n", "label 'one' is no number"},
                                                          {"", "no rows"}})
        must_say(refused("svmlight", with(text)), {"x.svm", says});
    must_say(refused("svmlight", with("1 9:1\n", {{"columns", std::int64_t(5)}})), {"index 9", "--data.columns 5"});
}

TEST_CASE("cifar10: channels one after the other become pixels, and sizes and labels are checked") {
    TempFolder t;
    auto row = [](int label, int red) {
        std::string out(1, char(label));
        for (int c = 0; c < 3; ++c)
            for (int p = 0; p < 1024; ++p) out += char((red + c * 50 + p) % 256);
        return out;
    };
    put(t / "data_batch_1.bin", row(3, 10) + row(9, 20));
    put(t / "data_batch_2.bin", row(0, 30));
    put(t / "test_batch.bin", row(7, 40));
    const Opened o("cifar10", {{"path", t.path.string()}});
    CHECK(o.rows->dims() == Dims{32, 32, 3});
    CHECK(o.labels() == std::vector<float>{3, 9, 0});
    CHECK(o.labels(Split::test) == std::vector<float>{7});
    const auto x = o.x();
    CHECK(std::vector<float>(x.begin(), x.begin() + 6) == std::vector<float>{10, 60, 110, 11, 61, 111});
    CHECK(o.rows->find("labels")->names.at(9) == "truck");
    put(t / "data_batch_2.bin", row(0, 30) + "x");
    must_say(refused("cifar10", {{"path", t.path.string()}}), {"data_batch_2.bin", "no whole number of rows"});
    put(t / "data_batch_2.bin", row(12, 30));
    must_say(refused("cifar10", {{"path", t.path.string()}}), {"data_batch_2.bin", "row 0", "label 12"});
    must_say(refused("cifar10", {{"path", (t / "none").string()}}), {"no data_batch_1.bin"});
}

namespace {

void picture(const fs::path& path, int height, int width, int channels, float grey) {
    fs::create_directories(path.parent_path());
    std::vector<float> x(std::size_t(height * width * channels), grey);
    core::write_png(path, core::sheet(x, 1, height, width, channels, 1, 0, 1, 1, 0));
}

} // namespace

TEST_CASE("images: a subfolder is a class, train and test are splits, sizes are those that are asked for") {
    TempFolder t;
    picture(t / "train/cat/b.png", 4, 6, 1, 1);
    picture(t / "train/cat/a.png", 4, 6, 1, 0);
    picture(t / "train/dog/a.PNG", 4, 6, 1, 0.5f);
    picture(t / "test/dog/a.png", 4, 6, 1, 1);
    put(t / "train/dog/readme.txt", "no picture");
    const Opened o("images", {{"path", t.path.string()}});
    CHECK(o.rows->dims() == Dims{4, 6, 1});
    CHECK(o.labels() == std::vector<float>{0, 0, 1});
    CHECK(o.rows->count(Split::test) == 1);
    CHECK(o.rows->find("labels")->names == std::vector<std::string>{"cat", "dog"});
    const auto x = o.x();
    CHECK(x[0] == 0);
    CHECK(x[24] == 255);
    const Opened small("images", {{"path", t.path.string()},
                                  {"height", std::int64_t(2)},
                                  {"width", std::int64_t(2)},
                                  {"channels", std::int64_t(3)},
                                  {"crop", std::string("center")}});
    CHECK(small.rows->dims() == Dims{2, 2, 3});
    CHECK(small.x()[12] == 255);
}

TEST_CASE("images: mixed sizes name two files, and what is no picture is named with the library's reason") {
    TempFolder t;
    picture(t / "a.png", 4, 6, 1, 1);
    picture(t / "b.png", 5, 6, 1, 1);
    must_say(refused("images", {{"path", t.path.string()}}), {"b.png", "5x6", "a.png", "4x6", "--data.height"});
    const std::string good = get(t / "a.png");
    put(t / "b.png", good.substr(0, good.size() - 20));
    must_say(refused("images", {{"path", t.path.string()}}), {"b.png", "cannot be read as a picture"});
    fs::remove(t / "b.png");
    put(t / "c.jpg", "\xff\xd8\xff\xe0 this is no picture");
    must_say(refused("images", {{"path", t.path.string()}}), {"c.jpg", "cannot be read as a picture"});
    must_say(refused("images", {{"path", (t / "none").string()}}), {"none", "no folder"});
    fs::create_directory(t / "empty");
    must_say(refused("images", {{"path", (t / "empty").string()}}), {"no .png, .jpg or .jpeg"});
}
