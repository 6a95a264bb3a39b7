#include "core/host/manifest.hpp"

#include <doctest/doctest.h>
#include <elf.h>

#include <algorithm>
#include <cstring>

#include <elbo/abi.h>

#include "core/base/error.hpp"
#include "core/base/philox.hpp"
#include "tests/bench/support.hpp"

using namespace elbo::core;
using elbo::test::get;
using elbo::test::put;
using elbo::test::TempFolder;

namespace {

std::string plugin_bytes() { return get(ELBO_TEST_PLUGIN_DIR "/good_prior.so"); }

// "manifest", "no plugin" or the error; anything else escapes and fails the test.
std::string reading(const std::filesystem::path& file) {
    try {
        return read_manifest(file) ? "manifest" : "no plugin";
    } catch (const Error& e) {
        CHECK(e.code() == Exit::plugin);
        CHECK(e.where() == file.string());
        return e.message();
    }
}

// Where the description of the elbo note begins: magic, major, minor, text.
std::size_t description_at(const std::string& bytes) {
    const std::size_t at = bytes.find(std::string("\1\0\0\0elbo\0\0\0\0elbo", 16));
    REQUIRE(at != std::string::npos);
    return at + 12;
}

std::string reading_with(const TempFolder& t, std::size_t offset, const std::string& bytes) {
    std::string all = plugin_bytes();
    all.replace(description_at(all) + offset, bytes.size(), bytes);
    put(t / "changed.so", all);
    return reading(t / "changed.so");
}

} // namespace

TEST_CASE("read_manifest: gives name, version, interface and parts of real plugins") {
    const auto stranger = read_manifest(ELBO_TEST_PLUGIN_DIR "/good_prior.so");
    REQUIRE(stranger);
    CHECK(stranger->name == "stranger");
    CHECK(stranger->version == "0.3.1");
    CHECK(stranger->major == ELBO_ABI_MAJOR);
    CHECK(stranger->minor == ELBO_ABI_MINOR);
    CHECK(stranger->provides == std::vector<std::string>{"prior/logistic"});
    CHECK(refusal(*stranger) == "");
    const auto idx = read_manifest(ELBO_PLUGIN_DIR "/data_idx.so");
    REQUIRE(idx);
    CHECK(idx->provides == std::vector<std::string>{"data/idx", "data/mnist", "data/fashion_mnist"});
}

TEST_CASE("read_manifest: every plugin that comes with elbo has one") {
    int n = 0;
    for (const auto& e : std::filesystem::directory_iterator(ELBO_PLUGIN_DIR)) {
        if (e.path().extension() != ".so") continue;
        CHECK_MESSAGE(reading(e.path()) == "manifest", e.path().string());
        ++n;
    }
    CHECK(n >= 17);
}

TEST_CASE("refusal: another major, or a newer minor, with both versions") {
    const auto major = read_manifest(ELBO_TEST_PLUGIN_DIR "/other_major.so"),
               minor = read_manifest(ELBO_TEST_PLUGIN_DIR "/newer_minor.so");
    REQUIRE(major);
    REQUIRE(minor);
    CHECK(refusal(*major).find("interface 3.") != std::string::npos);
    CHECK(refusal(*minor).find("interface 2." + std::to_string(ELBO_ABI_MINOR + 1)) != std::string::npos);
    Manifest m;
    m.major = ELBO_ABI_MAJOR - 1;
    CHECK(refusal(m) != "");
    m.major = ELBO_ABI_MAJOR;
    m.minor = ELBO_ABI_MINOR;
    CHECK(refusal(m) == "");
}

TEST_CASE("read_manifest: files of other kinds are no plugins") {
    TempFolder t;
    put(t / "empty", "");
    put(t / "text", "#!/bin/sh\n");
    put(t / "magic",
        "\x7f"
        "ELF");
    for (const auto& file : {t / "empty", t / "text", t / "magic", t.path, std::filesystem::path("/dev/null"),
                             std::filesystem::path("/proc/self/exe"), std::filesystem::path(ELBO_RUNNER)})
        CHECK_MESSAGE(reading(file) == "no plugin", file.string());
    CHECK(reading(t / "none") == "there is no such file");
    std::string bytes = plugin_bytes();
    bytes[EI_CLASS] = ELFCLASS32;
    put(t / "other", bytes);
    CHECK(reading(t / "other") == "no plugin");
    bytes = plugin_bytes();
    bytes[EI_DATA] = ELFDATA2MSB;
    put(t / "other", bytes);
    CHECK(reading(t / "other") == "no plugin");
}

