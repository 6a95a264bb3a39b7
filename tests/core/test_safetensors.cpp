#include "core/files/safetensors.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>

#include "core/base/error.hpp"
#include "tests/bench/support.hpp"

using namespace elbo::core;
using elbo::test::get;
using elbo::test::put;
using elbo::test::TempFolder;

namespace {

std::string length_bytes(std::uint64_t n) { return {reinterpret_cast<const char*>(&n), 8}; }

std::string file_of(const std::string& header, const std::string& data = "") {
    return length_bytes(header.size()) + header + data;
}

/// The message with which a file of these bytes is refused; "" when it is read.
std::string refusal(const TempFolder& folder, const std::string& bytes) {
    const auto path = folder / "hostile.safetensors";
    put(path, bytes);
    try {
        SafetensorsFile file(path);
    } catch (const Error& e) {
        CHECK(e.code() == Exit::data);
        CHECK(e.where() == path.string());
        return e.message();
    }
    return "";
}

/// A header with one tensor.
std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return R"({"a":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
}

// What Python's safetensors 0.8.0 wrote for {"w": [[1, 2], [3, -0.5]] f4, "n": [7, -1] i8, "s": 0.1 f8,
// "u": [1, 2, 255] u1} with the metadata {"kind": "ré\n"}.
const std::string kFromPython = file_of(
    "{\"__metadata__\":{\"kind\":\"r\xc3\xa9\\n\"},\"n\":{\"dtype\":\"I64\",\"shape\":[2],\"data_offsets\":[0,16]},"
    "\"s\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[16,24]},"
    "\"w\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[24,40]},"
    "\"u\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[40,43]}}    ",
    std::string("\x07\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\x9a\x99\x99\x99\x99\x99\xb9\x3f"
                "\0\0\x80\x3f\0\0\0\x40\0\0\x40\x40\0\0\0\xbf\x01\x02\xff",
                43));

} // namespace

TEST_CASE("SafetensorsFile: reads what Python wrote") {
    TempFolder folder;
    put(folder / "p", kFromPython);
    SafetensorsFile file(folder / "p");
    CHECK(file.metadata() == std::map<std::string, std::string>{{"kind", "r\xc3\xa9\n"}});
    REQUIRE(file.tensors().size() == 4);
    CHECK(file.tensors()[0].name == "n");
    CHECK(file.tensors()[1].dims == Dims{});
    CHECK(file.tensors()[2].dims == Dims{2, 2});
    CHECK(file.tensors()[2].dtype == "F32");
    CHECK(file.tensors()[2].begin == 8 + 256 + 24);
    CHECK(file.tensors()[3].end == std::int64_t(kFromPython.size()));
    CHECK(file.read_i64("n") == std::vector<std::int64_t>{7, -1});
    CHECK(file.read_f64("s") == std::vector<double>{0.1});
    CHECK(file.read_u8("u") == std::vector<std::uint8_t>{1, 2, 255});
    std::vector<float> w(4);
    file.read_f32("w", w);
    CHECK(w == std::vector<float>{1, 2, 3, -0.5f});
    CHECK(file.find("n") == &file.tensors()[0]);
    CHECK(file.find("x") == nullptr);
}

TEST_CASE("SafetensorsFile: refuses to read a tensor as what it is not") {
    TempFolder folder;
    put(folder / "p", kFromPython);
    SafetensorsFile file(folder / "p");
    std::vector<float> out(3);
    const std::string where = "\n  at " + (folder / "p").string();
    CHECK_THROWS_WITH_AS(file.read_f32("w", out), ("tensor 'w' is [2, 2], which is not 3 values" + where).c_str(),
                         Error);
    CHECK_THROWS_WITH_AS(file.read_f32("n", out), ("tensor 'n' is I64, not F32" + where).c_str(), Error);
    CHECK_THROWS_WITH_AS(file.read_f64("x"), ("there is no tensor 'x'" + where).c_str(), Error);
    std::filesystem::resize_file(folder / "p", 290);
    CHECK_THROWS_WITH_AS(file.read_u8("u"), ("cannot read p: it has become shorter" + where).c_str(), Error);
}

