// NumPy's arrays: one in a .npy file, or several in a .npz archive.
#include <zip.h>

#include <bit>
#include <cstring>
#include <map>
#include <memory>

#include "gz.hpp"
#include "held.hpp"

using namespace elbo;

namespace {

/// One array as it was stored.
struct Array {
    Shape dims;
    Held values;
};

/// The value behind a key of the header's dictionary: "'shape': (3, 4)" -> "(3, 4)".
std::string_view entry(std::string_view header, const char* key) {
    const auto at = header.find("'" + std::string(key) + "'");
    if (at == header.npos) return {};
    auto from = header.find(':', at);
    if (from == header.npos) return {};
    from = header.find_first_not_of(' ', from + 1);
    if (from == header.npos) return {};
    const char closes = header[from] == '(' ? ')' : header[from] == '\'' ? '\'' : ',';
    const auto to = header.find(closes, from + 1);
    return header.substr(from, to == header.npos ? header.npos : to - from + 1);
}

template <class Stored, class To>
std::vector<To> numbers(std::string_view bytes, bool swap) {
    std::vector<To> out(bytes.size() / sizeof(Stored));
    for (std::size_t i = 0; i < out.size(); ++i) {
        std::array<char, sizeof(Stored)> b;
        std::memcpy(b.data(), bytes.data() + i * sizeof(Stored), sizeof(Stored));
        if (swap) std::reverse(b.begin(), b.end());
        out[i] = To(std::bit_cast<Stored>(b));
    }
    return out;
}

/// f32 where it holds every number of the type.
Held values_of(const std::string& type, std::string_view bytes, bool swap, const std::string& path) {
    if (type == "u1" || type == "b1") return numbers<std::uint8_t, std::uint8_t>(bytes, false);
    if (type == "i1") return numbers<std::int8_t, float>(bytes, false);
    if (type == "i2") return numbers<std::int16_t, float>(bytes, swap);
    if (type == "u2") return numbers<std::uint16_t, float>(bytes, swap);
    if (type == "f4") return numbers<float, float>(bytes, swap);
    if (type == "f8") return numbers<double, double>(bytes, swap);
    if (type == "i4") return numbers<std::int32_t, double>(bytes, swap);
    if (type == "u4") return numbers<std::uint32_t, double>(bytes, swap);
    if (type == "i8") return numbers<std::int64_t, double>(bytes, swap);
    if (type == "u8") return numbers<std::uint64_t, double>(bytes, swap);
    throw std::runtime_error(path + ": holds values of type " + gz::shown(type) +
                             "; whole numbers and 32 or 64 bit floats are read: save it with .astype('float32')");
}

Shape dims_of(std::string_view text, const std::string& path) {
    Shape out;
    std::int64_t n = -1;
    for (char c : text) {
        if (c >= '0' && c <= '9') n = std::max<std::int64_t>(n, 0) * 10 + (c - '0');
        else if (n >= 0) out.push_back(n), n = -1;
        if (n > std::int64_t(1) << 40) throw std::runtime_error(path + ": its header promises an impossible size");
    }
    return out;
}

/// The format of numpy.lib.format, versions 1 to 3.
Array parse(std::string_view all, const std::string& path) {
    auto broken = [&](const std::string& why) { return std::runtime_error(path + ": " + why); };
    if (all.size() < 10 || all.substr(0, 6) != "\x93NUMPY") throw broken("is no .npy array");
    const auto byte = [&](std::size_t i) { return std::size_t(std::uint8_t(all[i])); };
    const bool wide = byte(6) >= 2;
    if (byte(6) < 1 || byte(6) > 3 || all.size() < 12) throw broken("has an unknown version of the .npy format");
    const std::size_t begin = wide ? 12 : 10,
                      size = byte(8) | byte(9) << 8 | (wide ? byte(10) << 16 | byte(11) << 24 : 0);
    if (all.size() < begin + size) throw broken("truncated: it ends inside the header");
    const std::string_view header = all.substr(begin, size);
    const std::string type(entry(header, "descr"));
    if (type.size() < 4 || type[0] != '\'') throw broken("holds records or objects, not plain numbers");
    if (entry(header, "fortran_order").starts_with("True"))
        throw broken("is in Fortran order; save it with np.ascontiguousarray");
    Array a;
    a.dims = dims_of(entry(header, "shape"), path);
    const std::string kind = type.substr(2, type.size() - 3);
    const std::size_t each = kind.size() == 2 && kind[1] >= '1' && kind[1] <= '8' ? std::size_t(kind[1] - '0') : 1;
    std::uint64_t promised = each;
    for (std::int64_t d : a.dims)
        if (__builtin_mul_overflow(promised, std::uint64_t(d), &promised)) throw broken("promises an impossible size");
    const std::string_view data = all.substr(begin + size);
    if (data.size() != promised)
        throw broken("its header promises " + std::to_string(promised) + " bytes, and there are " +
                     std::to_string(data.size()) + (data.size() < promised ? ": truncated" : ""));
    a.values = values_of(kind, data, type[1] == '>', path);
    return a;
}

std::string contents(const std::string& path) {
    gz::File file(path);
    const auto bytes = file.take(std::uint64_t(1) << 40);
    return {bytes.begin(), bytes.end()};
}

struct ArrayRows : HeldRows {
    /// Takes an array as the rows of a split.
    void take(int split, Array a, const std::string& path) {
        if (a.dims.empty() || a.dims[0] == 0) throw std::runtime_error(path + ": holds no rows");
        Shape row(a.dims.begin() + 1, a.dims.end());
        if (row.size() > ELBO_MAX_RANK - 1) throw std::runtime_error(path + ": rows have too many dimensions");
        if (split == ELBO_TEST && row != dims_)
            throw std::runtime_error(path + ": its rows have other sizes than the training rows");
        if (split == ELBO_TEST && a.values.index() != parts_[0].x.index())
            throw std::runtime_error(path + ": its values have another type than the training rows");
        dims_ = row;
        parts_[split] = {std::move(a.values), {}, path, a.dims[0]};
    }
    void label(int split, const Array& a, const std::string& path) {
        parts_[split].labels = classes_of(a.values, parts_[split].count, path);
    }
    void check_labels() const {
        if (parts_[1].count && parts_[0].labels.empty() != parts_[1].labels.empty())
            throw std::runtime_error(parts_[1].path + ": training and test rows must both have labels, or neither");
    }
};

/// An archive of arrays, opened.
class Archive {
public:
    explicit Archive(const std::string& path) : path_(path) {
        int code = 0;
        zip_.reset(::zip_open(path.c_str(), ZIP_RDONLY, &code));
        if (!zip_) {
            zip_error_t error;
            ::zip_error_init_with_code(&error, code);
            const std::string why = ::zip_error_strerror(&error);
            ::zip_error_fini(&error);
            throw std::runtime_error(path + ": cannot be opened as an .npz archive: " + why);
        }
    }
    bool has(const std::string& key) const { return ::zip_name_locate(zip_.get(), (key + ".npy").c_str(), 0) >= 0; }
    std::vector<std::string> keys() const {
        std::vector<std::string> out;
        for (zip_int64_t i = 0; i < ::zip_get_num_entries(zip_.get(), 0); ++i) {
            const std::string name = ::zip_get_name(zip_.get(), zip_uint64_t(i), 0);
            if (name.ends_with(".npy")) out.push_back(name.substr(0, name.size() - 4));
        }
        return out;
    }
    std::string list() const {
        std::string out;
        for (const std::string& k : keys()) out += (out.empty() ? "" : ", ") + k;
        return out.empty() ? "no arrays" : out;
    }
    Array read(const std::string& key) const {
        const std::string where = path_ + ", array " + gz::shown(key);
        if (!has(key)) throw std::runtime_error(path_ + ": has no array " + gz::shown(key) + "; it has " + list());
        const std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> file(::zip_fopen(zip_.get(), (key + ".npy").c_str(), 0),
                                                                     ::zip_fclose);
        std::string bytes;
        std::vector<char> piece(1 << 20);
        for (zip_int64_t got = 1; got != 0;) {
            got = file ? ::zip_fread(file.get(), piece.data(), piece.size()) : -1;
            if (got < 0) throw std::runtime_error(where + ": cannot be read; the archive is damaged");
            bytes.append(piece.data(), std::size_t(got));
        }
        return parse(bytes, where);
    }
    /// The first of these that is there, or "".
    std::string first_of(std::initializer_list<const char*> names) const {
        for (const char* n : names)
            if (has(n)) return n;
        return "";
    }

private:
    struct Discard {
        void operator()(zip_t* z) const { ::zip_discard(z); }
    };
    std::string path_;
    std::unique_ptr<zip_t, Discard> zip_;
};

} // namespace

