#include "core/files/atomic.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <limits>
#include <optional>

#include "core/base/error.hpp"
#include "core/files/arrays.hpp"
#include "tests/bench/support.hpp"

using namespace elbo::core;
using elbo::test::get;
using elbo::test::put;
using elbo::test::TempFolder;
using Names = std::vector<std::string>;

namespace {

template <class Call>
std::optional<Error> error_of(Call call) {
    try {
        call();
    } catch (const Error& e) {
        return e;
    }
    return {};
}

/// The message a child gets that may write no file over 4 kB; "" when it got none.
template <class Call>
std::string on_a_full_disk(Call call) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        ::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{4096, 4096};
        ::setrlimit(RLIMIT_FSIZE, &limit);
        const auto e = error_of(call);
        const std::string text = e ? e->message() : "";
        ssize_t put = ::write(ends[1], text.data(), text.size());
        ::_exit(put < 0);
    }
    ::close(ends[1]);
    char text[500];
    const ssize_t got = ::read(ends[0], text, sizeof text);
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(status == 0);
    return {text, std::size_t(std::max<ssize_t>(got, 0))};
}

} // namespace

TEST_CASE("write_atomically: writes all bytes and leaves no temporary") {
    TempFolder folder;
    const std::string bytes("a\0b\n", 4);
    write_atomically(folder / "x", bytes);
    CHECK(get(folder / "x") == bytes);
    write_atomically(folder / "x", "");
    CHECK(get(folder / "x").empty());
    CHECK(folder.names() == Names{"x"});
}

TEST_CASE("write_atomically: a bare file name means the current folder") {
    TempFolder folder;
    const auto before = std::filesystem::current_path();
    std::filesystem::current_path(folder.path);
    write_atomically("bare", "1");
    std::filesystem::current_path(before);
    CHECK(get(folder / "bare") == "1");
}

TEST_CASE("write_atomically: an existing file keeps its mode") {
    TempFolder folder;
    put(folder / "secret", "old");
    REQUIRE(::chmod((folder / "secret").c_str(), 0600) == 0);
    write_atomically(folder / "secret", "new");
    struct stat s {};
    REQUIRE(::stat((folder / "secret").c_str(), &s) == 0);
    CHECK((s.st_mode & 0777) == 0600);
    CHECK(get(folder / "secret") == "new");
}

TEST_CASE("write_atomically: a temporary left by a dead process of our number is no hindrance") {
    TempFolder folder;
    put(folder / ("x.tmp-" + std::to_string(::getpid())), "left over");
    write_atomically(folder / "x", "new");
    CHECK(folder.names() == Names{"x"});
    CHECK(get(folder / "x") == "new");
}

TEST_CASE("write_atomically: says why it cannot write, and where") {
    TempFolder folder;
    std::filesystem::create_directory(folder / "folder");
    put(folder / "file", "");
    struct {
        std::filesystem::path path;
        std::string message;
    } const cases[] = {
        {folder / "missing" / "x", "cannot write x: No such file or directory"},
        {folder / "file" / "x", "cannot write x: Not a directory"},
        {folder / "folder", "cannot write folder: Is a directory"},
        {folder / "folder/", "cannot write : Is a directory"},
        {"", "cannot write : No such file or directory"},
        {"/dev/null", "cannot write null: not a regular file"},
        {folder / std::string(300, 'n'), "cannot write " + std::string(300, 'n') + ": File name too long"},
    };
    for (const auto& c : cases) {
        CAPTURE(c.path.string());
        const auto e = error_of([&] { write_atomically(c.path, "bytes"); });
        REQUIRE(e);
        CHECK(e->code() == Exit::failure);
        CHECK(e->message() == c.message);
        CHECK(e->where() == c.path.string());
    }
    CHECK(folder.names() == Names{"file", "folder"});
}

TEST_CASE("write_atomically: a full disk leaves the old file as it was and no temporary") {
    TempFolder folder;
    put(folder / "x", "old");
    CHECK(on_a_full_disk([&] { write_atomically(folder / "x", std::string(10000, 'n')); }) ==
          "cannot write x: File too large");
    CHECK(on_a_full_disk([&] { write_npy(folder / "x", std::vector<float>(5000), {5000}); }) ==
          "cannot write x: File too large");
    CHECK(on_a_full_disk([&] { write_atomically(folder / "x2", "fits"); }) == "");
    CHECK(get(folder / "x") == "old");
    CHECK(folder.names() == Names{"x", "x2"});
}

