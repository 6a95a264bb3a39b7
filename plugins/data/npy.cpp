// NumPy's arrays: one in a .npy file, or several in a .npz archive.
#include <zip.h>

#include <map>
#include <memory>

#include "gz.hpp"
#include "held.hpp"

using namespace elbo;

namespace {

/// One array as it was stored; its rows are those of the first dimension.
struct Array {
    Shape dims;
    stored::Format format;
    stored::RowBytes rows;
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

stored::Number number_of(const std::string& type, const std::string& path) {
    using stored::Number;
    static const std::map<std::string, Number> known{{"u1", Number::u8},  {"b1", Number::u8},  {"i1", Number::i8},
                                                     {"i2", Number::i16}, {"u2", Number::u16}, {"f4", Number::f32},
                                                     {"f8", Number::f64}, {"i4", Number::i32}, {"u4", Number::u32},
                                                     {"i8", Number::i64}, {"u8", Number::u64}};
    if (const auto found = known.find(type); found != known.end()) return found->second;
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

/// What a header says.
struct Header {
    Shape dims;
    std::string type;           ///< "<f4"
    std::size_t begin = 0;      ///< where the values do
    std::uint64_t promised = 1; ///< bytes of them
};

/// The format of numpy.lib.format, versions 1 to 3. start: of the file, enough of it.
Header header_of(const std::vector<std::uint8_t>& start, const std::string& path) {
    auto broken = [&](const std::string& why) { return std::runtime_error(path + ": " + why); };
    const std::string_view all(reinterpret_cast<const char*>(start.data()), start.size());
    if (all.size() < 10 || all.substr(0, 6) != "\x93NUMPY") throw broken("is no .npy array");
    const auto byte = [&](std::size_t i) { return std::size_t(start[i]); };
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
    Header h{dims_of(entry(header, "shape"), path), type.substr(1, type.size() - 2), begin + size};
    const char last = h.type[2];
    h.promised = h.type.size() == 3 && last >= '1' && last <= '8' ? std::uint64_t(last - '0') : 1;
    for (std::int64_t d : h.dims)
        if (__builtin_mul_overflow(h.promised, std::uint64_t(d), &h.promised))
            throw broken("promises an impossible size");
    return h;
}

void must_hold(const Header& h, std::uint64_t bytes, const std::string& path) {
    if (bytes == h.promised) return;
    throw std::runtime_error(path + ": its header promises " + std::to_string(h.promised) + " bytes, and there are " +
                             std::to_string(bytes) + (bytes < h.promised ? ": truncated" : ""));
}

/// The array without its rows.
Array array_of(const Header& h, const std::string& path) {
    Array a{h.dims, {number_of(h.type.substr(1), path), h.type[0] == '>'}, {}};
    if (a.dims.empty() || a.dims[0] == 0) return a;
    a.rows = stored::RowBytes({0, std::size_t(h.promised / std::uint64_t(a.dims[0]))});
    return a;
}

Array parse(std::vector<std::uint8_t> all, const std::string& path) {
    const Header h = header_of(all, path);
    must_hold(h, all.size() - h.begin, path);
    Array a = array_of(h, path);
    if (h.promised > 0 && !a.dims.empty()) a.rows.hold(std::move(all), h.begin, a.dims[0]);
    return a;
}

Array load(const std::string& path, const std::string& stream) {
    constexpr std::uint64_t kStart = 1 << 20;
    gz::File file(path);
    if (!stored::stays(file, stream)) return parse(file.take(file.packed() ? gz::File::kUnknown : file.size()), path);
    const Header h = header_of(file.take(kStart), path);
    must_hold(h, file.size() - h.begin, path);
    Array a = array_of(h, path);
    if (h.promised > 0 && !a.dims.empty()) a.rows.leave(path, file.size(), h.begin, a.dims[0]);
    return a;
}

/// As class numbers; others are refused.
std::vector<std::uint32_t> classes_of(const Array& labels, std::int64_t rows, const std::string& path) {
    std::vector<std::uint32_t> out;
    const std::size_t each = labels.rows.row_bytes() / stored::size_of(labels.format.number);
    const std::int64_t count = labels.rows.count() * std::int64_t(each);
    if (count != rows)
        throw std::runtime_error(path + ": " + std::to_string(count) + " labels for " + std::to_string(rows) + " rows");
    std::vector<double> row(each);
    labels.rows.each_from(0, [&](std::int64_t, const std::uint8_t* bytes) {
        stored::convert(labels.format, bytes, each, row.data());
        for (double v : row) {
            if (!(v >= 0 && v <= 65535) || v != std::floor(v))
                throw std::runtime_error(path + ": label of row " + std::to_string(out.size()) + " (from 0) is " +
                                         std::to_string(v) +
                                         ", out of range: labels are classes, whole numbers from 0 to 65535");
            out.push_back(std::uint32_t(v));
        }
    });
    return out;
}

struct ArrayRows : StoredRows {
    /// Takes an array as the rows of a split.
    void take(int split, Array a, const std::string& path) {
        if (a.dims.empty() || a.dims[0] == 0) throw std::runtime_error(path + ": holds no rows");
        Shape row(a.dims.begin() + 1, a.dims.end());
        if (row.size() > ELBO_MAX_RANK - 1) throw std::runtime_error(path + ": rows have too many dimensions");
        if (split == ELBO_TEST && row != dims_)
            throw std::runtime_error(path + ": its rows have other sizes than the training rows");
        if (split == ELBO_TEST && kind_of(a.format.number) != kind_of(parts_[0].format.number))
            throw std::runtime_error(path + ": its values have another type than the training rows");
        dims_ = row;
        parts_[split] = {std::move(a.rows), a.format, {}, path, a.dims[0]};
    }
    void label(int split, const Array& a, const std::string& path) {
        parts_[split].labels = classes_of(a, parts_[split].count, path);
    }
    /// Bytes, numbers that f32 holds, and others: each is scaled in its own way.
    static int kind_of(stored::Number n) { return n == stored::Number::u8 ? 0 : stored::f32_holds(n) ? 1 : 2; }
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
        must_fit(key, where);
        std::vector<std::uint8_t> bytes, piece(1 << 20);
        for (zip_int64_t got = 1; got != 0;) {
            got = file ? ::zip_fread(file.get(), piece.data(), piece.size()) : -1;
            if (got < 0) throw std::runtime_error(where + ": cannot be read; the archive is damaged");
            bytes.insert(bytes.end(), piece.begin(), piece.begin() + got);
        }
        return parse(std::move(bytes), where);
    }
    /// The first of these that is there, or "".
    std::string first_of(std::initializer_list<const char*> names) const {
        for (const char* n : names)
            if (has(n)) return n;
        return "";
    }

private:
    /// While it grows, half of it is there twice.
    void must_fit(const std::string& key, const std::string& where) const {
        zip_stat_t info;
        if (::zip_stat(zip_.get(), (key + ".npy").c_str(), 0, &info) != 0 || !(info.valid & ZIP_STAT_SIZE)) return;
        if (const std::uint64_t free = memory::available(); info.size + info.size / 2 > free)
            throw std::runtime_error(where + ": does not fit into memory: it holds " + memory::text_of(info.size) +
                                     ", and " + memory::text_of(free) +
                                     " are free; save it as a .npy file, whose rows are read when they are wanted");
    }
    struct Discard {
        void operator()(zip_t* z) const { ::zip_discard(z); }
    };
    std::string path_;
    std::unique_ptr<zip_t, Discard> zip_;
};

} // namespace

/// One array of rows; labels and test rows in files of their own.
struct Npy : ArrayRows {
    std::string path, labels, test_path, test_labels, stream = "auto";
    void parameters(auto& p) {
        p("path", path, "the array, [rows, ...]: images [rows, height, width, channels]");
        p("labels", labels, "an array of class numbers, one per row");
        p("test_path", test_path, "the test rows");
        p("test_labels", test_labels, "their class numbers");
        p("stream", stream, stored::kStreamHelp, one_of("auto|yes|no"));
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
            take(split, load(rows, stream), rows);
            add_file(rows);
            if (classes.empty()) continue;
            label(split, load(classes, stream), classes);
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
