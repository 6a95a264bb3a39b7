// A training step after the first allocates nothing of ours, and neither does taking a batch. Counted by replacing the
// global operator new; sanitizers bring their own, so this file is empty for them.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define ELBO_SANITIZED
#endif
#endif
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(ELBO_SANITIZED)

#include <dlfcn.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "core/data/loader.hpp"
#include "tests/bench/workbench.hpp"

namespace {

struct Count {
    bool on = false;
    int ours = 0, of_dnnl = 0;
    void* first = nullptr; ///< who asked for the first of ours
};
thread_local Count count;

void note(void* caller) {
    if (!count.on) return;
    count.on = false;
    Dl_info info{};
    const bool dnnl = dladdr(caller, &info) && info.dli_fname && std::strstr(info.dli_fname, "libdnnl");
    if (dnnl) ++count.of_dnnl;
    else if (count.ours++ == 0) count.first = caller;
    count.on = true;
}

void* take(std::size_t n, std::size_t alignment, void* caller) {
    note(caller);
    n = n == 0 ? 1 : n;
    void* p =
        alignment == 0 ? std::malloc(n) : std::aligned_alloc(alignment, (n + alignment - 1) / alignment * alignment);
    if (!p) throw std::bad_alloc();
    return p;
}

} // namespace

// Not inlined: the caller is looked at, and the compiler would compare a `new` with the `free` it sees.
#define ELBO_KEPT __attribute__((noinline))
ELBO_KEPT void* operator new(std::size_t n) { return take(n, 0, __builtin_return_address(0)); }
ELBO_KEPT void* operator new[](std::size_t n) { return take(n, 0, __builtin_return_address(0)); }
ELBO_KEPT void* operator new(std::size_t n, std::align_val_t a) {
    return take(n, std::size_t(a), __builtin_return_address(0));
}
ELBO_KEPT void* operator new[](std::size_t n, std::align_val_t a) {
    return take(n, std::size_t(a), __builtin_return_address(0));
}
ELBO_KEPT void operator delete(void* p) noexcept { std::free(p); }
ELBO_KEPT void operator delete[](void* p) noexcept { std::free(p); }
ELBO_KEPT void operator delete(void* p, std::size_t) noexcept { std::free(p); }
ELBO_KEPT void operator delete[](void* p, std::size_t) noexcept { std::free(p); }
ELBO_KEPT void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
ELBO_KEPT void operator delete[](void* p, std::align_val_t) noexcept { std::free(p); }
ELBO_KEPT void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
ELBO_KEPT void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }

using namespace elbo;
using namespace elbo::test;

namespace {

template <class F>
Count counted(F f) {
    count = {};
    count.on = true;
    f();
    count.on = false;
    return count;
}

std::string asker(const Count& c) {
    Dl_info info{};
    if (!c.first || !dladdr(c.first, &info)) return "nobody";
    const auto offset = static_cast<char*>(c.first) - static_cast<char*>(info.dli_fbase);
    return std::string("addr2line -Cfie ") + info.dli_fname + " " + std::to_string(offset);
}

std::vector<Chosen> vae(const std::string& prior, const std::string& optimizer) {
    const std::vector<NamedValue> net{{"hidden", widths({32})}};
    std::vector<Chosen> out{
        {"model", "vae"}, {"encoder", "mlp", net},     {"decoder", "mlp", net}, {"posterior", "diagonal_gaussian"},
        {"prior", prior}, {"likelihood", "bernoulli"}, {"optimizer", optimizer}};
    if (prior == "vamp") out[4].values = {{"components", std::int64_t(8)}, {"init", std::string("normal")}};
    return out;
}

} // namespace

TEST_CASE("allocation: the count sees ordinary, array and aligned allocations of this thread only") {
    const Count c = counted([] {
        ::operator delete(::operator new(8));
        ::operator delete[](::operator new[](100));
        ::operator delete(::operator new(256, std::align_val_t(128)), std::align_val_t(128));
    });
    CHECK(c.ours == 3);
    CHECK(c.of_dnnl == 0);
    Count elsewhere;
    std::thread([&] { elsewhere = counted([] {}); }).join();
    CHECK(elsewhere.ours == 0);
}

TEST_CASE("allocation: steps after the first and the loader's next allocate nothing of ours") {
    auto data =
        make_part({"data",
                   "shapes",
                   {{"count", std::int64_t(100)}, {"test_count", std::int64_t(0)}, {"size", std::int64_t(12)}}});
    const core::Rows rows(*data, {});
    for (const std::string prior : {"standard_normal", "laplace", "vamp"})
        for (const std::string optimizer : {"adam", "sgd"}) {
            CAPTURE(prior);
            auto session = make_session(make_parts(vae(prior, optimizer)), session_settings(4, rows.dims(), 1, 6));
            core::Loader loader(rows, 16, 1, 0, 0);
            for (int i = 0; i < 2 * loader.batches_per_epoch(); ++i) { // both sizes of batch
                const core::Batch b = loader.next();
                REQUIRE(session->step(b.x, b.rows).finite);
            }
            int of_dnnl = 0;
            for (int i = 0; i < 10; ++i) {
                core::Batch b;
                const Count next = counted([&] { b = loader.next(); });
                CHECK_MESSAGE(next.ours == 0, "next: " << asker(next));
                CHECK(next.of_dnnl == 0);
                const Count step = counted([&] { session->step(b.x, b.rows); });
                CHECK_MESSAGE(step.ours == 0, step.ours << " by " << asker(step));
                of_dnnl += step.of_dnnl;
            }
            MESSAGE(prior << ", " << optimizer << ": oneDNN allocated " << of_dnnl << " times in 10 steps");
        }
}

TEST_CASE("allocation: convolutions into few channels and of small images allocate nothing of ours either") {
    const std::vector<NamedValue> in{{"channels", widths({16, 32})}, {"kernel", std::int64_t(3)}};
    std::vector<NamedValue> out{{"channels", widths({32, 16})}, {"kernel", std::int64_t(3)}};
    out.push_back({"last_kernel", std::int64_t(3)});
    auto session = make_session(make_parts({{"model", "vae"},
                                            {"encoder", "conv", in},
                                            {"decoder", "conv", out},
                                            {"posterior", "diagonal_gaussian"},
                                            {"prior", "standard_normal"},
                                            {"likelihood", "mse"},
                                            {"optimizer", "adam"}}),
                                session_settings(4, {8, 8, 3}, 1, 6));
    const std::vector<float> x(16 * 8 * 8 * 3, 0.25f);
    REQUIRE(session->step(x.data(), 16).finite);
    std::string chosen;
    for (const core::Unit& u : session->program("train", 16)->units)
        if (u.claimed) chosen += u.claimed->chosen() + "\n";
    CHECK(chosen.find("own loops for few channels") != std::string::npos);
    CHECK(chosen.find("as a product, ") != std::string::npos);
    for (int i = 0; i < 5; ++i) {
        const Count step = counted([&] { session->step(x.data(), 16); });
        CHECK_MESSAGE(step.ours == 0, step.ours << " by " << asker(step));
    }
}

#endif
