// Rows as bytes: in memory, packed or on the disk they are the same, whatever becomes of them; and a file that changes
// while it is in use, or does not fit, is an error.
#include "plugins/data/stored.hpp"

#include <sys/resource.h>
#include <zlib.h>

#include <bit>
#include <fstream>
#include <map>

#include "core/data/loader.hpp"
#include "core/files/picture.hpp"
#include "tests/bench/command.hpp"
#include "tests/bench/workbench.hpp"

using namespace elbo;
using namespace elbo::test;
using core::DataOptions;
using core::Rows;
using core::Split;
namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kRows = 150, kHeight = 6, kWidth = 7, kValues = kHeight * kWidth;

/// Anything, and the same on every machine: one byte after the other.
struct Anything {
    std::uint32_t state = 12345;
    std::uint8_t byte() { return std::uint8_t((state = state * 1664525u + 1013904223u) >> 24); }
    /// n numbers of this type, as bytes.
    std::string numbers(const std::string& type, std::int64_t n) {
        std::string out;
        for (std::int64_t i = 0; i < n; ++i) {
            const double v = (byte() * 256 + byte()) / 97.0 - 200;
            if (type == "|u1") put_in(out, byte(), false);
            else if (type == "<i2") put_in(out, std::int16_t(v * 10), false);
            else if (type == "<f4") put_in(out, float(v), false);
            else if (type == ">f4") put_in(out, float(v), true);
            else if (type == "<f8") put_in(out, v * 1e3 + 1e9, false);
            else put_in(out, std::int64_t(v * 1e3) + (std::int64_t(1) << 60), false);
        }
        return out;
    }

private:
    template <class T>
    static void put_in(std::string& out, T v, bool swap) {
        char b[sizeof v];
        std::memcpy(b, &v, sizeof v);
        if (swap) std::reverse(b, b + sizeof v);
        out.append(b, sizeof v);
    }
};

std::string idx_header(std::uint8_t type, std::initializer_list<std::int64_t> dims) {
    std::string out{'\0', '\0', char(type), char(dims.size())};
    for (std::int64_t d : dims)
        for (int shift = 24; shift >= 0; shift -= 8) out += char(d >> shift);
    return out;
}
std::string npy_header(const std::string& type, const std::string& shape) {
    std::string header = "{'descr': '" + type + "', 'fortran_order': False, 'shape': " + shape + ", }";
    header.append(64 - (10 + header.size() + 1) % 64, ' ');
    header += "\n";
    return std::string("\x93NUMPY\x01\0", 8) + char(header.size() & 255) + char(header.size() >> 8) + header;
}
void put_packed(const fs::path& path, const std::string& bytes) {
    const gzFile f = ::gzopen(path.c_str(), "wb1");
    REQUIRE(f);
    REQUIRE(::gzwrite(f, bytes.data(), unsigned(bytes.size())) == int(bytes.size()));
    REQUIRE(::gzclose(f) == Z_OK);
}
std::string cifar_rows(Anything& any, std::int64_t n) {
    std::string out;
    for (std::int64_t i = 0; i < n; ++i) {
        out += char(any.byte() % 10);
        for (int k = 0; k < 3072; ++k) out += char(any.byte());
    }
    return out;
}

/// A data set in files, and which.
struct Source {
    std::string data, file;
    std::string bytes;
};
std::vector<Source> sources() {
    Anything any;
    std::vector<Source> out;
    out.push_back({"idx", "bytes.idx", idx_header(8, {kRows, kHeight, kWidth}) + any.numbers("|u1", kRows * kValues)});
    out.push_back({"idx", "floats.idx", idx_header(13, {kRows, kValues}) + any.numbers(">f4", kRows * kValues)});
    for (const char* type : {"|u1", "<i2", "<f4", ">f4", "<f8", "<i8"})
        for (const char* shape : {"(150, 6, 7)", "(150, 42)"})
            out.push_back({"npy", std::string(type + 1) + (type[0] == '>' ? "b" : "") + (shape[6] == '6' ? "i" : "t"),
                           npy_header(type, shape) + any.numbers(type, kRows * kValues)});
    return out;
}

std::vector<std::pair<std::string, DataOptions>> treatments() {
    DataOptions none, unit, standard, clipped, binary, fixed, all;
    none.scale = "none";
    unit.scale = "unit";
    standard.scale = "none", standard.standardize = true;
    clipped.scale = "unit", clipped.clip = true;
    binary.scale = "unit", binary.clip = true, binary.binarize = "dynamic";
    fixed.scale = "unit", fixed.clip = true, fixed.binarize = "threshold";
    all.scale = "unit", all.standardize = true;
    return {{"none", none},       {"unit", unit}, {"standardized", standard}, {"clipped", clipped}, {"binary", binary},
            {"threshold", fixed}, {"both", all}};
}

