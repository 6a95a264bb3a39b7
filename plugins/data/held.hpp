// Data sets of x in one number type, and labels, for each split. Rows stay as the bytes they came as, in memory or on
// the disk.
#pragma once

#include <elbo/plugin.hpp>

#include <cmath>

#include "numbers.hpp"
#include "stored.hpp"

namespace elbo {

struct StoredRows : DataSet {
    void read(std::uint32_t field, int split, const std::int64_t* rows, std::int64_t n, float* out) const override {
        copy(field, split, rows, n, out);
    }
    // Doubles and large whole numbers are more than f32 tells apart.
    void read_f64(std::uint32_t field, int split, const std::int64_t* rows, std::int64_t n,
                  double* out) const override {
        copy(field, split, rows, n, out);
    }
    std::optional<Fact> fact(std::string_view key) const override {
        if (key != "f32_holds_values") return {};
        for (const Part& p : parts_)
            if (p.count > 0 && !stored::f32_holds(p.format.number)) return false;
        return true;
    }

protected:
    struct Part {
        stored::RowBytes x;
        stored::Format format;
        std::vector<std::uint32_t> labels; ///< none, or one per row
        std::string path;                  ///< for complaints
        std::int64_t count = 0;
    };

    /// Forgets what an earlier open() took.
    void clear() {
        for (Part& p : parts_) p = {};
        names_.clear();
        files_.clear();
        dims_.clear();
    }
    void add_file(const std::string& path) { (files_ += files_.empty() ? "" : "\n") += path; }
    std::int64_t width() const {
        std::int64_t n = 1;
        for (std::int64_t d : dims_) n *= d;
        return n;
    }

    /// What open() gives, once parts and dims are there: a row of a matrix gets a channel, a number becomes a row.
    elbo_rows found() {
        if (dims_.empty()) dims_ = {1};
        if (dims_.size() == 2) dims_.push_back(1);
        double low = 0, high = 255;
        if (parts_[0].format.number != stored::Number::u8) {
            low = INFINITY, high = -INFINITY;
            for (const Part& p : parts_) find_range(p, low, high);
        }
        fields_ = {describe("x", dims_, ELBO_CONTINUOUS, low, high)};
        if (!parts_[0].labels.empty()) {
            std::uint32_t most = 0;
            for (const Part& p : parts_)
                for (std::uint32_t l : p.labels) most = std::max(most, l);
            fields_.push_back(describe("labels", {1}, ELBO_CLASSES, 0, double(most), names_.c_str()));
        }
        return rows_of(fields_, parts_[0].count, parts_[1].count, files_.c_str());
    }

    /// A row's bytes as numbers: one after the other, unless a set has another order in its files.
    virtual void convert(const Part& p, const std::uint8_t* bytes, float* out) const {
        stored::convert(p.format, bytes, std::size_t(width()), out);
    }
    virtual void convert(const Part& p, const std::uint8_t* bytes, double* out) const {
        stored::convert(p.format, bytes, std::size_t(width()), out);
    }

    Part parts_[ELBO_SPLITS];
    Shape dims_; ///< of a row
    std::string names_ = "", files_;

private:
    void find_range(const Part& p, double& low, double& high) const {
        const auto d = std::size_t(width());
        std::vector<double> row(d);
        p.x.each_from(0, [&](std::int64_t i, const std::uint8_t* bytes) {
            convert(p, bytes, row.data());
            if (!widen(row, low, high)) refuse(p, i, row);
        });
    }
    /// False when a value is not finite.
    static bool widen(const std::vector<double>& row, double& low, double& high) {
        constexpr std::size_t kLanes = 8; // a minimum that waits for the one before it takes long
        double least[kLanes], most[kLanes], none[kLanes] = {};
        std::fill_n(least, kLanes, low);
        std::fill_n(most, kLanes, high);
        const auto see = [&](std::size_t l, double v) {
            least[l] = std::min(least[l], v);
            most[l] = std::max(most[l], v);
            none[l] += v * 0; // NaN or infinity make it NaN
        };
        const std::size_t whole = row.size() / kLanes * kLanes;
        for (std::size_t i = 0; i < whole; i += kLanes)
            for (std::size_t l = 0; l < kLanes; ++l) see(l, row[i + l]);
        for (std::size_t i = whole; i < row.size(); ++i) see(0, row[i]);
        low = *std::min_element(least, least + kLanes);
        high = *std::max_element(most, most + kLanes);
        return std::all_of(none, none + kLanes, [](double v) { return v == 0; });
    }
    [[noreturn]] static void refuse(const Part& p, std::int64_t i, const std::vector<double>& row) {
        const auto at = std::find_if(row.begin(), row.end(), [](double v) { return !std::isfinite(v); });
        throw std::runtime_error(p.path + ": row " + std::to_string(i) + " (from 0), value " +
                                 std::to_string(at - row.begin()) + " is " + (std::isnan(*at) ? "nan" : "infinite") +
                                 "; clean the data first");
    }
    template <class To>
    void copy(std::uint32_t field, int split, const std::int64_t* rows, std::int64_t n, To* out) const {
        if (split != ELBO_TRAIN && split != ELBO_TEST)
            throw std::out_of_range("there is no split " + std::to_string(split));
        const Part& p = parts_[split];
        for (std::int64_t i = 0; i < n; ++i)
            if (rows[i] < 0 || rows[i] >= p.count)
                throw std::out_of_range("there is no row " + std::to_string(rows[i]));
        if (field == 1) {
            for (std::int64_t i = 0; i < n; ++i) out[i] = To(p.labels.at(std::size_t(rows[i])));
            return;
        }
        const std::int64_t d = width();
        p.x.each(rows, n, [&](std::int64_t i, const std::uint8_t* bytes) { convert(p, bytes, out + i * d); });
    }

    std::vector<elbo_field> fields_;
};

} // namespace elbo
