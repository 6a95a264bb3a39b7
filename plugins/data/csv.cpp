// Tables as text, one row a line, raw or gzip: sensor readings, features of events, anything a spreadsheet can save. A
// header line is noticed, one column may be the label. Words become classes and missing values are filled only where
// that is asked for. Every complaint names file, line and column.
#include <elbo/plugin.hpp>

#include <limits>
#include <set>

#include "cells.hpp"
#include "columns.hpp"

using namespace elbo;
using namespace elbo::cells;
using gz::Lines;
using gz::shown;

/// One CSV file.
struct Csv : DataSet {
    std::string path, label, separator = ",", header = "auto", only, drop, categories = "refuse", classes, counts;
    std::string missing = "refuse";

    void parameters(auto& p) {
        p("path", path, "the file, as it is or .gz");
        p("label", label, "the column that is not data but a label: its name in the header or its number from 0");
        p("separator", separator, "the character between two fields, or tab");
        p("header", header, "whether the first line names the columns; auto: where a field of it is a word",
          one_of("auto|yes|no"));
        p("columns", only, "the columns that are data, by name or number, separated by commas; none: all");
        p("drop", drop, "columns that are left out");
        p("categories", categories,
          "columns of words: refused; numbers: each word's number in the order of the alphabet; one_hot: a column of 0 "
          "and 1 for each word",
          one_of("refuse|numbers|one_hot"));
        p("classes", classes, "columns that hold classes though they are written as numbers");
        p("counts", counts, "columns that count something: the likelihood mixed takes them so");
        p("missing", missing,
          "fields that are empty, NA, NaN or ?: refused; drop: their rows are left out; else what numbers are filled "
          "with, over all rows (of classes: the most frequent one); mark: with the mean, and the field `observed` is 0 "
          "there and 1 elsewhere",
          one_of("refuse|drop|mean|median|zero|mark"));
    }

    void ready() override {
        if (separator != "tab" && separator.size() != 1)
            throw std::invalid_argument("separator is " + shown(separator) + "; it must be one character, or tab");
        const char mark = separator == "tab" ? '\t' : separator[0];
        if (std::string_view("0123456789+-.eE\"\r\n").find(mark) != std::string_view::npos)
            throw std::invalid_argument("separator " + shown(separator) + " occurs in numbers; use another one");
        if (!classes.empty() && categories == "refuse")
            throw std::invalid_argument(
                "classes names columns of classes; say what becomes of them: categories "
                "numbers, or one_hot");
        splitter_ = Splitter(mark);
    }

    elbo_rows open() override {
        if (path.empty()) throw std::runtime_error("no data given; pass --data.path with a CSV file");
        words_in_.clear();
        while (!load()) {} // again where a column turned out to hold words
        table_.sort_words();
        labels_.sort_words();
        if (missing == "mark") observed_ = table_.observed(categories == "one_hot");
        try {
            table_.fill(missing == "mark" ? "mean" : missing);
        } catch (const std::runtime_error& e) {
            throw std::runtime_error(path + ": " + e.what());
        }
        if (categories == "one_hot") table_.spread_classes();
        return found();
    }

    std::string columns() const override { return table_.distributions(); }

    void read(std::uint32_t field, int split, const std::int64_t* rows, std::int64_t n, float* out) const override {
        copy(field, split, rows, n, out);
    }
    // A time stamp in seconds has more digits than f32.
    void read_f64(std::uint32_t field, int split, const std::int64_t* rows, std::int64_t n,
                  double* out) const override {
        copy(field, split, rows, n, out);
    }

private:
    static constexpr std::size_t kManyValues = std::size_t(1) << 20;

    template <class To>
    void copy(std::uint32_t field, int split, const std::int64_t* rows, std::int64_t n, To* out) const {
        const Table& from = field == 0                                         ? table_
                            : missing == "mark" && field + 1 == fields_.size() ? observed_
                                                                               : labels_;
        const std::size_t width = from.columns.size();
        for (std::int64_t i = 0; i < n; ++i, out += width)
            std::copy_n(from.values.data() + known(split, rows[i]) * width, width, out);
    }

    std::size_t known(int split, std::int64_t row) const {
        std::size_t here = split == ELBO_TRAIN ? table_.rows() : 0;
        if (row < 0 || std::size_t(row) >= here)
            throw std::out_of_range("csv: row " + std::to_string(row) + " of split " + std::to_string(split) +
                                    ", which has " + std::to_string(here));
        return std::size_t(row);
    }