/// All rows of an epoch, test rows after training rows.
std::vector<float> values_of(const Rows& rows) {
    std::vector<float> out;
    for (Split split : {Split::train, Split::test}) {
        std::vector<std::uint32_t> order(std::size_t(rows.count(split)));
        core::shuffle_rows(5, 1, order);
        const std::vector<std::int64_t> which(order.begin(), order.end());
        const std::size_t before = out.size();
        out.resize(before + which.size() * std::size_t(rows.values()));
        rows.read(split, which, out.data() + before, split == Split::train ? 2 : 0);
    }
    return out;
}
std::uint64_t sum_of(const std::vector<float>& values) {
    std::uint64_t h = 14695981039346656037ull;
    for (float v : values) h = (h ^ std::bit_cast<std::uint32_t>(v)) * 1099511628211ull;
    return h;
}
std::vector<float> values_of(const Source& s, const fs::path& path, const std::string& stream, const DataOptions& o) {
    const auto part = make_part({"data", s.data, {{"path", path.string()}, {"stream", stream}}});
    return values_of(Rows(*part, o));
}

std::vector<float> labels_of(const Rows& rows) {
    std::vector<std::int64_t> which(std::size_t(rows.count(Split::train)));
    std::iota(which.begin(), which.end(), 0);
    std::vector<float> out(which.size());
    rows.read(*rows.find("labels"), Split::train, which, out.data());
    return out;
}

DataOptions plain() {
    DataOptions o;
    o.scale = "none";
    o.test_fraction = 0;
    return o;
}

/// While it lives, this process may take so many bytes more.
struct LittleMemory {
    rlimit before{};
    explicit LittleMemory(std::uint64_t bytes) {
        ::getrlimit(RLIMIT_AS, &before);
        std::uint64_t pages = 0;
        std::ifstream("/proc/self/statm") >> pages;
        rlimit now = before;
        now.rlim_cur = pages * std::uint64_t(::sysconf(_SC_PAGESIZE)) + bytes;
        REQUIRE(::setrlimit(RLIMIT_AS, &now) == 0);
    }
    LittleMemory(const LittleMemory&) = delete;
    LittleMemory& operator=(const LittleMemory&) = delete;
    ~LittleMemory() { ::setrlimit(RLIMIT_AS, &before); }
};

} // namespace

TEST_CASE("stored rows: on the disk, in memory and packed they are the same bits, whatever becomes of them") {
    TempFolder t;
    for (const Source& s : sources()) {
        put(t / s.file, s.bytes);
        put_packed(t / (s.file + ".gz"), s.bytes);
        for (const auto& [how, options] : treatments()) {
            CAPTURE(s.file);
            CAPTURE(how);
            const auto held = values_of(s, t / s.file, "no", options);
            CHECK(values_of(s, t / s.file, "yes", options) == held);
            CHECK(values_of(s, t / s.file, "auto", options) == held);
            CHECK(values_of(s, t / (s.file + ".gz"), "auto", options) == held);
        }
    }
}

TEST_CASE("stored rows: cifar10 and its labels are the same from the disk, over several files") {
    TempFolder t;
    Anything any;
    put(t / "data_batch_1.bin", cifar_rows(any, 7));
    put(t / "data_batch_2.bin", cifar_rows(any, 1));
    put(t / "data_batch_3.bin", cifar_rows(any, 12));
    put(t / "test_batch.bin", cifar_rows(any, 5));
    for (const auto& [how, options] : treatments()) {
        CAPTURE(how);
        const auto held = make_part({"data", "cifar10", {{"path", t.path.string()}, {"stream", "no"}}}),
                   left = make_part({"data", "cifar10", {{"path", t.path.string()}, {"stream", "yes"}}});
        const Rows a(*held, options), b(*left, options);
        CHECK(values_of(a) == values_of(b));
        CHECK(labels_of(a) == labels_of(b));
        CHECK(b.count(Split::train) == 20);
    }
}

TEST_CASE("stored rows: pictures decoded when they are wanted are those decoded beforehand") {
    TempFolder t;
    Anything any;
    for (int i = 0; i < 9; ++i) {
        const fs::path path = t / (i % 2 ? "a" : "b") / (std::to_string(i) + ".png");
        fs::create_directories(path.parent_path());
        std::vector<float> x(4 * 6 * 3);
        for (float& v : x) v = float(any.byte()) / 255;
        core::write_png(path, core::sheet(x, 1, 4, 6, 3, 1, 0, 1, 1, 0));
    }
    for (const std::int64_t size : {0, 5})
        for (const auto& [how, options] : treatments()) {
            CAPTURE(how);
            std::vector<std::vector<float>> all;
            for (const char* stream : {"no", "yes"}) {
                const auto part = make_part({"data",
                                             "images",
                                             {{"path", t.path.string()},
                                              {"height", size},
                                              {"width", size},
                                              {"crop", size ? "center" : "none"},
                                              {"stream", stream}}});
                const Rows rows(*part, options);
                all.push_back(values_of(rows));
                all.push_back(labels_of(rows));
            }
            CHECK(all[0] == all[2]);
            CHECK(all[1] == all[3]);
        }
    const auto part = make_part({"data", "images", {{"path", t.path.string()}, {"stream", "yes"}}});
    const Rows rows(*part, plain());
    put(t / "a" / "1.png", get(t / "a" / "1.png").substr(0, 40));
    must_say(refusal([&] { values_of(rows); }), {"1.png", "cannot be read as a picture"});
    core::write_png(t / "a" / "1.png", core::sheet(std::vector<float>(75), 1, 5, 5, 3, 1, 0, 1, 1, 0));
    must_say(refusal([&] { values_of(rows); }), {"1.png", "5x5", "4x6"});
}

