// Tables of numbers as text, one row a line, raw or gzip: sensor readings, features of events, anything a spreadsheet
// can save. A header line is noticed, one column may be the label. Every complaint names file, line and column.
#include <elbo/plugin.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>

#include "gz.hpp"

using namespace elbo;
using gz::Lines;
using gz::shown;

namespace {

enum class Reading { number, text, empty, missing, not_finite, too_large };

Reading read_number(std::string_view text, double& out) {
    if (text.empty()) return Reading::empty;
    std::string_view digits = text.size() > 1 && text[0] == '+' && text[1] != '-' ? text.substr(1) : text;
    auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
    if (long double wide = 0; problem == std::errc::result_out_of_range) { // 1e-400 is a number, and 0 here
        std::from_chars(digits.data(), digits.data() + digits.size(), wide);
        if (out = double(wide); std::fabs(out) <= 1) problem = {};
    }
    if (problem != std::errc::invalid_argument && end == digits.data() + digits.size()) {
        if (problem == std::errc::result_out_of_range) return Reading::too_large;
        return std::isfinite(out) ? Reading::number : Reading::not_finite;
    }
    std::string lower(text.substr(0, 8));
    for (char& c : lower) c = c >= 'A' && c <= 'Z' ? char(c + 32) : c;
    for (const char* mark : {"na", "n/a", "#n/a", "null", "none", "?", "-"})
        if (lower == mark) return Reading::missing;
    return Reading::text;
}

std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t(0));
    for (std::size_t i = 0; i < a.size(); ++i) {
        std::size_t diagonal = row[0]++;
        for (std::size_t j = 0; j < b.size(); ++j) {
            std::size_t changed = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            row[j + 1] = std::min({changed, row[j] + 1, diagonal + 1});
        }
    }
    return row.back();
}

} // namespace

/// One CSV file.
struct Csv : DataSet {
    std::string path, label, separator = ",";

    void parameters(auto& p) {
        p("path", path, "the file, as it is or .gz");
        p("label", label, "the column that is not data but a label: its name in the header or its number from 0");
        p("separator", separator, "the character between two fields, or tab");
    }

    void ready() override {
        if (separator != "tab" && separator.size() != 1)
            throw std::invalid_argument("separator is " + shown(separator) + "; it must be one character, or tab");
        mark_ = separator == "tab" ? '\t' : separator[0];
        if (std::string_view("0123456789+-.eE\"\r\n").find(mark_) != std::string_view::npos)
            throw std::invalid_argument("separator " + shown(separator) + " occurs in numbers; use another one");
    }

    elbo_rows open() override {
        if (path.empty()) throw std::runtime_error("no data given; pass --data.path with a CSV file");
        names_.clear();
        values_.clear();
        labels_.clear();
        Lines lines(path);
        try {
            load(lines);
        } catch (const std::bad_alloc&) {
            lines.fail_at(lines.number(), "the rows up to here fill the memory; use fewer rows");
        } catch (const std::runtime_error&) {
            lines.check_rest();
            throw;
        }
        return found();
    }

    void read(std::uint32_t field, int split, const std::int64_t* rows, std::int64_t n, float* out) const override {
        copy(field, split, rows, n, out);
    }
    // A time stamp in seconds has more digits than f32.
    void read_f64(std::uint32_t field, int split, const std::int64_t* rows, std::int64_t n,
                  double* out) const override {
        copy(field, split, rows, n, out);
    }

private:
    template <class To>
    void copy(std::uint32_t field, int split, const std::int64_t* rows, std::int64_t n, To* out) const {
        const std::vector<double>& from = field == 0 ? values_ : labels_;
        const std::size_t width = field == 0 ? width_ : 1;
        for (std::int64_t i = 0; i < n; ++i, out += width)
            std::copy_n(from.data() + known(split, rows[i]) * width, width, out);
    }

    using Fields = std::vector<std::string_view>;