TEST_CASE("SafetensorsFile: accepts what is unusual but sound") {
    TempFolder folder;
    CHECK(refusal(folder, file_of("{}")) == "");
    CHECK(refusal(folder, file_of("{} \n\t  ")) == "");
    CHECK(refusal(folder, file_of(R"({"__metadata__":{}})")) == "");
    CHECK(refusal(folder, file_of(one("BF16", "[2]", "[0,4]"), "1234")) == "");
    CHECK(refusal(folder, file_of(one("F32", "[0,1152921504606846976]", "[0,0]"))) == "");
    CHECK(refusal(folder, file_of(one("U8", "[1,1,1,1,1,3]", "[0,3]"), "123")) == "");
    // Data in another order than the header, and empty tensors at both ends.
    CHECK(refusal(folder, file_of(R"({"a":{"data_offsets":[4,8],"dtype":"F32","shape":[1]},)"
                                  R"("e":{"dtype":"F32","shape":[0],"data_offsets":[8,8]},)"
                                  R"("f":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},)"
                                  R"("b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
                                  "12345678")) == "");
}

TEST_CASE("SafetensorsFile: refuses every hostile file with a reason") {
    TempFolder folder;
    const std::string sound = one("U8", "[4]", "[0,4]");
    const std::string two_of_four = R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},)"
                                    R"("b":{"dtype":"U8","shape":[4],"data_offsets":)";
    REQUIRE(refusal(folder, file_of(sound, "1234")) == "");
    struct {
        std::string title, bytes, reason;
    } const cases[] = {
        {"empty file", "", "0 bytes are too few for a header"},
        {"seven bytes", "1234567", "7 bytes are too few for a header"},
        {"no header", length_bytes(0), "the header does not begin with '{'"},
        {"header beyond the end", length_bytes(3) + "{}", "a header of 3 bytes in a file of 10 bytes"},
        {"header over 100 MB", length_bytes(100'000'001) + "{}", "a header of 100000001 bytes; at most 100 MB"},
        {"header length near 2^64", length_bytes(~0ull) + "{}",
         "a header of 18446744073709551615 bytes; at most 100 MB"},
        {"header length of 2^63", length_bytes(1ull << 63) + "{}",
         "a header of 9223372036854775808 bytes; at most 100 MB"},

        {"leading space", file_of(" {}"), "the header does not begin with '{'"},
        {"byte order mark", file_of("\xef\xbb\xbf{}"), "the header does not begin with '{'"},
        {"an array", file_of("[]"), "the header does not begin with '{'"},
        {"unfinished", file_of("{\"a\":"), "not JSON at byte 6 of the header"},
        {"two objects", file_of("{}{}"), "not JSON at byte 3 of the header"},
        {"text after the object", file_of("{} x"), "not JSON at byte 4 of the header"},
        {"hidden behind a zero byte", file_of(std::string("{}\0{\"a\":1}", 10)), "a zero byte in the header"},
        {"not UTF-8", file_of("{\"\xff\":1}"), "not JSON at byte 3 of the header"},
        {"half a surrogate", file_of(R"({"\ud800":1})"), "not JSON at byte 9 of the header"},
        {"number too large for JSON", file_of(one("U8", "[1e999]", "[0,4]"), "1234"),
         "not JSON at byte 33 of the header"},

        {"deep arrays", file_of(one("U8", std::string(1'000'000, '['), "[0,4]")),
         "an array where none belongs in tensor 'a'"},
        {"deep objects", file_of("{\"a\":{\"shape\":" + std::string(1'000'000, '{')),
         "an object where none belongs in tensor 'a'"},
        {"an object too deep", file_of(R"({"a":{"shape":{}}})"), "an object where none belongs in tensor 'a'"},
        {"an array of tensors", file_of(R"({"a":[]})"), "an array where none belongs in the header"},
        {"a number for a tensor", file_of(R"({"a":1})"), "a number where none belongs in the header"},
        {"a text for a tensor", file_of(R"({"a":"dtype"})"), "a text where none belongs in the header"},
        {"metadata of numbers", file_of(R"({"__metadata__":{"a":1}})"), "a number where none belongs in __metadata__"},
        {"metadata of objects", file_of(R"({"__metadata__":{"a":{}}})"),
         "an object where none belongs in __metadata__"},
        {"metadata of arrays", file_of(R"({"__metadata__":{"shape":[]}})"),
         "an array where none belongs in __metadata__"},
        {"no metadata", file_of(R"({"__metadata__":null})"), "null where none belongs in the header"},
        {"a number for a shape", file_of(R"({"a":{"shape":4}})"), "a number where none belongs in tensor 'a'"},
        {"a text in a shape", file_of(R"({"a":{"shape":["4"]}})"), "a text where none belongs in tensor 'a'"},
        {"a boolean in a shape", file_of(R"({"a":{"shape":[true]}})"), "a boolean where none belongs in tensor 'a'"},
        {"a list of dtypes", file_of(R"({"a":{"dtype":["U8"]}})"), "an array where none belongs in tensor 'a'"},

        {"repeated tensor", file_of(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{}})"),
         "key 'a' comes twice in the header"},
        {"repeated metadata", file_of(R"({"__metadata__":{},"__metadata__":{}})"),
         "key '__metadata__' comes twice in the header"},
        {"repeated metadata key", file_of(R"({"__metadata__":{"k":"1","\u006b":"2"}})"),
         "key 'k' comes twice in __metadata__"},
        {"repeated shape", file_of(R"({"a":{"shape":[1],"shape":[2]}})"), "key 'shape' comes twice in tensor 'a'"},
        {"unknown key", file_of(R"({"a":{"strides":[1]}})"), "unknown key 'strides' in tensor 'a'"},
        {"missing key", file_of(R"({"a":{"shape":[1],"dtype":"U8"}})"),
         "dtype, shape or data_offsets missing in tensor 'a'"},
        {"name too long", file_of("{\"" + std::string(1001, 'n') + "\":{}}"),
         "a name of 1001 bytes ('" + std::string(60, 'n') + "...'); the longest allowed has 1000"},
        {"terminal codes in a name", file_of(R"({"\u001b[2J":1,"a":{"\u001b[2J":1}})"),
         "a number where none belongs in the header"},
        {"terminal codes in a key", file_of(R"({"a\n":{"\u001b[2J":1}})"), "unknown key '?[2J' in tensor 'a?'"},

        {"unknown dtype", file_of(one("F99", "[1]", "[0,4]"), "1234"), "unknown dtype 'F99' in tensor 'a'"},
        {"dtype in lower case", file_of(one("u8", "[4]", "[0,4]"), "1234"), "unknown dtype 'u8' in tensor 'a'"},
        {"negative size", file_of(one("U8", "[-4]", "[0,4]"), "1234"),
         "a negative number where none belongs in tensor 'a'"},
        {"two negative sizes", file_of(one("U8", "[-2,-2]", "[0,4]"), "1234"),
         "a negative number where none belongs in tensor 'a'"},
        {"fraction", file_of(one("U8", "[4.0]", "[0,4]"), "1234"),
         "a fraction or too large a number where none belongs in tensor 'a'"},
        {"size over 2^63", file_of(one("U8", "[9223372036854775808]", "[0,4]"), "1234"),
         "too large a number where none belongs in tensor 'a'"},
        {"size over 2^64", file_of(one("U8", "[18446744073709551620]", "[0,4]"), "1234"),
         "a fraction or too large a number where none belongs in tensor 'a'"},
        {"product over 2^64, which wraps to 4", file_of(one("U8", "[4294967298,8589934590,1]", "[0,4]"), "1234"),
         "tensor 'a' (U8 [4294967298, 8589934590, 1]) has more bytes than can be counted"},
        {"bytes over 2^64, which wrap to 0", file_of(one("F32", "[4611686018427387904]", "[0,0]")),
         "tensor 'a' (F32 [4611686018427387904]) has more bytes than can be counted"},
        {"overflow before a zero", file_of(one("U8", "[4611686018427387904,4611686018427387904,0]", "[0,0]")),
         "tensor 'a' (U8 [4611686018427387904, 4611686018427387904, 0]) has more bytes than can be counted"},
        {"seven dimensions", file_of(one("U8", "[1,1,1,1,1,1,4]", "[0,4]"), "1234"),
         "more than 6 numbers in tensor 'a'"},

        {"one offset", file_of(one("U8", "[4]", "[4]"), "1234"), "data_offsets are not two numbers in tensor 'a'"},
        {"three offsets", file_of(one("U8", "[4]", "[0,4,4]"), "1234"), "more than 2 numbers in tensor 'a'"},
        {"negative offset", file_of(one("U8", "[4]", "[-4,0]"), "1234"),
         "a negative number where none belongs in tensor 'a'"},
        {"offsets reversed", file_of(one("U8", "[4]", "[4,0]"), "1234"),
         "tensor 'a' (U8 [4]) lies at bytes 4 to 0 of 4"},
        {"offsets beyond the end", file_of(one("U8", "[5]", "[0,5]"), "1234"),
         "tensor 'a' (U8 [5]) lies at bytes 0 to 5 of 4"},
        {"offsets near 2^63", file_of(one("U8", "[4]", "[9223372036854775803,9223372036854775807]"), "1234"),
         "tensor 'a' (U8 [4]) lies at bytes 9223372036854775803 to 9223372036854775807 of 4"},
        {"fewer bytes than the shape", file_of(one("F32", "[2]", "[0,4]"), "1234"),
         "tensor 'a' (F32 [2]) needs 8 bytes and has 4"},
        {"more bytes than the shape", file_of(one("U8", "[3]", "[0,4]"), "1234"),
         "tensor 'a' (U8 [3]) needs 3 bytes and has 4"},
        {"the same bytes twice", file_of(two_of_four + "[0,4]}}", "1234"),
         "tensor 'b' overlaps another at byte 0; expected 4"},
        {"overlap", file_of(two_of_four + "[2,6]}}", "123456"), "tensor 'b' overlaps another at byte 2; expected 4"},
        {"hole", file_of(two_of_four + "[6,10]}}", "1234567890"),
         "tensor 'b' leaves a hole before it at byte 6; expected 4"},
        {"hole at the start", file_of(one("U8", "[3]", "[1,4]"), "1234"),
         "tensor 'a' leaves a hole before it at byte 1; expected 0"},
        {"more data than tensors", file_of(sound, "12345"), "1 bytes of data belong to no tensor"},
        {"data without tensors", file_of("{}", "1"), "1 bytes of data belong to no tensor"},
    };
    for (const auto& c : cases) {
        CAPTURE(c.title);
        CHECK(refusal(folder, c.bytes) == "not a sound safetensors file: " + c.reason);
    }
}

TEST_CASE("SafetensorsFile: no cut and no changed byte of a sound file crashes it") {
    TempFolder folder;
    for (std::size_t n = 0; n < kFromPython.size(); ++n) CHECK(refusal(folder, kFromPython.substr(0, n)) != "");
    int refused = 0;
    for (std::size_t at = 0; at < 8 + 256; ++at)
        for (char flip : {'\x01', '\x10', '\x80'}) {
            std::string changed = kFromPython;
            changed[at] = char(changed[at] ^ flip);
            refused += refusal(folder, changed) != "";
        }
    CHECK(refused > 600);
}

TEST_CASE("SafetensorsFile: refuses what is not a file") {
    TempFolder folder;
    CHECK_THROWS_WITH_AS(SafetensorsFile(folder / "x"),
                         ("cannot read x: No such file or directory\n  at " + (folder / "x").string()).c_str(), Error);
    CHECK_THROWS_AS(SafetensorsFile(folder.path), Error);
    CHECK_THROWS_AS(SafetensorsFile("/dev/zero"), Error);
}

TEST_CASE("write_safetensors: gives the bytes of the format, data on a multiple of eight") {
    TempFolder folder;
    const float w[] = {1, 2, 3, -0.5f};
    const std::uint8_t u[] = {1, 2, 255};
    const double s = 0.1;
    const std::int64_t n[] = {7, -1};
    const StoredTensor tensors[] = {{"w", {2, 2}, w},
                                    {"u", {3}, u},
                                    {"s", {}, &s},
                                    {"n", {2}, n},
                                    {"e", {0, 5}, static_cast<const float*>(nullptr)}};
    write_safetensors(folder / "a", tensors, {{"kind", "vae"}, {"by", "\"r\xc3\xa9\"\n"}});
    // The sums are Python's hashlib's.
    const std::string each =
        "e985708fba80234aa6c2d9c4adb19c74648b37a98e805961f36b67a8935a4c9e "
        "0526d0e18ea19dfaad9d79166bec1e18d6221ef6b1830385fe9bf67022ed5f96 "
        "45d2b662d9d490ae9b932759c910b26b9a874065de620f4ac0a3a23a65e40b8c "
        "57e4397ccfb34c2040f50ff90f7850667aac626e0959bd3a4c92ec8ed62dc888 "
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const std::string header =
        "{\"__metadata__\":{\"by\":\"\\\"r\xc3\xa9\\\"\\n\",\"kind\":\"vae\","
        "\"sha256\":\"79f1da6f8c9327e86da214103c7fd00c5631c6f2d0aa24ace22ae6e2737a36d3\","
        "\"sha256.tensors\":\"" +
        each +
        "\"},"
        R"("w":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},)"
        R"("u":{"dtype":"U8","shape":[3],"data_offsets":[16,19]},)"
        R"("s":{"dtype":"F64","shape":[],"data_offsets":[19,27]},)"
        R"("n":{"dtype":"I64","shape":[2],"data_offsets":[27,43]},)"
        R"("e":{"dtype":"F32","shape":[0,5],"data_offsets":[43,43]}})";
    const std::size_t padded = (header.size() + 7) / 8 * 8;
    const std::string data(
        "\0\0\x80\x3f\0\0\0\x40\0\0\x40\x40\0\0\0\xbf\x01\x02\xff\x9a\x99\x99\x99\x99\x99\xb9\x3f"
        "\x07\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
        43);
    CHECK(get(folder / "a") == file_of(header + std::string(padded - header.size(), ' '), data));

    SafetensorsFile file(folder / "a");
    CHECK(file.metadata().at("by") == "\"r\xc3\xa9\"\n");
    CHECK(file.tensors()[4].dims == Dims{0, 5});
    file.read_f32("e", {});
    CHECK(file.read_f64("s") == std::vector<double>{0.1});
    CHECK(file.read_i64("n") == std::vector<std::int64_t>{7, -1});

    write_safetensors(folder / "none", {});
    std::string none =
        R"({"__metadata__":{"sha256":"f5e77f606d7b2c7b52ecd5e391e8383acd40dc9274c913d241e6e8ddf0a83026",)"
        R"("sha256.tensors":""}})";
    none.resize((none.size() + 7) / 8 * 8, ' ');
    CHECK(get(folder / "none") == file_of(none));
}

TEST_CASE("write_safetensors: refuses names nobody could read back, and writes nothing") {
    TempFolder folder;
    const float x = 0;
    using Metadata = std::map<std::string, std::string>;
    auto refused = [&](const std::vector<StoredTensor>& tensors, const Metadata& metadata = {}) {
        try {
            write_safetensors(folder / "a", tensors, metadata);
        } catch (const Error& e) {
            CHECK(e.code() == Exit::failure);
            return e.message();
        }
        return std::string();
    };
    CHECK(refused({{"x", {}, &x}, {"x", {}, &x}}) == "cannot write a: the name 'x' is taken");
    CHECK(refused({{"__metadata__", {}, &x}}) == "cannot write a: the name '__metadata__' is taken");
    CHECK(refused({{std::string(1001, 'n'), {}, &x}}).ends_with("...' is longer than 1000 bytes"));
    CHECK(refused({}, {{std::string(1001, 'n'), ""}}).ends_with("...' is longer than 1000 bytes"));
    CHECK(refused({{"\xff", {}, &x}}) == "cannot write a: a name or a metadata text is not UTF-8");
    CHECK(refused({}, {{"k", "\xff"}}) == "cannot write a: a name or a metadata text is not UTF-8");
    CHECK(folder.names().empty());
    CHECK(refused({{std::string(1000, 'n'), {}, &x}}) == "");
    CHECK(SafetensorsFile(folder / "a").tensors().size() == 1);
}