TEST_CASE("stored rows: the bits are those of scaling every value in f64, one row after the other") {
    TempFolder t;
    static const std::map<std::string, std::uint64_t> golden{
#include "tests/golden/row_bits.inc"
    };
    std::size_t known = 0;
    for (const Source& s : sources()) {
        put(t / s.file, s.bytes);
        for (const auto& [how, options] : treatments()) {
            const std::uint64_t sum = sum_of(values_of(s, t / s.file, "auto", options));
            const auto found = golden.find(s.file + " " + how);
            REQUIRE_MESSAGE(found != golden.end(), s.file << " " << how);
            CHECK_MESSAGE(found->second == sum, s.file << " " << how);
            ++known;
        }
    }
    CHECK(known == golden.size());
}

TEST_CASE("stored rows: a file that is cut short or written to while it is in use is an error that names it") {
    TempFolder t;
    const Source s = sources()[0];
    for (const bool longer : {false, true}) {
        put(t / s.file, s.bytes);
        const auto part = make_part({"data", s.data, {{"path", (t / s.file).string()}, {"stream", "yes"}}});
        const Rows rows(*part, plain());
        core::Loader loader(rows, 10, 1, 0, 0);
        CHECK(loader.next().rows == 10);
        fs::resize_file(t / s.file, longer ? s.bytes.size() + 1 : 100);
        std::string why;
        for (int i = 0; i < 10 && why.empty(); ++i) why = refusal([&] { loader.next(); });
        must_say(why, {"bytes.idx", "was changed while it is in use",
                       "it had 6316 bytes and has " + std::to_string(longer ? 6317 : 100)});
    }
    put(t / "f", "0123456789");
    const stored::Disk disk((t / "f").string());
    std::uint8_t bytes[8];
    disk.read(2, bytes, 8);
    CHECK(bytes[7] == '9');
    std::string why;
    try {
        disk.read(5, bytes, 8);
    } catch (const std::runtime_error& e) {
        why = e.what();
    }
    must_say(why, {"cut short", "before byte 10"});
}

TEST_CASE("stored rows: a run whose file is cut short ends with exit code 3 and the file's name") {
    TempFolder t;
    const Source s = sources()[0];
    put(t / s.file, s.bytes);
    std::thread cuts([&] {
        for (int i = 0; i < 600 && !fs::exists(t / "run/checkpoints"); ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        fs::resize_file(t / s.file, 500);
    });
    const Outcome o = runner({"train",
                              "vae",
                              "--data",
                              "idx",
                              "--data.path",
                              (t / s.file).string(),
                              "--data.stream",
                              "yes",
                              "--encoder.hidden",
                              "8",
                              "--decoder.hidden",
                              "8",
                              "--latent",
                              "2",
                              "--epochs",
                              "1000000",
                              "--threads",
                              "1",
                              "--quiet",
                              "--out",
                              (t / "run").string()});
    cuts.join();
    INFO(o.text());
    CHECK(o.code == 3);
    CHECK(o.has("bytes.idx: was changed while it is in use"));
}

TEST_CASE("stored rows: what must be held and does not fit is refused before it is taken, with what to do") {
    TempFolder t;
    constexpr std::int64_t kMany = 65536;
    put_packed(t / "large.gz", idx_header(8, {kMany, 32, 32}) + std::string(kMany * 1024, '\1'));
    std::string text;
    for (int i = 0; i < (1 << 20) + 10; ++i) text += "1,2\n";
    put(t / "large.csv", text);
    const auto tried = [&](const char* data, const char* file, std::uint64_t mib) {
        const auto part = make_part({"data", data, {{"path", (t / file).string()}}});
        const LittleMemory little(mib << 20);
        return refusal([&] { Rows(*part, plain()); });
    };
    must_say(tried("idx", "large.gz", 40),
             {"large.gz", "does not fit into memory: it holds 64 MiB", "are free", "gunzip"});
    must_say(tried("csv", "large.csv", 20), {"large.csv", "does not fit into memory", "the file has 4 MiB", ".npy"});
    const auto part = make_part({"data", "idx", {{"path", (t / "large.gz").string()}, {"stream", "yes"}}});
    must_say(refusal([&] { Rows(*part, plain()); }), {"large.gz", "is packed", "gunzip"});
}
