// Images and other arrays in the IDX format of MNIST, raw or gzip: any folder or file (`idx`), and MNIST and
// Fashion-MNIST where they are installed. Rows stay as they are in the file, in memory or on the disk; read() converts.
#include <elbo/plugin.hpp>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "idx_file.hpp"

using namespace elbo;
using namespace idx;

namespace {

/// Where the labels of one images file would be; empty when its name says nothing.
fs::path labels_beside(const fs::path& images) {
    std::string name = images.filename().string();
    std::size_t at = name.find("images");
    if (at == std::string::npos) return {};
    name.replace(at, 6, "labels");
    at = name.find("idx", at);
    if (at != std::string::npos && name.find_first_of("234", at) == at + 3) name[at + 3] = '1';
    if (name.ends_with(".gz")) name.resize(name.size() - 3);
    return either(images.parent_path() / name);
}

struct Split {
    Array images, labels;

    void load_from(const fs::path& images_path, const fs::path& labels_path, const std::string& stream) {
        images = load(images_path, false, stream);
        if (labels_path.empty()) return;
        labels = load(labels_path, true, "no");
        if (labels.count() != images.count())
            throw std::runtime_error(labels.path + ": " + labels.promise() + ", but " + images.path + " holds " +
                                     images.promise() + "; the two do not belong together");
    }
};

} // namespace

/// Whatever --data.path names.
struct Idx : DataSet {
    std::string path, stream = "auto";

    void parameters(auto& p) {
        p("path", path,
          "folder with train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-..., each as it is or .gz; "
          "or one images file");
        p("stream", stream, stored::kStreamHelp, one_of("auto|yes|no"));
    }

    elbo_rows open() override {
        for (Split& split : splits_) split = {};
        fs::path from = where();
        std::error_code ignored;
        if (fs::is_directory(from, ignored)) load_folder(from);
        else splits_[ELBO_TRAIN].load_from(from, labels_beside(from), stream);
        check_splits();
        return found();
    }

    void read(std::uint32_t field, int split, const std::int64_t* rows, std::int64_t n, float* out) const override {
        const Split& from = splits_[known(split)];
        const Array& array = field == 0 ? from.images : from.labels;
        const std::size_t width = array.width();
        for (std::int64_t i = 0; i < n; ++i) must_be_there(array, split, rows[i]);
        array.rows.each(rows, n, [&](std::int64_t i, const std::uint8_t* bytes) {
            array.convert(bytes, out + std::size_t(i) * width);
        });
    }

protected:
    virtual fs::path where() const {
        if (path.empty()) throw std::runtime_error("no data given; pass --data.path with a folder or an IDX file");
        return path;
    }

    /// The first place that has training images, for data sets that are known by name.
    fs::path installed(const std::string& name, const std::string& advice) const {
        if (!path.empty()) return path;
        std::vector<std::string> places;
        const char *data = std::getenv("ELBO_DATA"), *home = std::getenv("HOME");
        if (data && *data) places.push_back((fs::path(data) / name).string());
        places.push_back("/usr/share/datasets/" + name);
        if (home && *home) places.push_back((fs::path(home) / ".local/share/elbo" / name).string());
        std::string list = name + " was not found; there is no train-images-idx3-ubyte[.gz] in";
        if (!data || !*data) list += "\n  $ELBO_DATA/" + name + " (ELBO_DATA is not set)";
        for (const std::string& place : places) {
            if (!either(fs::path(place) / "train-images-idx3-ubyte").empty()) return place;
            list += "\n  " + place;
        }
        throw std::runtime_error(list + "\n" + advice);
    }

private:
    static std::size_t known(int split) {
        if (split == ELBO_TRAIN || split == ELBO_TEST) return std::size_t(split);
        throw std::out_of_range("idx: there is no split " + std::to_string(split));
    }
    static void must_be_there(const Array& array, int split, std::int64_t row) {
        if (row < 0 || row >= array.count())
            throw std::out_of_range("idx: row " + std::to_string(row) + " of split " + std::to_string(split) +
                                    ", which has " + std::to_string(array.count()));
    }