TEST_CASE("AtomicFile: the old file is there until commit, and stays without one") {
    TempFolder folder;
    put(folder / "x", "old");
    {
        AtomicFile file(folder / "x");
        file.write("one ");
        CHECK(get(folder / "x") == "old");
        CHECK(folder.names().size() == 2);
    }
    CHECK(get(folder / "x") == "old");
    CHECK(folder.names() == Names{"x"});
    AtomicFile file(folder / "x");
    file.write("one ");
    file.write("two");
    file.commit();
    CHECK(get(folder / "x") == "one two");
    CHECK(folder.names() == Names{"x"});
}

TEST_CASE("AtomicFile: a folder removed meanwhile is an error at commit") {
    TempFolder folder;
    std::filesystem::create_directory(folder / "gone");
    AtomicFile file(folder / "gone" / "x");
    std::filesystem::remove_all(folder / "gone");
    const auto e = error_of([&] { file.commit(); });
    REQUIRE(e);
    CHECK(e->message() == "cannot write x: No such file or directory");
}

TEST_CASE("read_file: gives all bytes, also of files that do not tell their size") {
    TempFolder folder;
    std::string bytes(1'000'003, 'x');
    bytes[5] = '\0';
    put(folder / "x", bytes);
    CHECK(read_file(folder / "x") == bytes);
    CHECK(read_file("/proc/self/status").find("Pid:") != std::string::npos);
}

TEST_CASE("read_file: refuses what cannot be read as bad data") {
    TempFolder folder;
    const auto missing = error_of([&] { read_file(folder / "x"); });
    REQUIRE(missing);
    CHECK(missing->code() == Exit::data);
    CHECK(missing->message() == "cannot read x: No such file or directory");
    CHECK(missing->where() == (folder / "x").string());
    const auto is_folder = error_of([&] { sha256_of_file(folder.path); });
    REQUIRE(is_folder);
    CHECK(is_folder->message().ends_with(": Is a directory"));
}

TEST_CASE("sha256: gives the digests of FIPS 180-4's examples") {
    CHECK(sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    TempFolder folder;
    put(folder / "million", std::string(1'000'000, 'a'));
    CHECK(sha256_of_file(folder / "million") == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("write_npy: gives NumPy's bytes") {
    TempFolder folder;
    // numpy.save of arange(6, dtype='f4').reshape(2, 3), NumPy 2.4.
    write_npy(folder / "a.npy", std::vector<float>{0, 1, 2, 3, 4, 5}, {2, 3});
    std::string expected("\x93NUMPY\x01\x00\x76\x00", 10);
    expected += "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
    expected += std::string(127 - expected.size(), ' ') + "\n";
    expected += std::string("\0\0\0\0\0\0\x80\x3f\0\0\0\x40\0\0\x40\x40\0\0\x80\x40\0\0\xa0\x40", 24);
    CHECK(get(folder / "a.npy") == expected);

    write_npy(folder / "b.npy", std::vector<float>{7}, {1});
    CHECK(get(folder / "b.npy").find("'shape': (1,), }") != std::string::npos);
    write_npy(folder / "c.npy", std::vector<float>{7}, {});
    CHECK(get(folder / "c.npy").find("'shape': (), }") != std::string::npos);
    write_npy(folder / "d.npy", {}, {0, 4});
    CHECK(get(folder / "d.npy").size() == 128);
}

TEST_CASE("write_csv: numbers are short and read back the same") {
    TempFolder folder;
    const double infinity = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
    const std::vector<double> rows{1, 0.1, 1e300, -0.0, nan, std::copysign(nan, -1), infinity, -infinity};
    write_csv(folder / "t.csv", {"step", "a,b \"q\""}, rows);
    CHECK(get(folder / "t.csv") == "step,\"a,b \"\"q\"\"\"\n1,0.1\n1e+300,-0\nnan,nan\ninf,-inf\n");

    const double awkward[] = {1.0 / 3, 5e-324, 1.7976931348623157e308, 123456789.123456789};
    write_csv(folder / "u.csv", {"x"}, awkward);
    std::ifstream in(folder / "u.csv");
    std::string line;
    std::getline(in, line);
    for (double x : awkward) {
        REQUIRE(std::getline(in, line));
        CHECK(std::strtod(line.c_str(), nullptr) == x);
    }
}

TEST_CASE("write_csv: large tables come out whole") {
    TempFolder folder;
    std::vector<double> rows(600'000);
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = double(i);
    write_csv(folder / "t.csv", {"a", "b", "c"}, rows);
    std::string expected = "a,b,c\n";
    for (std::size_t i = 0; i < rows.size(); ++i) expected += std::to_string(i) + (i % 3 == 2 ? "\n" : ",");
    CHECK(get(folder / "t.csv") == expected);
}
