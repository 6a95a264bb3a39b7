// CIFAR-10 in its binary form: a label byte, then 3072 bytes, channel by channel (Krizhevsky 2009).
#include <cstdlib>
#include <filesystem>

#include "gz.hpp"
#include "held.hpp"

using namespace elbo;
namespace fs = std::filesystem;

struct Cifar10 : StoredRows {
    std::string path, stream = "auto";
    void parameters(auto& p) {
        p("stream", stream, stored::kStreamHelp, one_of("auto|yes|no"));
        p("path", path, "folder with data_batch_1.bin .. data_batch_5.bin and test_batch.bin; none: look for it");
    }
    elbo_rows open() override {
        clear();
        const fs::path from = place();
        dims_ = {kSide, kSide, kChannels};
        names_ = "airplane,automobile,bird,cat,deer,dog,frog,horse,ship,truck";
        for (int i = 1; i <= 5; ++i) take(ELBO_TRAIN, from / ("data_batch_" + std::to_string(i) + ".bin"));
        take(ELBO_TEST, from / "test_batch.bin");
        if (parts_[0].count == 0)
            throw std::runtime_error(from.string() + ": there is no data_batch_1.bin in this folder");
        return found();
    }

protected:
    void convert(const Part&, const std::uint8_t* bytes, float* out) const override { to_pixels(bytes, out); }
    void convert(const Part&, const std::uint8_t* bytes, double* out) const override { to_pixels(bytes, out); }

private:
    static constexpr std::int64_t kSide = 32, kChannels = 3, kPixels = kSide * kSide, kRow = kPixels * kChannels;

    fs::path place() const {
        if (!path.empty()) return path;
        const char *data = std::getenv("ELBO_DATA"), *home = std::getenv("HOME");
        std::string tried;
        for (const fs::path& base : {fs::path(data ? data : ""), fs::path("/usr/share/datasets"),
                                     home ? fs::path(home) / ".local/share/elbo" : fs::path()})
            for (const char* name : {"cifar10", "cifar-10-batches-bin"}) {
                if (base.empty()) continue;
                std::error_code ignored;
                if (fs::is_regular_file(base / name / "data_batch_1.bin", ignored)) return base / name;
                tried += "\n  " + (base / name).string();
            }
        throw std::runtime_error("cifar10 was not found; there is no data_batch_1.bin in" + tried +
                                 "\npass --data.path DIR");
    }

    void take(int split, const fs::path& file) {
        std::error_code ignored;
        if (!fs::is_regular_file(file, ignored)) return;
        gz::File in(file.string());
        Part& part = parts_[split];
        if (part.count == 0) part.x = stored::RowBytes({1, std::size_t(kRow)});
        const std::int64_t before = part.count;
        if (stored::stays(in, stream)) {
            part.x.leave(in.path(), in.size(), 0, rows_in(in, in.size()));
        } else {
            auto bytes = in.take(in.packed() ? gz::File::kUnknown : in.size());
            const std::int64_t rows = rows_in(in, bytes.size());
            part.x.hold(std::move(bytes), 0, rows);
        }
        part.count = part.x.count();
        part.path = file.string();
        part.x.each_from(before, [&](std::int64_t i, const std::uint8_t* bytes) {
            const std::uint8_t label = *(bytes - 1);
            if (label > 9)
                in.fail("row " + std::to_string(i - before) + " (from 0) has the label " + std::to_string(label) +
                        "; labels are 0 to 9");
            part.labels.push_back(label);
        });
        add_file(file.string());
    }

    template <class To>
    static void to_pixels(const std::uint8_t* __restrict planes, To* __restrict out) {
        for (std::int64_t p = 0; p < kPixels; ++p)
            for (std::int64_t c = 0; c < kChannels; ++c) out[p * kChannels + c] = planes[c * kPixels + p];
    }
    static std::int64_t rows_in(const gz::File& in, std::uint64_t bytes) {
        if (bytes == 0 || bytes % (kRow + 1) != 0)
            in.fail(std::to_string(bytes) + " bytes are no whole number of rows of " + std::to_string(kRow + 1) +
                    "; download it again");
        return std::int64_t(bytes / (kRow + 1));
    }
};
ELBO_PLUGIN("cifar10", "1.0.0", "data/cifar10") {
    plugin.add<Cifar10>("cifar10", "small colour photographs, 32x32x3, ten classes");
}