    std::size_t known(int split, std::int64_t row) const {
        std::size_t here = split == ELBO_TRAIN ? count_ : 0;
        if (row < 0 || std::size_t(row) >= here)
            throw std::out_of_range("csv: row " + std::to_string(row) + " of split " + std::to_string(split) +
                                    ", which has " + std::to_string(here));
        return std::size_t(row);
    }

    bool blank(char c) const { return (c == ' ' || c == '\t') && c != mark_; }

    void split_line(const Lines& lines, std::string_view line, Fields& fields) const {
        fields.clear();
        for (std::size_t at = 0;;) {
            while (at < line.size() && blank(line[at])) ++at;
            bool quoted = at < line.size() && line[at] == '"';
            std::size_t close = quoted ? line.find('"', at + 1) : at;
            if (close == std::string_view::npos) lines.fail_at(lines.number(), "a quote is opened and not closed");
            std::size_t end = std::min(line.find(mark_, close), line.size());
            std::string_view field = line.substr(at, end - at);
            while (!field.empty() && blank(field.back())) field.remove_suffix(1);
            if (quoted && field.size() == close + 1 - at) field = field.substr(1, field.size() - 2);
            fields.push_back(field);
            if (end == line.size()) return;
            at = end + 1;
        }
    }

    /// Fields of the next line. Blank lines may end a file but not stand between rows, where they could be lost data.
    bool next(Lines& lines, std::string& line, Fields& fields) const {
        std::size_t gap = 0;
        while (lines.next(line)) {
            if (std::all_of(line.begin(), line.end(), [&](char c) { return blank(c); })) {
                if (!gap) gap = lines.number();
                continue;
            }
            if (gap) lines.fail_at(gap, "blank line; remove it");
            split_line(lines, line, fields);
            return true;
        }
        return false;
    }

    void load(Lines& lines) {
        std::string line;
        Fields fields;
        if (!next(lines, line, fields)) lines.fail("the file is empty");
        columns_ = fields.size();
        double ignored;
        bool header = std::any_of(fields.begin(), fields.end(),
                                  [&](std::string_view f) { return read_number(f, ignored) == Reading::text; });
        if (header) names_.assign(fields.begin(), fields.end());
        find_label(lines);
        if (header && !next(lines, line, fields)) lines.fail("there is a header line, but no row after it");
        do take_row(lines, fields);
        while (next(lines, line, fields));
    }

    void find_label(const Lines& lines) {
        labelled_ = !label.empty();
        width_ = columns_ - (labelled_ ? 1 : 0);
        label_column_ = columns_;
        if (!labelled_) return;
        auto found = std::find(names_.begin(), names_.end(), label);
        if (found != names_.end() && std::find(found + 1, names_.end(), label) != names_.end())
            lines.fail_at(1, "two columns are called " + shown(label) + "; give the label's number from 0");
        std::size_t index = 0;
        auto [end, problem] = std::from_chars(label.data(), label.data() + label.size(), index);
        bool number = problem == std::errc() && end == label.data() + label.size();
        if (found != names_.end()) label_column_ = std::size_t(found - names_.begin());
        else if (number && index < columns_) label_column_ = index;
        else no_such_label(lines);
        if (width_ > 0) return;
        lines.fail_at(1, "there is no column besides the label" + hint(names_.empty() ? "" : names_[0]));
    }

    [[noreturn]] void no_such_label(const Lines& lines) const {
        std::string last = std::to_string(columns_ - 1), why = "there is no column " + shown(label);
        if (names_.empty()) lines.fail(why + "; the file has no header, so give the label's number, 0 to " + last);
        std::string list;
        for (std::size_t i = 0; i < columns_ && i < 20; ++i) list += (i ? ", " : "") + shown(names_[i]);
        if (columns_ > 20) list += " and " + std::to_string(columns_ - 20) + " more";
        auto far = [&](const std::string& name) { return distance(std::string_view(name).substr(0, 64), label); };
        auto nearer = [&](const std::string& a, const std::string& b) { return far(a) < far(b); };
        auto nearest = std::min_element(names_.begin(), names_.end(), nearer);
        lines.fail_at(1, why + "; did you mean " + shown(*nearest) + "? The columns are " + list);
    }

