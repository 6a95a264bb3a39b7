// Data sets that hold their rows in memory: x of one number type, and labels, for each split.
#pragma once

#include <elbo/plugin.hpp>

#include <algorithm>
#include <cmath>
#include <set>
#include <variant>

namespace elbo {

using Held = std::variant<std::vector<std::uint8_t>, std::vector<float>, std::vector<double>>;

struct HeldRows : DataSet {
    void read(std::uint32_t field, int split, const std::int64_t* rows, std::int64_t n, float* out) const override {
        copy(field, split, rows, n, out);
    }
    // Doubles and large whole numbers are more than f32 tells apart.
    void read_f64(std::uint32_t field, int split, const std::int64_t* rows, std::int64_t n,
                  double* out) const override {
        copy(field, split, rows, n, out);
    }

protected:
    struct Part {
        Held x;
        std::vector<float> labels; ///< none, or one per row
        std::string path;          ///< for complaints
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
        if (!std::holds_alternative<std::vector<std::uint8_t>>(parts_[0].x)) {
            low = INFINITY, high = -INFINITY;
            for (const Part& p : parts_) find_range(p, low, high);
        }
        fields_ = {describe("x", dims_, ELBO_CONTINUOUS, low, high)};
        if (!parts_[0].labels.empty()) {
            float most = 0;
            for (const Part& p : parts_)
                for (float l : p.labels) most = std::max(most, l);
            fields_.push_back(describe("labels", {1}, ELBO_CLASSES, 0, double(most), names_.c_str()));
        }
        return rows_of(fields_, parts_[0].count, parts_[1].count, files_.c_str());
    }

    /// Labels as class numbers; others are refused.
    static std::vector<float> classes_of(const Held& labels, std::int64_t rows, const std::string& path) {
        std::vector<float> out;
        std::visit([&](const auto& all) { out.assign(all.begin(), all.end()); }, labels);
        if (std::int64_t(out.size()) != rows)
            throw std::runtime_error(path + ": " + std::to_string(out.size()) + " labels for " + std::to_string(rows) +
                                     " rows");
        for (std::size_t i = 0; i < out.size(); ++i)
            if (!(out[i] >= 0 && out[i] <= 65535) || out[i] != std::floor(out[i]))
                throw std::runtime_error(path + ": label of row " + std::to_string(i) + " (from 0) is " +
                                         std::to_string(out[i]) +
                                         ", out of range: labels are classes, whole numbers from 0 to 65535");
        return out;
    }

    Part parts_[ELBO_SPLITS];
    Shape dims_; ///< of a row
    std::string names_ = "", files_;

private:
    void find_range(const Part& p, double& low, double& high) const {
        std::visit(
            [&](const auto& x) {
                for (std::size_t i = 0; i < x.size(); ++i) {
                    const double v = double(x[i]);
                    if (!std::isfinite(v))
                        throw std::runtime_error(p.path + ": row " + std::to_string(std::int64_t(i) / width()) +
                                                 " (from 0), value " + std::to_string(std::int64_t(i) % width()) +
                                                 " is " + (std::isnan(v) ? "nan" : "infinite") +
                                                 "; clean the data first");
                    low = std::min(low, v), high = std::max(high, v);
                }
            },
            p.x);
    }
    template <class To>
    void copy(std::uint32_t field, int split, const std::int64_t* rows, std::int64_t n, To* out) const {
        if (split != ELBO_TRAIN && split != ELBO_TEST)
            throw std::out_of_range("there is no split " + std::to_string(split));
        const Part& p = parts_[split];
        const auto d = std::size_t(width());
        for (std::int64_t i = 0; i < n; ++i) {
            if (rows[i] < 0 || rows[i] >= p.count)
                throw std::out_of_range("there is no row " + std::to_string(rows[i]));
            const auto at = std::size_t(rows[i]);
            if (field == 1) *out++ = To(p.labels.at(at));
            else
                std::visit(
                    [&](const auto& x) {
                        out =
                            std::transform(x.begin() + std::ptrdiff_t(at * d), x.begin() + std::ptrdiff_t((at + 1) * d),
                                           out, [](auto v) { return To(v); });
                    },
                    p.x);
        }
    }

    std::vector<elbo_field> fields_;
};

} // namespace elbo
