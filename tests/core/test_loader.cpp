// The loader's order and its endings.
#include "core/data/loader.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <set>

#include "tests/bench/support.hpp"
#include "tests/bench/workbench.hpp"

using namespace elbo;
using namespace elbo::test;
using core::Batch;
using core::Loader;
using core::Rows;

namespace {

constexpr std::int64_t kCount = 23, kBatch = 5, kPerEpoch = 5;

/// Rows [i, 2 i], all for training.
struct Numbered {
    TempFolder folder;
    std::unique_ptr<Part> part;
    std::unique_ptr<Rows> rows;
    explicit Numbered(std::int64_t n = kCount) {
        std::string text;
        for (std::int64_t i = 0; i < n; ++i) text += std::to_string(i) + "," + std::to_string(2 * i) + "\n";
        put(folder / "rows.csv", text);
        part = make_part({"data", "csv", {{"path", (folder / "rows.csv").string()}}});
        core::DataOptions options;
        options.test_fraction = 0;
        rows = std::make_unique<Rows>(*part, options);
    }
};

std::vector<int> numbers(const Batch& b) {
    std::vector<int> out;
    for (std::int64_t i = 0; i < b.rows; ++i) {
        CHECK(b.x[2 * i + 1] == 2 * b.x[2 * i]);
        out.push_back(int(b.x[2 * i]));
    }
    return out;
}

std::vector<int> epoch_of(Loader& loader) {
    std::vector<int> out;
    for (Batch b;;) {
        b = loader.next();
        const auto some = numbers(b);
        out.insert(out.end(), some.begin(), some.end());
        if (b.last) return out;
    }
}

/// A data set that breaks or dawdles at one row.
struct Troubled : DataSet {
    static inline std::int64_t bad = -1;
    static inline std::atomic<int> pause_ms = 0, reads = 0;
    static inline float value = 0;
    const std::vector<elbo_field> fields{describe("x", {1}, ELBO_CONTINUOUS, 0, 1)};
    elbo_rows open() override { return rows_of(fields, 40, 1); }
    void read(std::uint32_t, int, const std::int64_t* rows, std::int64_t n, float* out) const override {
        ++reads;
        std::this_thread::sleep_for(std::chrono::milliseconds(pause_ms));
        for (std::int64_t i = 0; i < n; ++i) {
            if (rows[i] == bad && value == 0) throw std::runtime_error("disk on fire");
            out[i] = rows[i] == bad ? value : 0.5f;
        }
    }
};

} // namespace

TEST_CASE("loader: each epoch is a permutation of all rows, its last batch smaller") {
    Numbered data;
    Loader loader(*data.rows, kBatch, 3, 0, 0);
    CHECK(loader.batches_per_epoch() == kPerEpoch);
    std::set<std::vector<int>> orders;
    for (std::uint64_t epoch = 0; epoch < 4; ++epoch) {
        std::vector<int> all;
        for (std::int64_t i = 0; i < kPerEpoch; ++i) {
            const Batch b = loader.next();
            CHECK(b.epoch == epoch);
            CHECK(b.index == i);
            CHECK(b.rows == (i + 1 < kPerEpoch ? kBatch : 3));
            CHECK(b.last == (i + 1 == kPerEpoch));
            const auto some = numbers(b);
            all.insert(all.end(), some.begin(), some.end());
        }
        orders.insert(all);
        std::sort(all.begin(), all.end());
        for (int i = 0; i < kCount; ++i) CHECK(all[std::size_t(i)] == i);
    }
    CHECK(orders.size() == 4);
}

TEST_CASE("loader: drop_last leaves out what fills no batch, other rows in every epoch") {
    Numbered data;
    Loader loader(*data.rows, kBatch, 3, 0, 0, {}, true);
    CHECK(loader.batches_per_epoch() == kPerEpoch - 1);
    std::set<std::set<int>> epochs;
    for (int epoch = 0; epoch < 4; ++epoch) {
        std::set<int> seen;
        for (std::int64_t i = 0; i < kPerEpoch - 1; ++i) {
            const Batch b = loader.next();
            CHECK(b.rows == kBatch);
            CHECK(b.last == (i + 2 == kPerEpoch));
            for (int row : numbers(b)) CHECK(seen.insert(row).second);
        }
        epochs.insert(seen);
    }
    CHECK(epochs.size() > 1);
}

