// Data sets of rows with few values that are not 0: kept, and given out, as the numbers of these and the values
// themselves. Fields: x itself, for parts that read nothing else; labels where there are some; `ids` and `values`, [M]
// of the longest row, shorter ones end with value 0 at number 0; and `lengths`, how many of a row there are.
#pragma once

#include <elbo/plugin.hpp>

#include <cmath>

namespace elbo {

/// Lists of numbered values, one behind the other.
struct Lists {
    std::vector<std::size_t> begin{0};
    std::vector<std::uint32_t> ids;
    std::vector<float> values;

    std::int64_t count() const { return std::int64_t(begin.size()) - 1; }
    std::size_t length(std::int64_t row) const { return begin[std::size_t(row) + 1] - begin[std::size_t(row)]; }
    void add(std::uint32_t id, float value) { ids.push_back(id), values.push_back(value); }
    void end_row() { begin.push_back(ids.size()); }
    std::int64_t longest() const {
        std::size_t most = 0;
        for (std::int64_t i = 0; i < count(); ++i) most = std::max(most, length(i));
        return std::int64_t(most);
    }
};

struct SparseSet : DataSet {
    void read(std::uint32_t field, int split, const std::int64_t* rows, std::int64_t n, float* out) const override {
        if (split != ELBO_TRAIN && split != ELBO_TEST)
            throw std::out_of_range("there is no split " + std::to_string(split));
        const Split& from = splits_[split];
        for (std::int64_t i = 0; i < n; ++i)
            if (rows[i] < 0 || rows[i] >= from.rows.count())
                throw std::out_of_range("there is no row " + std::to_string(rows[i]));
        const Of what = of_.at(field);
        const std::int64_t width = fields_[field].dims[0];
        for (std::int64_t i = 0; i < n; ++i) give(from, what, rows[i], width, out + i * width);
    }
    std::optional<Fact> fact(std::string_view key) const override {
        if (key == "remark") return remark_;
        if (key == "value_names" && !value_names_.empty()) return value_names_;
        return {};
    }

protected:
    struct Split {
        Lists rows, held; ///< held: what was taken out of each row, to be found again; none, or as many
        std::vector<std::uint32_t> labels;
    };

    void clear() {
        for (Split& s : splits_) s = {};
        names_.clear(), value_names_.clear(), remark_.clear(), files_.clear();
    }
    void add_file(const std::string& path) { (files_ += files_.empty() ? "" : "\n") += path; }
    /// A clause of what `remark` says.
    void remark(const std::string& clause) { (remark_ += remark_.empty() ? "" : "; ") += clause; }

    /// What open() gives once the splits are there, of rows of `width` values.
    elbo_rows found(std::int64_t width) {
        double low = 0, high = 0;
        bool counts = true;
        std::int64_t longest = 1, held = 0;
        std::uint32_t classes = 0;
        for (const Split& s : splits_) {
            for (float v : s.rows.values) {
                low = std::min<double>(low, v), high = std::max<double>(high, v);
                counts = counts && v >= 0 && v == std::floor(v);
            }
            longest = std::max(longest, s.rows.longest()), held = std::max(held, s.held.longest());
            for (std::uint32_t l : s.labels) classes = std::max(classes, l);
        }
        const std::uint32_t values_are = counts ? ELBO_COUNTS : ELBO_CONTINUOUS;
        fields_.clear(), of_.clear();
        const auto add = [&](Of of, const char* name, std::int64_t n, std::uint32_t what, double from, double to,
                             const char* names = nullptr) {
            fields_.push_back(describe(name, {n}, what, from, to, names));
            of_.push_back(of);
        };
        add(Of::x, "x", width, values_are, low, high);
        if (!splits_[0].labels.empty()) add(Of::labels, "labels", 1, ELBO_CLASSES, 0, classes, names_.c_str());
        const auto last = double(width - 1);
        add(Of::ids, "ids", longest, ELBO_TOKENS, 0, last);
        add(Of::values, "values", longest, values_are, low, high);
        add(Of::lengths, "lengths", 1, ELBO_COUNTS, 0, double(longest));
        if (held > 0) {
            add(Of::held, "held", held, ELBO_TOKENS, 0, last);
            add(Of::held_lengths, "held_lengths", 1, ELBO_COUNTS, 0, double(held));
        }
        return rows_of(fields_, splits_[0].rows.count(), splits_[1].rows.count(), files_.c_str());
    }

    Split splits_[ELBO_SPLITS];
    std::string names_, value_names_; ///< of the labels; of the values of a row, one a line

private:
    enum class Of { x, labels, ids, values, lengths, held, held_lengths };

    static void give(const Split& from, Of what, std::int64_t row, std::int64_t width, float* out) {
        const bool held = what == Of::held || what == Of::held_lengths;
        const Lists& lists = held ? from.held : from.rows;
        const bool none = held && lists.count() == 0;
        const std::size_t begin = none ? 0 : lists.begin[std::size_t(row)], n = none ? 0 : lists.length(row);
        switch (what) {
            case Of::labels: *out = float(from.labels.at(std::size_t(row))); return;
            case Of::lengths:
            case Of::held_lengths: *out = float(n); return;
            case Of::x:
                std::fill_n(out, width, 0.f);
                for (std::size_t k = begin; k < begin + n; ++k) out[lists.ids[k]] = lists.values[k];
                return;
            default: break;
        }
        for (std::size_t k = 0; k < n; ++k)
            out[k] = what == Of::values ? lists.values[begin + k] : float(lists.ids[begin + k]);
        std::fill(out + n, out + width, 0.f);
    }

    std::vector<elbo_field> fields_;
    std::vector<Of> of_;
    std::string remark_, files_;
};

} // namespace elbo
