// Images and other arrays in the IDX format of MNIST, raw or gzip: any folder or file (`idx`), and MNIST and
// Fashion-MNIST where they are installed. Rows stay as they are in the file, in memory or on the disk; read() converts.
#include <elbo/plugin.hpp>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "gz.hpp"
#include "numbers.hpp"
#include "stored.hpp"

using namespace elbo;
namespace fs = std::filesystem;

namespace {

constexpr std::uint8_t u8 = 0x08, f32 = 0x0D;

std::uint32_t big_endian(const std::uint8_t* b) {
    return std::uint32_t(b[0]) << 24 | std::uint32_t(b[1]) << 16 | std::uint32_t(b[2]) << 8 | b[3];
}

/// One IDX file.
struct Array {
    std::string path;
    std::uint8_t type = u8;
    std::vector<std::int64_t> dims;
    stored::RowBytes rows;
    double low = 0, high = 255;

    std::int64_t count() const { return dims.empty() ? 0 : dims[0]; }
    std::size_t width() const {
        std::size_t n = 1;
        for (std::size_t i = 1; i < dims.size(); ++i) n *= std::size_t(dims[i]);
        return n;
    }
    std::size_t value_bytes() const { return type == u8 ? 1 : 4; }
    template <class To>
    void convert(const std::uint8_t* row, To* out) const {
        stored::convert(type == u8 ? stored::Format{stored::Number::u8} : stored::Format{stored::Number::f32, true},
                        row, width(), out);
    }
    std::string size_text() const {
        std::string out;
        for (std::size_t i = 1; i < dims.size(); ++i) out += (i > 1 ? "x" : "") + std::to_string(dims[i]);
        return out;
    }
    std::string promise() const {
        const char* what = dims.size() == 1 ? " labels" : dims.size() == 2 ? " rows of " : " images of ";
        return std::to_string(count()) + what + size_text();
    }
};

std::string type_name(std::uint8_t type) {
    switch (type) {
        case 0x09: return "signed bytes (0x09)";
        case 0x0B: return "16 bit integers (0x0B)";
        case 0x0C: return "32 bit integers (0x0C)";
        case 0x0E: return "64 bit floats (0x0E)";
    }
    return {};
}

void check_magic(const gz::File& file, const std::uint8_t* magic, std::size_t got, bool labels) {
    static const char hex[] = "0123456789abcdef";
    std::string start;
    for (std::size_t i = 0; i < got; ++i) (start += i ? " " : "") += {hex[magic[i] >> 4], hex[magic[i] & 15]};
    if (got < 4 && file.cut()) file.fail("truncated: it ends inside the header; download it again");
    bool known = magic[2] == u8 || magic[2] == f32;
    if (got == 4 && !magic[0] && !magic[1] && !known && !type_name(magic[2]).empty())
        file.fail("holds " + type_name(magic[2]) + "; write unsigned bytes (0x08) or 32 bit floats (0x0D) instead");
    if (got < 4 || magic[0] || magic[1] || !known)
        file.fail("is not an IDX file: it " + (got ? "starts with " + start : "is empty") + ", where 00 00 08 0" +
                  (labels ? "1" : "3") + " should be" + "; download it again");
    if (labels ? magic[3] != 1 : magic[3] < 2 || magic[3] > 4)
        file.fail("has rank " + std::to_string(magic[3]) + "; " +
                  (labels ? "labels have rank 1: is this an images file?"
                          : "images have rank 2 to 4, counting the rows: is this a labels file?"));
}

/// Bytes the header promises; the sizes are the file's word only, their product may not fit anywhere.
std::uint64_t promised_bytes(const gz::File& file, const Array& array) {
    std::uint64_t total = array.type == u8 ? 1 : 4;
    for (std::int64_t d : array.dims) {
        if (d == 0) file.fail("holds nothing to train on: the header says " + array.promise());
        if (__builtin_mul_overflow(total, std::uint64_t(d), &total) || total > std::uint64_t(1) << 62)
            file.fail("the header promises " + array.promise() + ", more than any computer holds; it is damaged");
    }
    return total;
}

void find_range(const gz::File& file, Array& array) {
    std::vector<float> row(array.width());
    array.low = INFINITY, array.high = -INFINITY;
    array.rows.each_from(0, [&](std::int64_t i, const std::uint8_t* bytes) {
        array.convert(bytes, row.data());
        for (std::size_t k = 0; k < row.size(); ++k) {
            const double v = double(row[k]);
            if (!std::isfinite(v))
                file.fail("row " + std::to_string(i) + " (from 0), value " + std::to_string(k) + " is " +
                          (std::isnan(v) ? "nan" : "infinite") + "; clean the data first");
            array.low = std::min(array.low, v);
            array.high = std::max(array.high, v);
        }
    });
}

/// The values behind the header, in memory or left on the disk.
void take_rows(gz::File& file, Array& array, std::uint64_t header, std::uint64_t total, const std::string& stream) {
    array.rows = stored::RowBytes({0, array.width() * array.value_bytes()});
    const bool stays = stored::stays(file, stream);
    std::vector<std::uint8_t> bytes;
    std::uint64_t there = std::min(total, file.size() - header);
    if (!stays) bytes = file.take(total), there = bytes.size();
    if (there < total)
        file.fail("truncated: the header promises " + array.promise() + ", the file ends after " +
                  std::to_string(there) + " of " + std::to_string(total) + " bytes; download it again");
    // Asking for one more byte also makes zlib compare the checksum.
    std::uint8_t more;
    if (stays ? file.size() - header > total : file.read(&more, 1) == 1)
        file.fail("goes on after the " + array.promise() + " that the header promises; header or file is damaged");
    if (file.cut()) file.fail("truncated: all values are there, but the gzip checksum is not; download it again");
    if (stays) array.rows.leave(file.path(), file.size(), header, array.count());
    else array.rows.hold(std::move(bytes), 0, array.count());
}

Array load(const fs::path& path, bool labels, const std::string& stream) {
    gz::File file(path.string());
    std::uint8_t magic[4] = {}, dims[4 * 4];
    check_magic(file, magic, file.read(magic, 4), labels);
    Array array{file.path(), magic[2], {}, {}};
    std::size_t rank = magic[3];
    if (file.read(dims, 4 * rank) < 4 * rank) file.fail("truncated: it ends inside the header; download it again");
    for (std::size_t i = 0; i < rank; ++i) array.dims.push_back(big_endian(dims + 4 * i));
    take_rows(file, array, 4 + 4 * rank, promised_bytes(file, array), stream);
    if (array.type == f32) find_range(file, array);
    return array;
}

/// The file as it is or with .gz; empty when neither is there.
fs::path either(const fs::path& name) {
    std::error_code ignored;
    for (const fs::path& p : {name, fs::path(name.string() + ".gz")})
        if (fs::is_regular_file(p, ignored)) return p;
    return {};
}

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