TEST_CASE("loader: the order is a function of seed and epoch") {
    Numbered data;
    Loader a(*data.rows, kBatch, 3, 0, 0), b(*data.rows, 7, 3, 0, 0), c(*data.rows, kBatch, 4, 0, 0);
    const auto first = epoch_of(a), second = epoch_of(a);
    CHECK(first == epoch_of(b));
    CHECK(second == epoch_of(b));
    CHECK(first != epoch_of(c));
    std::vector<std::int64_t> order(kCount);
    core::shuffle_rows(3, 1, order);
    CHECK(std::vector<int>(order.begin(), order.end()) == second);
}

TEST_CASE("loader: starting at any batch gives what reading up to there gives") {
    Numbered data;
    for (std::uint64_t epoch = 0; epoch < 2; ++epoch)
        for (std::int64_t first = 0; first < kPerEpoch; ++first) {
            Loader whole(*data.rows, kBatch, 9, 0, 0), late(*data.rows, kBatch, 9, epoch, first);
            for (std::int64_t i = 0; i < std::int64_t(epoch) * kPerEpoch + first; ++i) whole.next();
            for (int i = 0; i < 8; ++i) {
                const Batch x = whole.next(), y = late.next();
                CHECK(x.epoch == y.epoch);
                CHECK(x.index == y.index);
                CHECK(x.last == y.last);
                CHECK(numbers(x) == numbers(y));
            }
        }
}

TEST_CASE("loader: a batch stays as it is until the next call") {
    Numbered data(200);
    Loader loader(*data.rows, 3, 5, 0, 0);
    for (int i = 0; i < 150; ++i) {
        const Batch b = loader.next();
        const auto seen = numbers(b);
        if (i % 10 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
        CHECK(numbers(b) == seen);
    }
}

TEST_CASE("loader: a batch larger than the data is all of it, a batch of one is a row") {
    Numbered data;
    Loader large(*data.rows, 1000, 1, 0, 0), one(*data.rows, 1, 1, 0, 0);
    const Batch b = large.next();
    CHECK(b.rows == kCount);
    CHECK(b.last);
    CHECK(one.batches_per_epoch() == kCount);
    CHECK(epoch_of(one) == numbers(b));
}

TEST_CASE("loader: what reading throws arrives at next, after the batches before it, every time") {
    for (float value : {0.f, std::numeric_limits<float>::quiet_NaN()}) {
        Troubled::bad = 17;
        Troubled::value = value;
        Part part(own_part<Troubled>("troubled"), {});
        const Rows rows(part, {});
        std::vector<std::int64_t> order(40);
        core::shuffle_rows(2, 0, order);
        const auto before = (std::find(order.begin(), order.end(), 17) - order.begin()) / 4;
        Loader loader(rows, 4, 2, 0, 0);
        for (std::int64_t i = 0; i < before; ++i) CHECK(loader.next().index == i);
        for (int i = 0; i < 2; ++i) {
            const std::string why = refusal([&] { loader.next(); });
            CHECK_MESSAGE(why.find("'troubled'") != std::string::npos, why);
            CHECK_MESSAGE(why.find(value == 0 ? "disk on fire" : "row 17 is nan") != std::string::npos, why);
        }
    }
    Troubled::bad = -1;
}

TEST_CASE("loader: it counts how long next waits, and nothing where a batch is ready") {
    Part part(own_part<Troubled>("troubled"), {});
    const Rows rows(part, {});
    Troubled::pause_ms = 20;
    {
        Loader loader(rows, 4, 1, 0, 0);
        loader.next();
        const double first = loader.waited();
        CHECK(first > 0.005);
        loader.next();
        CHECK(loader.waited() > first);
    }
    Troubled::pause_ms = 0;
    Loader ahead(rows, 4, 1, 0, 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    ahead.next();
    CHECK(ahead.waited() == 0);
}

TEST_CASE("loader: reads a few batches ahead and no more, and can be destroyed at any time") {
    Part part(own_part<Troubled>("troubled"), {});
    const Rows rows(part, {});
    Troubled::reads = 0;
    {
        Loader loader(rows, 4, 1, 0, 0);
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        CHECK(Troubled::reads == 3);
        loader.next();
    }
    Troubled::pause_ms = 20;
    const auto began = std::chrono::steady_clock::now();
    for (int i = 0; i < 10; ++i) {
        Loader loader(rows, 4, 1, 0, 0);
        if (i % 2) loader.next();
    }
    CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(5));
    Troubled::pause_ms = 0;
}