    void load_folder(const fs::path& folder) {
        fs::path train = either(folder / "train-images-idx3-ubyte");
        fs::path test = either(folder / "t10k-images-idx3-ubyte");
        if (train.empty())
            throw std::runtime_error(folder.string() +
                                     ": there is no train-images-idx3-ubyte[.gz] in this folder; "
                                     "a file of another name can be given by itself: --data.path FILE");
        splits_[ELBO_TRAIN].load_from(train, either(folder / "train-labels-idx1-ubyte"), stream);
        if (!test.empty()) splits_[ELBO_TEST].load_from(test, either(folder / "t10k-labels-idx1-ubyte"), stream);
    }

    void check_splits() const {
        const Split &train = splits_[ELBO_TRAIN], &test = splits_[ELBO_TEST];
        if (test.images.count() == 0) return;
        const Array &a = train.images, &b = test.images;
        if (a.type != b.type || !std::equal(a.dims.begin() + 1, a.dims.end(), b.dims.begin() + 1, b.dims.end()))
            throw std::runtime_error(b.path + ": " + describe(b) + ", but " + a.path + ": " + describe(a) +
                                     "; both must have the same size and type");
        if ((train.labels.count() == 0) != (test.labels.count() == 0)) {
            const Split &with = train.labels.count() ? train : test, &without = train.labels.count() ? test : train;
            throw std::runtime_error(without.images.path + ": there is no labels file beside it, but there is " +
                                     with.labels.path + "; add the one or move the other away");
        }
    }
    static std::string describe(const Array& a) { return a.promise() + (a.type == u8 ? " bytes" : " 32 bit floats"); }

    elbo_rows found() {
        const Split &train = splits_[ELBO_TRAIN], &test = splits_[ELBO_TEST];
        Shape dims = train.images.dims;
        if (dims.size() == 3) dims.push_back(1);
        dims.erase(dims.begin());
        auto range = [](const Array& a, const Array& b) {
            return b.count() ? std::pair{std::min(a.low, b.low), std::max(a.high, b.high)} : std::pair{a.low, a.high};
        };
        const auto [low, high] = range(train.images, test.images);
        fields_ = {elbo::describe("x", dims, ELBO_CONTINUOUS, low, high)};
        if (train.labels.count())
            fields_.push_back(elbo::describe("labels", {1}, ELBO_CLASSES, 0, largest_label(), "label"));
        files_.clear();
        for (const Split& s : splits_)
            for (const Array* a : {&s.images, &s.labels})
                if (a->count()) (files_ += files_.empty() ? "" : "\n") += a->path;
        return rows_of(fields_, train.images.count(), test.images.count(), files_.c_str());
    }
    double largest_label() const {
        float most = 0, label = 0;
        for (const Split& s : splits_)
            s.labels.rows.each_from(0, [&](std::int64_t, const std::uint8_t* bytes) {
                s.labels.convert(bytes, &label);
                most = std::max(most, label);
            });
        return double(most);
    }

    Split splits_[ELBO_SPLITS];
    std::string files_;
    std::vector<elbo_field> fields_;
};

struct Mnist : Idx {
    void parameters(auto& p) {
        p("path", path, "folder with the files; empty: look where data sets are installed");
        p("stream", stream, stored::kStreamHelp, one_of("auto|yes|no"));
    }
    fs::path where() const override { return installed("mnist", "pass --data.path DIR"); }
};

struct FashionMnist : Idx {
    void parameters(auto& p) {
        p("path", path, "folder with the files; empty: look where data sets are installed");
        p("stream", stream, stored::kStreamHelp, one_of("auto|yes|no"));
    }
    fs::path where() const override {
        return installed("fashion-mnist", "pass --data.path DIR, or install the package dataset-fashion-mnist");
    }
};

ELBO_PLUGIN("idx", "1.0.0", "data/idx data/mnist data/fashion_mnist") {
    plugin.add<Idx>("idx", "images in IDX files, raw or gzip");
    plugin.add<Mnist>("mnist", "handwritten digits, 28x28, 60000 and 10000");
    plugin.add<FashionMnist>("fashion_mnist", "pieces of clothing, 28x28, 60000 and 10000");
}
