// A folder of pictures: PNG and JPEG files; a subfolder is a class, and folders `train` and `test` are the two splits.
// The first 256 MiB of them stay decoded; of all others only the names, and each is decoded whenever it is wanted.
#include "held.hpp"
#include "pictures.hpp"

using namespace elbo;
namespace fs = std::filesystem;

struct Images : StoredRows {
    std::string path, crop = "none", stream = "auto";
    std::int64_t height = 0, width = 0, channels = 0;
    void parameters(auto& p) {
        p("path", path, "the folder; its subfolders are classes; `train` and `test` in it are the two splits");
        p("height", height, "to which pictures are resized; 0: as the first one", within(0, 1 << 13));
        p("width", width, "to which pictures are resized; 0: as the first one", within(0, 1 << 13));
        p("channels", channels, "1: grey, 3: colour; 0: as the first one", within(0, 3));
        p("crop", crop, "center: the largest part around the middle that has the wanted proportions comes first",
          one_of("none|center"));
        p("stream", stream,
          "yes: pictures are decoded when they are wanted; no: all are held in memory; auto: those beyond the first "
          "256 MiB are decoded when they are wanted",
          one_of("auto|yes|no"));
    }
    void ready() override {
        if (channels == 2) throw std::invalid_argument("data.channels must be 0, 1 or 3");
        if ((height == 0) != (width == 0)) throw std::invalid_argument("data.height and data.width are given together");
        if (crop == "center" && height == 0) throw std::invalid_argument("data.crop needs data.height and data.width");
    }

    elbo_rows open() override {
        if (path.empty()) throw std::runtime_error("no data given; pass --data.path with a folder of pictures");
        clear();
        size_ = {};
        held_ = 0;
        for (Pictures& all : pictures_) all = {};
        std::error_code status;
        if (!fs::is_directory(path, status)) throw std::runtime_error(path + ": is no folder");
        const bool split = fs::is_directory(fs::path(path) / "train", status);
        const fs::path folders[] = {split ? fs::path(path) / "train" : fs::path(path), fs::path(path) / "test"};
        classes_ = folders_of(folders[0]);
        take(ELBO_TRAIN, folders[0]);
        if (split && fs::is_directory(folders[1], status)) take(ELBO_TEST, folders[1]);
        if (parts_[0].count == 0)
            throw std::runtime_error(folders[0].string() + ": there are no .png, .jpg or .jpeg files in this folder");
        for (const auto& c : classes_) names_ += (names_.empty() ? "" : ",") + plain(c.filename().string());
        dims_ = {size_.height, size_.width, size_.channels};
        return found();
    }

    void read(std::uint32_t field, int split, const std::int64_t* rows, std::int64_t n, float* out) const override {
        if (!decode(field, split, rows, n, out)) StoredRows::read(field, split, rows, n, out);
    }
    void read_f64(std::uint32_t field, int split, const std::int64_t* rows, std::int64_t n,
                  double* out) const override {
        if (!decode(field, split, rows, n, out)) StoredRows::read_f64(field, split, rows, n, out);
    }

private:
    /// Of a split: the first `decoded` are held, one behind the other.
    struct Pictures {
        std::vector<std::string> files;
        std::vector<std::uint8_t> bytes;
        std::int64_t decoded = 0;
    };

    /// False where the rows are not x, or are not there.
    template <class To>
    bool decode(std::uint32_t field, int split, const std::int64_t* rows, std::int64_t n, To* out) const {
        if (field != 0 || (split != ELBO_TRAIN && split != ELBO_TEST)) return false;
        const Pictures& all = pictures_[split];
        const auto there = std::int64_t(all.files.size());
        if (std::any_of(rows, rows + n, [&](std::int64_t r) { return r < 0 || r >= there; })) return false;
        const auto d = std::size_t(width_of_row());
        for (std::int64_t i = 0; i < n; ++i, out += d) {
            if (rows[i] < all.decoded) {
                stored::convert({}, all.bytes.data() + std::size_t(rows[i]) * d, d, out);
                continue;
            }
            const pictures::Picture p = picture_of(all.files[std::size_t(rows[i])], size_.channels);
            must_have_size(p, all.files[std::size_t(rows[i])]);
            stored::convert({}, p.bytes.data(), d, out);
        }
        return true;
    }
    std::int64_t width_of_row() const { return dims_[0] * dims_[1] * dims_[2]; }

