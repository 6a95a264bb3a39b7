// CIFAR-10 in its binary form: a label byte, then 3072 bytes, channel by channel (Krizhevsky 2009).
#include <cstdlib>
#include <filesystem>

#include "gz.hpp"
#include "held.hpp"

using namespace elbo;
namespace fs = std::filesystem;

struct Cifar10 : HeldRows {
    std::string path;
    void parameters(auto& p) {
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
        const auto bytes = in.take(std::uint64_t(1) << 32);
        if (bytes.empty() || bytes.size() % (kRow + 1) != 0)
            in.fail(std::to_string(bytes.size()) + " bytes are no whole number of rows of " + std::to_string(kRow + 1) +
                    "; download it again");
        if (!std::holds_alternative<std::vector<std::uint8_t>>(parts_[split].x))
            parts_[split].x = std::vector<std::uint8_t>();
        auto& x = std::get<std::vector<std::uint8_t>>(parts_[split].x);
        for (std::size_t at = 0; at < bytes.size(); at += kRow + 1) {
            if (bytes[at] > 9)
                in.fail("row " + std::to_string(at / (kRow + 1)) + " (from 0) has the label " +
                        std::to_string(bytes[at]) + "; labels are 0 to 9");
            parts_[split].labels.push_back(bytes[at]);
            for (std::int64_t p = 0; p < kPixels; ++p)
                for (std::int64_t c = 0; c < kChannels; ++c) x.push_back(bytes[at + 1 + std::size_t(c * kPixels + p)]);
            ++parts_[split].count;
        }
        parts_[split].path = file.string();
        add_file(file.string());
    }
};
ELBO_PLUGIN("cifar10", "1.0.0", "data/cifar10") {
    plugin.add<Cifar10>("cifar10", "small colour photographs, 32x32x3, ten classes");
}
