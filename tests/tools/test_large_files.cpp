// Files larger than what a run may hold. They are sparse: all of their rows are zeros, and the disk holds next to
// nothing. ELBO_TEST_GIGABYTES asks for others than 4.
#include <cmath>
#include <cstdlib>

#include "tests/bench/command.hpp"

using namespace elbo::test;
namespace fs = std::filesystem;

namespace {

constexpr long kMostKib = 500'000'000 / 1024;

std::int64_t gigabytes() {
    const char* asked = std::getenv("ELBO_TEST_GIGABYTES");
    return asked ? std::atoll(asked) : 4;
}

/// Rows of 28 x 28 numbers of this type; how many there are.
std::int64_t make_sparse(const fs::path& path, const std::string& type, std::int64_t row_bytes) {
    const std::int64_t rows = gigabytes() * 1'000'000'000 / row_bytes;
    std::string header =
        "{'descr': '" + type + "', 'fortran_order': False, 'shape': (" + std::to_string(rows) + ", 28, 28), }";
    header.resize(117, ' ');
    put(path, std::string("\x93NUMPY\x01\0\x76\0", 10) + header + "\n");
    fs::resize_file(path, std::uintmax_t(128 + rows * row_bytes));
    return rows;
}

} // namespace

TEST_CASE("slow: a file of gigabytes trains for an epoch in half a gigabyte, bytes or floats") {
    for (const auto& [type, row_bytes] : {std::pair<const char*, std::int64_t>{"|u1", 784}, {"<f4", 784 * 4}}) {
        TempFolder t;
        const std::int64_t rows = make_sparse(t / "large.npy", type, row_bytes);
        const Outcome o = run({.words = {ELBO_RUNNER,
                                         "train",
                                         "ae",
                                         "--data",
                                         "npy",
                                         "--data.path",
                                         (t / "large.npy").string(),
                                         "--encoder.hidden",
                                         "8",
                                         "--decoder.hidden",
                                         "8",
                                         "--latent",
                                         "2",
                                         "--batch",
                                         "1024",
                                         "--epochs",
                                         "1",
                                         "--threads",
                                         "1",
                                         "--json",
                                         "--out",
                                         (t / "run").string()},
                               .seconds = 3000});
        INFO(o.text());
        REQUIRE(o.code == 0);
        MESSAGE(type << ": " << rows << " rows, " << o.peak_kib << " KiB at most; " << o.err);
        CHECK(o.peak_kib < kMostKib);
        CHECK(o.has(std::to_string(rows - std::llround(double(rows) * 0.1)) + " train"));
    }
}