    std::string column(std::size_t i) const {
        return names_.empty() ? "column " + std::to_string(i) + " (from 0)" : "column " + shown(names_[i]);
    }

    /// For files that seem to have one column only.
    std::string hint(std::string_view text) const {
        std::size_t at = columns_ == 1 ? text.find_first_of(",;\t|: ") : std::string_view::npos;
        if (at == std::string_view::npos) return {};
        return "; pass --data.separator " + (text[at] == '\t' ? "tab" : "'" + std::string(1, text[at]) + "'");
    }

    void take_row(const Lines& lines, const Fields& fields) {
        if (fields.size() != columns_)
            lines.fail_at(lines.number(), "expected " + std::to_string(columns_) + " fields as in line 1, found " +
                                              std::to_string(fields.size()));
        for (std::size_t i = 0; i < columns_; ++i) {
            double v = 0;
            Reading reading = read_number(fields[i], v);
            bool is_label = i == label_column_;
            if (reading == Reading::number && !is_label && std::abs(v) > std::numeric_limits<float>::max())
                reading = Reading::too_large;
            if (reading != Reading::number) refuse(lines, i, fields[i], reading);
            (is_label ? labels_ : values_).push_back(v);
        }
    }

    [[noreturn]] void refuse(const Lines& lines, std::size_t i, std::string_view field, Reading reading) const {
        std::string at = column(i) + ": ", text = shown(field);
        const char* fill = "; drop the row or fill the value in";
        switch (reading) {
            case Reading::empty: lines.fail_at(lines.number(), at + "the field is empty" + fill);
            case Reading::missing: lines.fail_at(lines.number(), at + text + " stands for a missing value" + fill);
            case Reading::not_finite: lines.fail_at(lines.number(), at + text + " is not a finite number" + fill);
            case Reading::too_large: lines.fail_at(lines.number(), at + text + " does not fit a 32 bit float");
            default: break;
        }
        std::string advice = hint(field);
        if (advice.empty()) advice = "; remove the column or write it as numbers";
        lines.fail_at(lines.number(), at + text + " is not a number" + advice);
    }

    elbo_rows found() {
        count_ = values_.size() / width_;
        label_name_ = !labelled_ ? "" : names_.empty() ? "label" : names_[label_column_];
        std::replace(label_name_.begin(), label_name_.end(), ',', '_');
        auto range = [](const std::vector<double>& v) { return std::minmax_element(v.begin(), v.end()); };
        auto [low, high] = range(values_);
        fields_ = {describe("x", {std::int64_t(width_)}, ELBO_CONTINUOUS, *low, *high)};
        if (labelled_) {
            auto [first, last] = range(labels_);
            constexpr double kMostClasses = 10000;
            const bool classes =
                *first >= 0 && *last < kMostClasses &&
                std::all_of(labels_.begin(), labels_.end(), [](double v) { return v == std::floor(v); });
            fields_.push_back(describe("labels", {1}, classes ? ELBO_CLASSES : ELBO_CONTINUOUS, classes ? 0 : *first,
                                       *last, label_name_.c_str()));
        }
        return rows_of(fields_, std::int64_t(count_), 0, path.c_str());
    }

    char mark_ = ',';
    bool labelled_ = false;
    std::size_t columns_ = 0, width_ = 0, label_column_ = 0, count_ = 0;
    std::vector<std::string> names_;
    std::vector<double> values_, labels_;
    std::string label_name_;
    std::vector<elbo_field> fields_;
};

ELBO_PLUGIN("csv", "1.0.0", "data/csv") { plugin.add<Csv>("csv", "tables of numbers in a CSV file, raw or gzip"); }