/// One array of rows; labels and test rows in files of their own.
struct Npy : ArrayRows {
    std::string path, labels, test_path, test_labels;
    void parameters(auto& p) {
        p("path", path, "the array, [rows, ...]: images [rows, height, width, channels]");
        p("labels", labels, "an array of class numbers, one per row");
        p("test_path", test_path, "the test rows");
        p("test_labels", test_labels, "their class numbers");
    }
    elbo_rows open() override {
        if (path.empty()) throw std::runtime_error("no data given; pass --data.path with a .npy file");
        clear();
        const std::string files[][2] = {{path, labels}, {test_path, test_labels}};
        for (int split : {ELBO_TRAIN, ELBO_TEST}) {
            const auto& [rows, classes] = files[split];
            if (rows.empty() && !classes.empty())
                throw std::runtime_error("--data.test-labels without --data.test-path");
            if (rows.empty()) continue;
            take(split, parse(contents(rows), rows), rows);
            add_file(rows);
            if (classes.empty()) continue;
            label(split, parse(contents(classes), classes), classes);
            add_file(classes);
        }
        check_labels();
        return found();
    }
};

/// Arrays of an archive, by the names people give them.
struct Npz : ArrayRows {
    std::string path, key, label_key, test_key, test_label_key;
    void parameters(auto& p) {
        p("path", path, "the archive");
        p("key", key, "the rows; none: the only array, or x, x_train, train_images or arr_0");
        p("label_key", label_key, "their class numbers; none: y, y_train, labels or train_labels, where there");
        p("test_key", test_key, "the test rows; none: x_test or test_images, where there");
        p("test_label_key", test_label_key, "their class numbers; none: y_test or test_labels, where there");
    }
    elbo_rows open() override {
        if (path.empty()) throw std::runtime_error("no data given; pass --data.path with an .npz file");
        clear();
        const Archive archive(path);
        const auto keys = archive.keys();
        std::string rows = key;
        if (rows.empty())
            rows = keys.size() == 1 ? keys[0] : archive.first_of({"x", "x_train", "train_images", "arr_0"});
        if (rows.empty())
            throw std::runtime_error(path + ": which array holds the rows? name it with --data.key; there are " +
                                     archive.list());
        take(ELBO_TRAIN, archive.read(rows), path + ", array " + rows);
        auto named = [&](const std::string& asked, std::initializer_list<const char*> usual) {
            return asked.empty() ? archive.first_of(usual) : asked;
        };
        if (const auto y = named(label_key, {"y", "y_train", "labels", "train_labels"}); !y.empty() && y != rows)
            label(ELBO_TRAIN, archive.read(y), path + ", array " + y);
        if (const auto test = named(test_key, {"x_test", "test_images"}); !test.empty()) {
            take(ELBO_TEST, archive.read(test), path + ", array " + test);
            if (const auto y = named(test_label_key, {"y_test", "test_labels"}); !y.empty())
                label(ELBO_TEST, archive.read(y), path + ", array " + y);
        }
        add_file(path);
        check_labels();
        return found();
    }
};

ELBO_PLUGIN("npy", "1.0.0", "data/npy data/npz") {
    plugin.add<Npy>("npy", "a NumPy array of rows");
    plugin.add<Npz>("npz", "arrays of a NumPy archive");
}