TEST_CASE("read_manifest: a note of ours with something wrong in it is an error that says what") {
    TempFolder t;
    CHECK(reading_with(t, 0, "elbo") == "manifest");
    CHECK(reading_with(t, 0, "eblo").find("wrong magic number") != std::string::npos);
    CHECK(reading_with(t, 8, "\n").find("name, version and parts") != std::string::npos);
    CHECK(reading_with(t, 8, std::string(1, '\0')).find("name, version and parts") != std::string::npos);
    CHECK(reading_with(t, 8, "stranger 0.3.1 prior/logistic").find("name, version and parts") != std::string::npos);
    CHECK(reading_with(t, 8, "stranger\n0.3.1\nprior logistic").find("without a kind") != std::string::npos);
    const std::size_t sizes = 12;
    std::string all = plugin_bytes();
    const std::uint32_t short_desc = 4;
    all.replace(description_at(all) - sizes - 4, 4, std::string(reinterpret_cast<const char*>(&short_desc), 4));
    put(t / "short.so", all);
    CHECK(reading(t / "short.so").find("too short") != std::string::npos);
    const std::uint32_t long_desc = 1 << 14; // beyond the end of its segment: it is no note
    all.replace(description_at(all) - sizes - 4, 4, std::string(reinterpret_cast<const char*>(&long_desc), 4));
    put(t / "long.so", all);
    CHECK(reading(t / "long.so") == "no plugin");
}

TEST_CASE("read_manifest: a plugin cut anywhere is no plugin, or an error, or still readable") {
    TempFolder t;
    const std::string bytes = plugin_bytes();
    int truncated = 0;
    const std::size_t step = std::max<std::size_t>(64, bytes.size() / 1000 / 64 * 64);
    for (std::size_t n = 0; n < bytes.size(); n += step) {
        put(t / "cut.so", bytes.substr(0, n));
        const std::string found = reading(t / "cut.so");
        truncated += found != "manifest" && found != "no plugin";
        if (n < 512) CHECK(found == "no plugin");
    }
    CHECK(truncated > 0);
}

TEST_CASE("read_manifest: a thousand plugins with random bytes in their headers and note never crash it") {
    TempFolder t;
    const std::string bytes = plugin_bytes();
    const std::size_t headers = description_at(bytes) + 64;
    for (std::uint64_t seed = 0; seed < 1000; ++seed) {
        PhiloxSequence draw(seed, stream_of("manifest"));
        std::string changed = bytes;
        for (std::uint32_t i = 1 + draw.below(seed % 2 ? 4 : 200); i > 0; --i)
            changed[4 + draw.below(std::uint32_t(headers - 4))] = char(draw.below(4) == 0 ? 255 : draw.below(256));
        put(t / "changed.so", changed);
        reading(t / "changed.so");
    }
}

TEST_CASE("read_manifest: sizes and counts at their limits never crash it") {
    TempFolder t;
    const std::string bytes = plugin_bytes();
    Elf64_Ehdr header;
    std::memcpy(&header, bytes.data(), sizeof header);
    const auto changed = [&](std::size_t at, std::uint64_t value, std::size_t size) {
        std::string all = bytes;
        all.replace(at, size, std::string(reinterpret_cast<const char*>(&value), size));
        put(t / "changed.so", all);
        reading(t / "changed.so");
    };
    for (std::uint64_t v : {~0ull, ~0ull - 63, 1ull << 63, (1ull << 63) - 1, 1ull << 62, 1ull << 32, 0ull, 1ull}) {
        changed(offsetof(Elf64_Ehdr, e_phoff), v, 8);
        changed(offsetof(Elf64_Ehdr, e_phnum), v, 2);
        changed(offsetof(Elf64_Ehdr, e_phentsize), v, 2);
        for (std::size_t i = 0; i < header.e_phnum; ++i) {
            const std::size_t at = header.e_phoff + i * header.e_phentsize;
            changed(at + offsetof(Elf64_Phdr, p_offset), v, 8);
            changed(at + offsetof(Elf64_Phdr, p_filesz), v, 8);
        }
        for (std::size_t field : {12u, 8u}) changed(description_at(bytes) - 8 - field, v, 4);
    }
}