    /// A comma would end a class's name.
    static std::string plain(std::string name) {
        std::replace(name.begin(), name.end(), ',', ' ');
        return name;
    }
    static std::string ending(const fs::path& file) {
        std::string e = file.extension().string();
        for (char& c : e) c = c >= 'A' && c <= 'Z' ? char(c + 32) : c;
        return e;
    }
    static bool is_picture(const fs::path& file) {
        const std::string e = ending(file);
        return e == ".png" || e == ".jpg" || e == ".jpeg";
    }
    static std::vector<fs::path> pictures_of(const fs::path& folder) {
        std::vector<fs::path> out;
        for (const auto& e : fs::directory_iterator(folder))
            if (e.is_regular_file() && is_picture(e.path())) out.push_back(e.path());
        std::sort(out.begin(), out.end());
        return out;
    }
    /// Subfolders with pictures, by name.
    static std::vector<fs::path> folders_of(const fs::path& folder) {
        std::vector<fs::path> out;
        for (const auto& e : fs::directory_iterator(folder))
            if (e.is_directory() && !pictures_of(e.path()).empty()) out.push_back(e.path());
        std::sort(out.begin(), out.end());
        return out;
    }

    void take(int split, const fs::path& folder) {
        parts_[split].path = folder.string();
        if (classes_.empty()) {
            for (const auto& file : pictures_of(folder)) add(split, file);
            return;
        }
        for (std::size_t c = 0; c < classes_.size(); ++c) {
            const fs::path of = folder / classes_[c].filename();
            std::error_code status;
            if (!fs::is_directory(of, status)) continue;
            for (const auto& file : pictures_of(of)) {
                add(split, file);
                parts_[split].labels.push_back(std::uint32_t(c));
            }
        }
        if (split == ELBO_TEST)
            for (const auto& other : folders_of(folder))
                if (std::none_of(classes_.begin(), classes_.end(),
                                 [&](const fs::path& c) { return c.filename() == other.filename(); }))
                    throw std::runtime_error(other.string() + ": the training pictures have no such class");
    }

    /// As it becomes a row.
    pictures::Picture picture_of(const std::string& file, int asked) const {
        pictures::Picture p =
            ending(file) == ".png" ? pictures::read_png(file, asked) : pictures::read_jpeg(file, asked);
        if (height == 0) return p;
        if (crop == "center") p = pictures::cropped(p, int(height), int(width));
        return p.height != height || p.width != width ? pictures::resized(p, int(height), int(width)) : p;
    }
    void must_have_size(const pictures::Picture& p, const std::string& file) const {
        if (p.height != size_.height || p.width != size_.width)
            throw std::runtime_error(file + ": is " + p.size() + ", and " + first_ + " is " + size_.size() +
                                     "; give --data.height and --data.width to resize all of them");
    }

    /// Every picture is looked at, but of those that are not held only the beginning.
    void add(int split, const fs::path& path) {
        const std::string file = path.string();
        Pictures& all = pictures_[split];
        const bool holds = size_.height == 0 || stream == "no" || (stream == "auto" && held_ < stored::kMostHeld);
        if (holds) {
            const pictures::Picture p = picture_of(file, channels ? int(channels) : size_.channels);
            if (size_.height == 0) size_ = {p.height, p.width, p.channels, {}}, first_ = file;
            must_have_size(p, file);
            hold(all, p, file);
        } else {
            const pictures::Picture p = ending(file) == ".png" ? pictures::png_size(file) : pictures::jpeg_size(file);
            if (height == 0) must_have_size(p, file);
        }
        all.files.push_back(file);
        ++parts_[split].count;
        add_file(file);
    }

    void hold(Pictures& all, const pictures::Picture& p, const std::string& file) {
        if (stream == "yes" || all.decoded < std::int64_t(all.files.size())) return;
        held_ += p.bytes.size();
        if (all.bytes.size() + p.bytes.size() > all.bytes.capacity() && all.bytes.size() >= stored::kMostHeld)
            if (const std::uint64_t free = memory::available(); 2 * all.bytes.size() > free)
                throw std::runtime_error(file + ": the pictures up to here take " + memory::text_of(all.bytes.size()) +
                                         ", and " + memory::text_of(free) +
                                         " are free; leave --data.stream out, or use a smaller --data.height and "
                                         "--data.width");
        all.bytes.insert(all.bytes.end(), p.bytes.begin(), p.bytes.end());
        ++all.decoded;
    }

    Pictures pictures_[ELBO_SPLITS];
    std::uint64_t held_ = 0; ///< bytes
    std::vector<fs::path> classes_;
    pictures::Picture size_; ///< without bytes
    std::string first_;
};
ELBO_PLUGIN("images", "1.0.0", "data/images") { plugin.add<Images>("images", "a folder of PNG and JPEG files"); }
