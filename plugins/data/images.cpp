// A folder of pictures: PNG and JPEG files; a subfolder is a class, and folders `train` and `test` are the two splits.
#include "held.hpp"
#include "pictures.hpp"

using namespace elbo;
namespace fs = std::filesystem;

struct Images : HeldRows {
    std::string path, crop = "none";
    std::int64_t height = 0, width = 0, channels = 0;
    void parameters(auto& p) {
        p("path", path, "the folder; its subfolders are classes; `train` and `test` in it are the two splits");
        p("height", height, "to which pictures are resized; 0: as the first one", within(0, 1 << 13));
        p("width", width, "to which pictures are resized; 0: as the first one", within(0, 1 << 13));
        p("channels", channels, "1: grey, 3: colour; 0: as the first one", within(0, 3));
        p("crop", crop, "center: the largest part around the middle that has the wanted proportions comes first",
          one_of("none|center"));
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

private:
    static constexpr std::uint64_t kMostBytes = std::uint64_t(1) << 33;

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
        parts_[split].x = std::vector<std::uint8_t>();
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
                parts_[split].labels.push_back(float(c));
            }
        }
        if (split == ELBO_TEST)
            for (const auto& other : folders_of(folder))
                if (std::none_of(classes_.begin(), classes_.end(),
                                 [&](const fs::path& c) { return c.filename() == other.filename(); }))
                    throw std::runtime_error(other.string() + ": the training pictures have no such class");
    }

    void add(int split, const fs::path& file) {
        const int asked = channels ? int(channels) : size_.channels;
        pictures::Picture p = ending(file) == ".png" ? pictures::read_png(file.string(), asked)
                                                     : pictures::read_jpeg(file.string(), asked);
        if (height > 0) {
            if (crop == "center") p = pictures::cropped(p, int(height), int(width));
            if (p.height != height || p.width != width) p = pictures::resized(p, int(height), int(width));
        }
        if (size_.height == 0) size_ = {p.height, p.width, p.channels, {}}, first_ = file.string();
        if (p.height != size_.height || p.width != size_.width)
            throw std::runtime_error(file.string() + ": is " + p.size() + ", and " + first_ + " is " + size_.size() +
                                     "; give --data.height and --data.width to resize all of them");
        auto& x = std::get<std::vector<std::uint8_t>>(parts_[split].x);
        if (x.size() + p.bytes.size() > kMostBytes)
            throw std::runtime_error(file.string() + ": the pictures up to here take " + std::to_string(x.size()) +
                                     " bytes; use a smaller --data.height and --data.width");
        x.insert(x.end(), p.bytes.begin(), p.bytes.end());
        ++parts_[split].count;
        add_file(file.string());
    }

    std::vector<fs::path> classes_;
    pictures::Picture size_; ///< without bytes
    std::string first_;
};
ELBO_PLUGIN("images", "1.0.0", "data/images") { plugin.add<Images>("images", "a folder of PNG and JPEG files"); }
