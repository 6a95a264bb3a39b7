// Generated films of images that move: digits of MNIST, say, each with a constant velocity, thrown back at the borders
// (Srivastava et al. 2015). Frames are the channels of a row. A row is a pure function of seed, split and number.
#include <elbo/plugin.hpp>

#include <algorithm>
#include <numbers>
#include <stdexcept>

#include "draws.hpp"
#include "idx_file.hpp"

using namespace elbo;

struct MovingDigits : DataSet {
    std::string path;
    std::int64_t count = 10000, test_count = 1000, frames = 10, size = 64, fewest = 1, most = 2, seed = 1;
    double slowest = 2, fastest = 5;

    void parameters(auto& p) {
        p("path", path,
          "an IDX file of images, as it is or .gz, or the folder of MNIST: then test rows show other digits than "
          "training rows do");
        p("count", count, "rows to train on", within(1, 1e9));
        p("test_count", test_count, "rows to test on", within(0, 1e9));
        p("frames", frames, "of a row", within(1, 256));
        p("size", size, "height and width of a frame in pixels", within(8, 256));
        p("fewest", fewest, "digits of a row", within(1, 16));
        p("most", most, "digits of a row", within(1, 16));
        p("slowest", slowest, "smallest speed, in pixels from one frame to the next", not_negative);
        p("fastest", fastest, "largest", not_negative);
        p("seed", seed, "another number gives other rows");
    }

    void ready() override {
        if (fewest > most) throw std::invalid_argument("fewest is above most; exchange them");
        if (slowest > fastest) throw std::invalid_argument("slowest is above fastest; exchange them");
    }

    elbo_rows open() override {
        if (path.empty())
            throw std::runtime_error("no images given; pass --data.path with an IDX file, or the folder of MNIST");
        std::error_code ignored;
        const bool folder = idx::fs::is_directory(path, ignored);
        images_[ELBO_TRAIN] = opened(folder ? in_folder("train-images-idx3-ubyte") : idx::fs::path(path));
        images_[ELBO_TEST] = folder ? opened(in_folder("t10k-images-idx3-ubyte")) : images_[ELBO_TRAIN];
        const double low = std::min(images_[0].low, images_[1].low), high = std::max(images_[0].high, images_[1].high);
        if (low < 0) throw std::runtime_error(path + ": holds values below 0, and the ground is 0");
        files_ = images_[ELBO_TRAIN].path;
        if (folder) files_ += "\n" + images_[ELBO_TEST].path;
        fields_ = {describe("x", {size, size, frames}, ELBO_CONTINUOUS, 0, high)};
        return rows_of(fields_, count, test_count, files_.c_str());
    }

    void read(std::uint32_t, int split, const std::int64_t* rows, std::int64_t n, float* out) const override {
        for (std::int64_t i = 0; i < n; ++i) {
            must_be_there(split, rows[i]);
            Draws draws(seed, split, rows[i]);
            std::fill_n(out, size * size * frames, 0.0f);
            const std::int64_t digits = fewest + draws.below(most - fewest + 1);
            for (std::int64_t k = 0; k < digits; ++k) film(images_[split], draws, out);
            out += size * size * frames;
        }
    }

private:
    idx::fs::path in_folder(const std::string& name) const {
        const idx::fs::path found = idx::either(idx::fs::path(path) / name);
        if (found.empty()) throw std::runtime_error(path + ": there is no " + name + "[.gz] in this folder");
        return found;
    }
    idx::Array opened(const idx::fs::path& file) const {
        idx::Array out = idx::load(file, false, "no");
        const bool plane = out.dims.size() == 3 || (out.dims.size() == 4 && out.dims[3] == 1);
        if (!plane || out.dims[1] > size || out.dims[2] > size)
            throw std::runtime_error(out.path + ": " + out.promise() +
                                     (plane ? " do not fit" : " are no grey images to go") + " into frames of " +
                                     std::to_string(size) + "x" + std::to_string(size) +
                                     (plane ? "; give larger ones: --data.size" : ""));
        return out;
    }
    void must_be_there(int split, std::int64_t row) const {
        const std::int64_t here = split == ELBO_TRAIN ? count : split == ELBO_TEST ? test_count : 0;
        if (row < 0 || row >= here)
            throw std::out_of_range("moving_digits: row " + std::to_string(row) + " of split " + std::to_string(split) +
                                    ", which has " + std::to_string(here));
    }
    /// Where something is at time t that moves between 0 and `room` and is thrown back at both.
    static double thrown_back(double start, double speed, double t, double room) {
        if (room <= 0) return 0;
        const double at = std::fabs(std::fmod(start + speed * t, 2 * room));
        return at > room ? 2 * room - at : at;
    }
    /// A digit through all frames; where several meet the lighter one is seen.
    void film(const idx::Array& images, Draws& draws, float* out) const {
        static thread_local std::vector<float> digit;
        digit.resize(images.width());
        const std::int64_t which = draws.below(images.count());
        images.rows.each(&which, 1,
                         [&](std::int64_t, const std::uint8_t* bytes) { images.convert(bytes, digit.data()); });
        const std::int64_t height = images.dims[1], width = images.dims[2];
        const double down = double(size - height), across = double(size - width);
        const double y = draws.uniform(0, down), x = draws.uniform(0, across);
        const double angle = draws.uniform(0, 2 * std::numbers::pi), speed = draws.uniform(slowest, fastest);
        for (std::int64_t t = 0; t < frames; ++t) {
            const auto top = std::int64_t(std::lround(thrown_back(y, speed * std::sin(angle), double(t), down)));
            const auto left = std::int64_t(std::lround(thrown_back(x, speed * std::cos(angle), double(t), across)));
            for (std::int64_t i = 0; i < height; ++i)
                for (std::int64_t j = 0; j < width; ++j) {
                    float& pixel = out[((top + i) * size + left + j) * frames + t];
                    pixel = std::max(pixel, digit[std::size_t(i * width + j)]);
                }
        }
    }

    idx::Array images_[ELBO_SPLITS];
    std::string files_;
    std::vector<elbo_field> fields_;
};

ELBO_PLUGIN("moving_digits", "1.0.0", "data/moving_digits") {
    plugin.add<MovingDigits>("moving_digits",
                             "generated films of the images of an IDX file that move and are thrown back");
}
