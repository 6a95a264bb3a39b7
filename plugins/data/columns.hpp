// Columns of a table while it is read, and what they become: numbers, class numbers or one column per class.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace elbo::cells {

inline constexpr std::size_t kMostClasses = 10000;
inline constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

struct Column {
    std::string name;     ///< as messages say it
    std::size_t at = 0;   ///< in the file
    bool classes = false; ///< its cells are words; a value is the number of one
    bool counts = false;
    std::map<std::string, double> words = {}; ///< each with its number, by first appearance

    /// The number of a word; -1 when there are too many.
    double number(std::string_view word) {
        const auto [it, fresh] = words.try_emplace(std::string(word), double(words.size()));
        if (fresh && words.size() > kMostClasses) return -1;
        return it->second;
    }
    /// Numbers in the order of the alphabet, whatever row came first; gives new for old.
    std::vector<double> sort_words() {
        std::vector<double> now(words.size());
        double next = 0;
        for (auto& [word, number] : words) now[std::size_t(number)] = next, number = next++;
        return now;
    }
};

/// The numbers of a table, row by row, one per column.
class Table {
public:
    std::vector<Column> columns;
    std::vector<double> values;

    std::size_t rows() const { return columns.empty() ? 0 : values.size() / columns.size(); }

    /// Words get their final numbers.
    void sort_words() {
        for (std::size_t k = 0; k < columns.size(); ++k) {
            if (!columns[k].classes) continue;
            const std::vector<double> now = columns[k].sort_words();
            each(k, [&](double& v) {
                if (!std::isnan(v)) v = now[std::size_t(v)];
            });
        }
    }

    /// 1 where a value is there and 0 where it is missing; with `spread`, of the columns that spread_classes makes.
    Table observed(bool spread) const {
        Table out;
        for (std::size_t i = 0; i < values.size(); ++i) {
            const Column& c = columns[i % columns.size()];
            const std::size_t wide = spread && c.classes ? c.words.size() : 1;
            out.values.insert(out.values.end(), wide, std::isnan(values[i]) ? 0 : 1);
            if (i < columns.size()) out.columns.resize(out.columns.size() + wide, c);
        }
        return out;
    }

    /// What is missing becomes the column's mean or median, or 0; of classes, the most frequent one.
    void fill(const std::string& how) {
        for (std::size_t k = 0; k < columns.size(); ++k) {
            std::vector<double> known;
            bool gaps = false;
            each(k, [&](double& v) { std::isnan(v) ? void(gaps = true) : known.push_back(v); });
            if (!gaps) continue;
            if (known.empty())
                throw std::runtime_error(columns[k].name + " has no value in any row; leave it out with --data.drop");
            const double value = columns[k].classes ? most_frequent(known) : number_for(known, how);
            each(k, [&](double& v) { v = std::isnan(v) ? value : v; });
        }
    }

    /// Each column of classes becomes one column of 0 and 1 per class.
    void spread_classes() {
        std::vector<Column> wide;
        for (const Column& c : columns) {
            if (!c.classes) wide.push_back(c);
            else
                for (const auto& [word, number] : c.words) wide.push_back({c.name + " = " + word, c.at});
        }
        std::vector<double> out;
        out.reserve(rows() * wide.size());
        for (std::size_t i = 0; i < values.size(); ++i) {
            const Column& c = columns[i % columns.size()];
            if (!c.classes) out.push_back(values[i]);
            else
                for (std::size_t word = 0; word < c.words.size(); ++word) out.push_back(values[i] == double(word));
        }
        columns = std::move(wide);
        values = std::move(out);
    }

    /// The distribution that suits each column, as the likelihood `mixed` writes it.
    std::string distributions() const {
        std::string out, last;
        std::size_t run = 0;
        for (std::size_t k = 0; k <= columns.size(); ++k) {
            const std::string now = k < columns.size() ? distribution(k) : "";
            if (now == last) {
                ++run;
                continue;
            }
            if (run > 0) out += (out.empty() ? "" : ",") + last + (run > 1 ? "*" + std::to_string(run) : "");
            last = now, run = 1;
        }
        return out;
    }

private:
    template <class F>
    void each(std::size_t k, F f) {
        for (std::size_t i = k; i < values.size(); i += columns.size()) f(values[i]);
    }
    static double most_frequent(const std::vector<double>& known) {
        std::map<double, std::size_t> seen;
        for (double v : known) ++seen[v];
        return std::max_element(seen.begin(), seen.end(), [](auto& a, auto& b) { return a.second < b.second; })->first;
    }
    static double number_for(std::vector<double>& known, const std::string& how) {
        if (how == "zero") return 0;
        if (how == "mean") {
            double mean = 0, n = 0;
            for (double v : known) mean += (v - mean) / ++n;
            return mean;
        }
        const auto middle = known.begin() + std::ptrdiff_t(known.size() / 2);
        std::nth_element(known.begin(), middle, known.end());
        return known.size() % 2 ? *middle : (*middle + *std::max_element(known.begin(), middle)) / 2;
    }
    std::string distribution(std::size_t k) const {
        if (columns[k].counts) return "poisson";
        bool yes_or_no = true;
        for (std::size_t i = k; i < values.size(); i += columns.size()) yes_or_no &= values[i] == 0 || values[i] == 1;
        if (yes_or_no) return "bernoulli";
        return columns[k].classes ? "categorical:" + std::to_string(columns[k].words.size()) : "gaussian";
    }
};

} // namespace elbo::cells
