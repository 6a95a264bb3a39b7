// Single bits that a disk has turned: every damaged checkpoint is noticed, and the one before it is gone on from.
#include <doctest/doctest.h>

#include <cstring>
#include <random>

#include "core/base/error.hpp"
#include "core/run/checkpoint.hpp"
#include "tests/faults/faults.hpp"

using namespace elbo::test;
namespace fs = std::filesystem;

namespace {

constexpr const char *kLast = "checkpoints/step-000000004.safetensors",
                     *kBefore = "checkpoints/step-000000002.safetensors";

std::string flipped(std::string bytes, std::size_t bit) {
    bytes[bit / 8] = char(bytes[bit / 8] ^ 1 << bit % 8);
    return bytes;
}

std::size_t header_bits(const std::string& bytes) {
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data(), 8);
    return std::size_t(8 * (8 + length));
}

struct TwoEpochs : FaultyFolder {
    std::string last, before, longer;
    TwoEpochs() {
        must_be_done(without(small_run({"--epochs", "3"})));
        longer = weights();
        must_be_done(without(small_run({"--overwrite"})));
        last = get(run() / kLast), before = get(run() / kBefore);
        fs::copy(run(), path / "copy", fs::copy_options::recursive);
    }
    void again() const {
        fs::remove_all(run());
        fs::copy(path / "copy", run(), fs::copy_options::recursive);
    }
};

// Header bits first, then bits of values; seeded.
std::vector<std::size_t> some_bits(const std::string& bytes, std::size_t of_header, std::size_t of_values) {
    std::mt19937_64 random(7);
    const std::size_t header = header_bits(bytes);
    std::vector<std::size_t> bits;
    for (std::size_t i = 0; i < of_header; ++i) bits.push_back(random() % header);
    for (std::size_t i = 0; i < of_values; ++i) bits.push_back(header + random() % (8 * bytes.size() - header));
    return bits;
}

void through_resume(const TwoEpochs& t, const std::vector<std::size_t>& bits) {
    for (const std::size_t bit : bits) {
        CAPTURE(bit);
        t.again();
        put(t.run() / kLast, flipped(t.last, bit));
        const Outcome o = t.without({"resume", "run", "--epochs", "3"});
        INFO(o.text());
        CHECK(o.code == 0);
        CHECK(o.has("warning: a checkpoint is damaged"));
        CHECK(o.has(kLast));
        CHECK(o.has(std::string("going on from the one before it: run/") + kBefore));
        const bool same = t.weights() == t.longer;
        CHECK(same);
    }
}

bool noticed(const fs::path& file) {
    try {
        const elbo::core::Checkpoint c(file);
    } catch (const elbo::core::Error& e) {
        return e.code() == elbo::core::Exit::data && e.where() == file.string();
    }
    return false;
}

} // namespace

TEST_CASE("resume notices a turned bit, names the file and goes on from the checkpoint before it") {
    const TwoEpochs t;
    through_resume(t, some_bits(t.last, 12, 8));
    t.again();
    put(t.run() / kLast, flipped(t.last, some_bits(t.last, 0, 1)[0]));
    put(t.run() / kBefore, flipped(t.before, some_bits(t.before, 1, 0)[0]));
    for (const auto& words : {std::vector<std::string>{"resume", "run", "--epochs", "3"}, {"eval", "run"}}) {
        const Outcome o = t.without(words);
        refused(o, 3, {kLast, kBefore});
    }
}

TEST_CASE("deep: every turned bit of a checkpoint's header and many of its values are noticed") {
    const TwoEpochs t;
    REQUIRE_FALSE(noticed(t.run() / kLast));
    const fs::path file = t.path / "turned.safetensors";
    std::size_t tried = 0, missed = 0;
    auto check = [&](std::size_t bit) {
        put(file, flipped(t.last, bit));
        ++tried;
        if (noticed(file)) return;
        ++missed;
        CHECK_MESSAGE(false, "bit " << bit << " of byte " << bit / 8);
    };
    for (std::size_t bit = 0; bit < header_bits(t.last); ++bit) check(bit);
    for (const std::size_t bit : some_bits(t.last, 0, 5000)) check(bit);
    // Also cut short, and with more behind it.
    for (std::size_t size = 0; size < t.last.size(); size += 97, ++tried) {
        put(file, t.last.substr(0, size));
        CHECK(noticed(file));
    }
    through_resume(t, some_bits(t.last, 250, 250));
    MESSAGE(tried << " damaged files, " << missed << " not noticed; 500 through resume");
}