    /// Reads the file; false when a column was found to hold words, which words_in_ then says.
    bool load() {
        names_.clear();
        table_ = labels_ = {};
        Lines lines(path);
        try {
            return load(lines);
        } catch (const std::bad_alloc&) {
            lines.fail_at(lines.number(), "the rows up to here fill the memory; use fewer rows");
        } catch (const std::runtime_error&) {
            lines.check_rest();
            throw;
        }
    }

    bool load(Lines& lines) {
        std::string line;
        Fields fields;
        if (!splitter_.next(lines, line, fields)) lines.fail("the file is empty");
        width_ = fields.size();
        double ignored;
        const bool named =
            header == "yes" || (header == "auto" && std::any_of(fields.begin(), fields.end(), [&](std::string_view f) {
                                    return read_number(f, ignored) == Reading::text;
                                }));
        if (named) names_.assign(fields.begin(), fields.end());
        choose_columns(lines);
        if (named && !splitter_.next(lines, line, fields)) lines.fail("there is a header line, but no row after it");
        do
            if (!take_row(lines, fields)) return false;
        while (splitter_.next(lines, line, fields));
        if (table_.rows() == 0) lines.fail("every row has a missing value, and data.missing drops them");
        return true;
    }

    void choose_columns(const Lines& lines) {
        const auto named = [&](const std::string& list) {
            std::vector<bool> is(width_, false);
            for (const std::string& name : Splitter::list(list)) is[index_of(lines, name)] = true;
            return is;
        };
        const std::vector<bool> kept = named(only), dropped = named(drop), of_classes = named(classes),
                                counted = named(counts);
        const bool some = std::find(kept.begin(), kept.end(), true) != kept.end();
        const std::size_t label_at = label.empty() ? width_ : index_of(lines, label);
        for (std::size_t i = 0; i < width_; ++i) {
            Column c{column(i), i, of_classes[i] || words_in_.contains(i), counted[i]};
            if (i == label_at) labels_.columns.push_back(std::move(c));
            else if ((!some || kept[i]) && !dropped[i]) table_.columns.push_back(std::move(c));
        }
        if (table_.columns.empty())
            lines.fail_at(1, (label.empty() ? "no column is left" : "there is no column besides the label") +
                                 hint(names_.empty() ? "" : names_[0]));
    }

    std::size_t index_of(const Lines& lines, const std::string& name) const {
        auto found = std::find(names_.begin(), names_.end(), name);
        if (found != names_.end() && std::find(found + 1, names_.end(), name) != names_.end())
            lines.fail_at(1, "two columns are called " + shown(name) + "; give the column's number from 0");
        if (found != names_.end()) return std::size_t(found - names_.begin());
        if (std::size_t index = 0; read_index(name, index) && index < width_) return index;
        no_such_column(lines, name);
    }

    [[noreturn]] void no_such_column(const Lines& lines, const std::string& name) const {
        std::string last = std::to_string(width_ - 1), why = "there is no column " + shown(name);
        if (names_.empty()) lines.fail(why + "; the file has no header, so give the column's number, 0 to " + last);
        std::string list;
        for (std::size_t i = 0; i < width_ && i < 20; ++i) list += (i ? ", " : "") + shown(names_[i]);
        if (width_ > 20) list += " and " + std::to_string(width_ - 20) + " more";
        auto far = [&](const std::string& other) { return distance(std::string_view(other).substr(0, 64), name); };
        auto nearer = [&](const std::string& a, const std::string& b) { return far(a) < far(b); };
        auto nearest = std::min_element(names_.begin(), names_.end(), nearer);
        lines.fail_at(1, why + "; did you mean " + shown(*nearest) + "? The columns are " + list);
    }

    std::string column(std::size_t i) const {
        return names_.empty() ? "column " + std::to_string(i) + " (from 0)" : "column " + shown(names_[i]);
    }

    /// For files that seem to have one column only.
    std::string hint(std::string_view text) const {
        std::size_t at = width_ == 1 ? text.find_first_of(",;\t|: ") : std::string_view::npos;
        if (at == std::string_view::npos) return {};
        return "; pass --data.separator " + (text[at] == '\t' ? "tab" : "'" + std::string(1, text[at]) + "'");
    }

    bool take_row(const Lines& lines, const Fields& fields) {
        if (fields.size() != width_)
            lines.fail_at(lines.number(), "expected " + std::to_string(width_) + " fields as in line 1, found " +
                                              std::to_string(fields.size()));
        if (missing == "drop" && has_gap(fields)) return true;
        for (Table* t : {&table_, &labels_})
            for (Column& c : t->columns) {
                const bool is_label = t == &labels_;
                double v = 0;
                const Reading reading = take_field(lines, fields[c.at], c, is_label, v);
                if (reading == Reading::text) return words_in_.insert(c.at), false;
                if (reading == Reading::missing && is_label)
                    lines.fail_at(lines.number(),
                                  c.name + ": the label is missing; data.missing drop leaves the row out");
                if (t->values.size() == t->values.capacity() && t->values.size() >= kManyValues)
                    lines.check_fits(t->values.size() * sizeof v);
                t->values.push_back(v);
            }
        return true;
    }

