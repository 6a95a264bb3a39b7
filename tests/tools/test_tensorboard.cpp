// Event files as TensorBoard reads them: records whose checksums fit, values as in metrics.csv, and the steps of a run
// that went on; by the tensorboard package where it is installed.
#include <doctest/doctest.h>

#include <cstring>

#include "core/base/text.hpp"
#include "tests/bench/command.hpp"
#include "tests/bench/support.hpp"

using namespace elbo::test;
namespace fs = std::filesystem;

namespace {

// Bit by bit, as RFC 3720 defines it.
std::uint32_t castagnoli(const std::string& bytes) {
    std::uint32_t crc = ~0u;
    for (char c : bytes) {
        crc ^= std::uint8_t(c);
        for (int k = 0; k < 8; ++k) crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
    }
    return ~crc;
}

template <class T>
T number_at(const std::string& bytes, std::size_t at) {
    T out;
    REQUIRE(at + sizeof out <= bytes.size());
    std::memcpy(&out, bytes.data() + at, sizeof out);
    return out;
}

void check_sum(const std::string& of, std::uint32_t given) {
    const std::uint32_t crc = castagnoli(of);
    CHECK(given == (crc >> 15 | crc << 17) + 0xa282ead8u);
}

/// What the records of a file hold; every checksum fits.
std::vector<std::string> records_of(const fs::path& file) {
    const std::string bytes = get(file);
    std::vector<std::string> out;
    for (std::size_t at = 0; at < bytes.size();) {
        const auto n = std::size_t(number_at<std::uint64_t>(bytes, at));
        check_sum(bytes.substr(at, 8), number_at<std::uint32_t>(bytes, at + 8));
        REQUIRE(at + 16 + n <= bytes.size());
        out.push_back(bytes.substr(at + 12, n));
        check_sum(out.back(), number_at<std::uint32_t>(bytes, at + 12 + n));
        at += 16 + n;
    }
    return out;
}

std::vector<fs::path> event_files(const fs::path& folder) {
    std::vector<fs::path> out;
    for (const auto& e : fs::directory_iterator(folder)) out.push_back(e.path());
    return out;
}

// The f32 behind a tag: field 2 of Summary.Value follows field 1.
float scalar_of(const std::vector<std::string>& records, const std::string& tag) {
    for (const std::string& r : records)
        if (const auto at = r.find(tag + "\x15"); at != std::string::npos)
            return number_at<float>(r, at + tag.size() + 1);
    FAIL("no scalar " << tag);
    return 0;
}

std::string column(const fs::path& metrics, std::size_t row, const std::string& name) {
    const auto lines = elbo::core::pieces(get(metrics), '\n');
    const auto names = elbo::core::pieces(lines.at(0), ','), values = elbo::core::pieces(lines.at(row), ',');
    for (std::size_t i = 0; i < names.size(); ++i)
        if (names[i] == name) return values.at(i);
    FAIL("no column " << name);
    return "";
}

} // namespace

TEST_CASE("tensorboard: the checksum is CRC-32C") { CHECK(castagnoli("123456789") == 0xe3069283u); }

TEST_CASE("tensorboard: sound records with the values of metrics.csv, weights and pictures") {
    TempFolder t;
    must_be_done(runner(tiny_run("run", {"--epochs", "1", "--tensorboard"}), t.path));
    const auto files = event_files(t / "run/tensorboard");
    REQUIRE(files.size() == 1);
    const auto records = records_of(files[0]);
    CHECK(records.at(0).find("brain.Event:2") != std::string::npos);
    for (const auto& [tag, name] :
         {std::pair{"train/loss", "train_loss"}, {"test/reconstruction", "test_reconstruction"}})
        CHECK(scalar_of(records, tag) ==
              doctest::Approx(std::stod(column(t / "run/metrics.csv", 1, name))).epsilon(1e-6));
    const auto holds = [&](const std::string& piece) {
        return std::any_of(records.begin(), records.end(), [&](auto& r) { return r.find(piece) != std::string::npos; });
    };
    CHECK(holds("weights/encoder.hidden0.weight"));
    CHECK(holds("\x89PNG"));
    must_be_done(runner(tiny_run("run", {"--epochs", "1", "--overwrite"}), t.path));
    CHECK(!fs::exists(t / "run/tensorboard"));
}

TEST_CASE("tensorboard: the tensorboard package reads every epoch of a run that went on, each once") {
    TempFolder t;
    must_be_done(runner(tiny_run("run", {"--epochs", "2", "--tensorboard"}), t.path));
    must_be_done(runner({"resume", "run", "--epochs", "3", "--tensorboard"}, t.path));
    CHECK(event_files(t / "run/tensorboard").size() == 2);
    const std::string program =
        "import sys\n"
        "try:\n    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator\n"
        "except Exception:\n    sys.exit(77)\n"
        "e = EventAccumulator('run/tensorboard', size_guidance={'images': 0, 'histograms': 0})\ne.Reload()\n"
        "print(*[s.step for s in e.Scalars('test/loss')])\n"
        "print(len(e.Histograms('weights/decoder.output.bias')), e.Images('samples')[-1].width)\n";
    put(t / "read.py", program);
    const char* python = std::getenv("ELBO_PYTHON");
    const Outcome o = run({.words = {"/usr/bin/env", python ? python : "python3", "read.py"}, .folder = t.path});
    if (o.code == 77 || o.code == 127) {
        MESSAGE("no tensorboard package here (ELBO_PYTHON names a Python that has it): the files were not read by it");
        return;
    }
    INFO(o.text());
    REQUIRE(o.code == 0);
    const auto lines = elbo::core::pieces(o.out, '\n');
    CHECK(lines.at(0) == "3 6 9");
    CHECK(lines.at(1).starts_with("3 "));
}
