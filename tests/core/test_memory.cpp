// What memory there is, as /proc and the cgroups say, and programs that need more: refused before any of it is taken.
#include "core/run/memory.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>

#include "core/base/machine.hpp"
#include "core/base/memory.hpp"
#include "tests/bench/support.hpp"
#include "tests/bench/workbench.hpp"

using namespace elbo;
using namespace elbo::test;
namespace fs = std::filesystem;

namespace {

/// A machine of 8 MiB as files say it.
struct Machine : TempFolder {
    Machine() { file("proc/meminfo", "MemTotal:           8192 kB\nMemFree:  1 kB\n"); }
    void file(const std::string& name, const std::string& text) const {
        fs::create_directories((path / name).parent_path());
        put(path / name, text);
    }
    std::int64_t there() const { return core::memory_there(path); }
};

core::SessionSettings limited(std::int64_t memory) {
    auto s = session_settings(3, {30}, 11, 4);
    s.batch = 16;
    s.memory = memory;
    return s;
}

std::unique_ptr<core::Session> vae(std::int64_t hidden, const core::SessionSettings& settings) {
    const std::vector<NamedValue> net{{"hidden", widths({hidden})}};
    return make_session(make_parts({{"model", "vae"},
                                    {"encoder", "mlp", net},
                                    {"decoder", "mlp", net},
                                    {"posterior", "diagonal_gaussian"},
                                    {"prior", "standard_normal"},
                                    {"likelihood", "bernoulli"},
                                    {"optimizer", "adam"}}),
                        settings);
}

} // namespace

TEST_CASE("memory: floats begin as zeros, in small blocks and large ones, whatever was in the memory before") {
    for (std::int64_t n : {0, 5, 1 << 18, (1 << 19) + 3, 1 << 22})
        for (int again = 0; again < 4; ++again) {
            const core::AlignedFloats block = core::aligned_floats(n);
            CHECK(std::all_of(block.get(), block.get() + n, [](float v) { return v == 0; }));
            std::fill_n(block.get(), n, 1.f);
        }
}

TEST_CASE("memory: what the machine has, or the smallest limit of the cgroups around the process, v2 and v1") {
    const Machine m;
    CHECK(m.there() == 8 << 20);
    m.file("proc/self/cgroup", "0::/outer/inner\n");
    m.file("sys/fs/cgroup/outer/inner/memory.max", "max\n");
    CHECK(m.there() == 8 << 20);
    m.file("sys/fs/cgroup/outer/memory.max", "5000000\n");
    CHECK(m.there() == 5000000);
    m.file("sys/fs/cgroup/outer/inner/memory.max", "4000000\n");
    CHECK(m.there() == 4000000);
    m.file("proc/self/cgroup", "9:cpu,cpuacct:/x\n8:memory:/old\n");
    CHECK(m.there() == 8 << 20);
    m.file("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    CHECK(m.there() == 8 << 20);
    m.file("sys/fs/cgroup/memory/old/memory.limit_in_bytes", "3000000\n");
    CHECK(m.there() == 3000000);
    m.file("sys/fs/cgroup/memory.max", "2000000\n"); // a container sees its own group at the top
    CHECK(m.there() == 2000000);
    const TempFolder nothing;
    CHECK(core::memory_there(nothing.path) == std::numeric_limits<std::int64_t>::max());
    CHECK(core::memory_there() > core::memory_held());
    CHECK(core::memory_held() > 0);
}

TEST_CASE("memory: a session that needs more than there is is refused, with the sizes and the three largest") {
    vae(50, limited(std::int64_t(1) << 30))->prepare(16);
    const core::Error e = error_of([] { vae(50, limited(40000))->prepare(16); });
    CHECK(e.code() == core::Exit::failure);
    must_say(e.what(), {"the program 'train' needs ", "and there are 39.1 KiB", "the largest:", "[30, 50], 5.9 KiB",
                        "asked for at ", "try a smaller --batch"});
    const std::string text = e.what();
    const auto from = text.find("the largest:\n"), to = text.find("  try a smaller");
    REQUIRE(from < to);
    const auto largest = std::count(text.begin() + std::ptrdiff_t(from), text.begin() + std::ptrdiff_t(to), '\n') - 1;
    CHECK(largest == 3);
}

TEST_CASE("memory: the limit counts the optimizer, what was held before, and programs one after the other") {
    auto settings = limited(std::numeric_limits<std::int64_t>::max());
    auto whole = vae(50, settings);
    whole->prepare(16);
    const std::int64_t tensors = whole->tensors().bytes(), slab = whole->program("train", 16)->slab_bytes;
    const std::int64_t batches = 4 * 16 * 30 * 4;
    CHECK(tensors >= 3 * 4 * whole->tensors().trained_values()); // two moments beside each
    settings.memory = tensors + slab + batches;
    auto fits = vae(50, settings);
    fits->prepare(16);
    must_say(refusal([&] { fits->program("evaluate", 16); }), {"the program 'evaluate' needs"});
    settings.held = 1;
    must_say(refusal([&] { vae(50, settings)->prepare(16); }), {"the program 'train' needs"});
}

TEST_CASE("memory: what does not fit is refused before its memory is taken") {
    const std::int64_t before = core::memory_held();
    must_say(refusal([] { vae(1 << 20, limited(std::int64_t(1) << 27))->prepare(16); }),
             {"needs", "GiB of memory", "tensor encoder.hidden0.weight [30, 1048576], 120.0 MiB"});
    CHECK(core::memory_held() - before < 2 * core::TensorStore::kAtOnce);
}

TEST_CASE("memory: tensors that get their memory late begin as those that got it at once") {
    const core::InitSpec init{"normal", 0, 1};
    core::TensorStore early(5), late(5);
    const Dims dims{3, 1000}, most{core::TensorStore::kAtOnce / 4};
    early.declare("a", dims, init, core::Keep::trained);
    late.declare("first", most, {}, core::Keep::model);
    core::KeptTensor& a = late.declare("a", dims, init, core::Keep::trained);
    core::KeptTensor& average = late.declare("b", dims, {}, core::Keep::average);
    late.begin_as(average, a);
    CHECK(a.data == nullptr);
    late.fill_late();
    CHECK(a.values() == early.find("a")->values());
    CHECK(average.values() == a.values());
    CHECK(late.bytes() == core::TensorStore::kAtOnce + 2 * 4 * 3000);
}