    static bool is_gap(Reading reading, double v) {
        return reading == Reading::empty || reading == Reading::missing ||
               (reading == Reading::not_finite && std::isnan(v));
    }
    bool has_gap(const Fields& fields) const {
        for (const Table* t : {&table_, &labels_})
            for (const Column& c : t->columns) {
                double v = 0;
                if (is_gap(read_number(fields[c.at], v), v)) return true;
            }
        return false;
    }

    /// number, or missing where that is allowed, or text for words in a column that was taken for numbers; refuses all
    /// else.
    Reading take_field(const Lines& lines, std::string_view field, Column& c, bool is_label, double& v) const {
        Reading reading = read_number(field, v);
        const bool none = is_gap(reading, v);
        if (none && missing != "refuse") return v = kMissing, Reading::missing;
        if (c.classes && !none) {
            if ((v = c.number(field)) >= 0) return Reading::number;
            lines.fail_at(lines.number(),
                          c.name + ": more than " + std::to_string(kMostClasses) +
                              " different words; these are no classes: leave the column out, --data.drop");
        }
        if (reading == Reading::text && (is_label || categories != "refuse")) return reading;
        if (reading == Reading::number && !is_label && std::abs(v) > std::numeric_limits<float>::max())
            reading = Reading::too_large;
        if (reading != Reading::number) refuse(lines, c, field, reading);
        return reading;
    }

    [[noreturn]] void refuse(const Lines& lines, const Column& c, std::string_view field, Reading reading) const {
        std::string at = c.name + ": ", text = shown(field);
        const char* fill = "; fill it in, or say how: --data.missing mean, median, zero, drop or mark";
        switch (reading) {
            case Reading::empty: lines.fail_at(lines.number(), at + "the field is empty" + fill);
            case Reading::missing: lines.fail_at(lines.number(), at + text + " stands for a missing value" + fill);
            case Reading::not_finite: lines.fail_at(lines.number(), at + text + " is not a finite number" + fill);
            case Reading::too_large: lines.fail_at(lines.number(), at + text + " does not fit a 32 bit float");
            default: break;
        }
        std::string advice = hint(field);
        if (advice.empty())
            advice = "; if it holds classes, pass --data.categories numbers or one_hot, else leave it out: --data.drop";
        lines.fail_at(lines.number(), at + text + " is not a number" + advice);
    }

    elbo_rows found() {
        auto range = [](const std::vector<double>& v) { return std::minmax_element(v.begin(), v.end()); };
        auto [low, high] = range(table_.values);
        fields_ = {describe("x", {std::int64_t(table_.columns.size())}, ELBO_CONTINUOUS, *low, *high)};
        if (!labels_.columns.empty()) {
            const std::vector<double>& all = labels_.values;
            auto [first, last] = range(all);
            const bool are_classes = *first >= 0 && *last < double(kMostClasses) &&
                                     std::all_of(all.begin(), all.end(), [](double v) { return v == std::floor(v); });
            name_labels();
            fields_.push_back(describe("labels", {1}, are_classes ? ELBO_CLASSES : ELBO_CONTINUOUS,
                                       are_classes ? 0 : *first, *last, label_names_.c_str()));
        }
        if (missing == "mark") fields_.push_back(describe("observed", {fields_[0].dims[0]}, ELBO_BINARY, 0, 1));
        return rows_of(fields_, std::int64_t(table_.rows()), 0, path.c_str());
    }

    /// The classes' words, or else the column's name.
    void name_labels() {
        const Column& c = labels_.columns[0];
        const auto plain = [](std::string name) {
            std::replace(name.begin(), name.end(), ',', '_');
            return name;
        };
        label_names_ = names_.empty() ? "label" : plain(names_[c.at]);
        if (!c.classes) return;
        label_names_.clear();
        for (const auto& [word, number] : c.words) label_names_ += (number > 0 ? "," : "") + plain(word);
    }

    Splitter splitter_;
    std::set<std::size_t> words_in_; ///< columns of the file that hold words
    std::size_t width_ = 0;          ///< columns of the file
    std::vector<std::string> names_; ///< of all of them
    Table table_, labels_, observed_;
    std::string label_names_;
    std::vector<elbo_field> fields_;
};

ELBO_PLUGIN("csv", "1.1.0", "data/csv") { plugin.add<Csv>("csv", "tables in a CSV file, raw or gzip"); }
