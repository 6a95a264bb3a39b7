// Sparse rows as text, "label index:value index:value ... # comment", raw or gzip: features, or how often words occur.
#include <bit>
#include <charconv>
#include <map>

#include "gz.hpp"
#include "sparse.hpp"

using namespace elbo;

struct Svmlight : SparseSet {
    std::string path, test_path, vocabulary, one_based = "auto", empty = "keep";
    std::int64_t columns = 0;
    void parameters(auto& p) {
        p("path", path, "the file, as it is or .gz");
        p("test_path", test_path, "the test rows");
        p("columns", columns, "values of a row; 0: by the largest index", within(0, 1 << 24));
        p("vocabulary", vocabulary, "a file with a line for each value of a row: its name, up to a tab");
        p("empty", empty, "rows without a value: kept, or left out; either is told", one_of("keep|drop"));
        p("one_based", one_based, "whether the first index is 1; auto: unless 0 occurs", one_of("auto|yes|no"));
    }
    elbo_rows open() override {
        if (path.empty()) throw std::runtime_error("no data given; pass --data.path with an svmlight file");
        clear();
        File files[ELBO_SPLITS];
        parse(path, files[ELBO_TRAIN]);
        if (!test_path.empty()) parse(test_path, files[ELBO_TEST]);
        const bool zero = files[0].least == 0 || files[1].least == 0;
        if (one_based == "yes" && zero)
            throw std::runtime_error(path + ": index 0 occurs, and --data.one-based is yes");
        const std::int64_t first = one_based == "no" || (one_based == "auto" && zero) ? 0 : 1;
        const std::int64_t needed = std::max(files[0].largest, files[1].largest) + 1 - first;
        if (columns > 0 && needed > columns)
            throw std::runtime_error(path + ": index " + std::to_string(needed - 1 + first) +
                                     " is beyond --data.columns " + std::to_string(columns));
        const std::int64_t width = columns > 0 ? columns : std::max<std::int64_t>(needed, 1);
        std::map<double, std::string> classes;
        for (const File& f : files)
            for (double l : f.labels) classes[l];
        for (auto& [label, name] : classes) {
            name = std::to_string(label);
            name.erase(name.find_last_not_of('0') + 1);
            if (name.back() == '.') name.pop_back();
            names_ += (names_.empty() ? "" : ",") + name;
        }
        for (int split : {ELBO_TRAIN, ELBO_TEST}) fill(split, files[split], classes, first);
        if (!vocabulary.empty()) name_values(width);
        return found(width);
    }

private:
    struct File {
        std::string path;
        std::vector<double> labels;
        std::vector<std::size_t> lines; ///< of the file, from 1
        std::vector<std::vector<std::pair<std::int64_t, float>>> rows;
        std::int64_t largest = -1, least = 1;
        std::size_t values = 0;
    };
    static constexpr std::size_t kManyValues = std::size_t(1) << 20;

    template <class T>
    static bool number(std::string_view text, T& out) {
        if (text.starts_with('+')) text.remove_prefix(1);
        const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), out);
        return problem == std::errc() && end == text.data() + text.size() && !text.empty();
    }

    static void parse(const std::string& from, File& to) {
        gz::Lines lines(from);
        to.path = from;
        for (std::string line; lines.next(line);) {
            std::string_view rest = std::string_view(line).substr(0, line.find('#'));
            auto word = [&] {
                const auto begin = std::min(rest.find_first_not_of(" \t"), rest.size());
                const auto end = std::min(rest.find_first_of(" \t", begin), rest.size());
                const auto out = rest.substr(begin, end - begin);
                rest.remove_prefix(end);
                return out;
            };
            const auto label = word();
            if (label.empty()) continue;
            double value = 0;
            if (!number(label, value) || !std::isfinite(value))
                lines.fail_at(lines.number(), "the label " + gz::shown(label) + " is no number");
            to.labels.push_back(value);
            to.lines.push_back(lines.number());
            auto& row = to.rows.emplace_back();
            for (auto w = word(); !w.empty(); w = word()) {
                const auto colon = w.find(':');
                if (w.substr(0, colon) == "qid") continue;
                std::int64_t index = 0;
                float v = 0;
                if (colon == w.npos || !number(w.substr(0, colon), index) || !number(w.substr(colon + 1), v) ||
                    index < 0 || index > 1 << 24 || !std::isfinite(v))
                    lines.fail_at(lines.number(), gz::shown(w) + " is no index:value");
                if (!row.empty() && index <= row.back().first)
                    lines.fail_at(lines.number(), "index " + std::to_string(index) + " comes after " +
                                                      std::to_string(row.back().first) + "; indices must rise");
                row.emplace_back(index, v);
                if (++to.values >= kManyValues && std::has_single_bit(to.values))
                    lines.check_fits(to.values * sizeof row[0]);
                to.largest = std::max(to.largest, index), to.least = std::min(to.least, index);
            }
        }
        lines.check_rest();
        if (to.rows.empty()) lines.fail("holds no rows");
    }

    void fill(int split, const File& from, const std::map<double, std::string>& classes, std::int64_t first) {
        if (from.rows.empty()) return;
        Split& to = splits_[split];
        std::size_t without = 0, first_without = 0;
        for (std::size_t i = 0; i < from.rows.size(); ++i) {
            const auto& row = from.rows[i];
            // A 0 that is written out is none of the values that are not 0.
            const bool holds = std::any_of(row.begin(), row.end(), [](const auto& v) { return v.second != 0; });
            if (!holds && without++ == 0) first_without = from.lines[i];
            if (!holds && empty == "drop") continue;
            for (const auto& [index, v] : row)
                if (v != 0) to.rows.add(std::uint32_t(index - first), v);
            to.rows.end_row();
            to.labels.push_back(std::uint32_t(std::distance(classes.begin(), classes.find(from.labels[i]))));
        }
        if (without > 0)
            remark(std::to_string(without) + " rows of " + from.path + " have no value (the first in line " +
                   std::to_string(first_without) + "), and are " + (empty == "drop" ? "left out" : "kept"));
        if (to.rows.count() == 0)
            throw std::runtime_error(from.path + ": no row has a value, and data.empty drops them");
        add_file(from.path);
    }

    void name_values(std::int64_t width) {
        gz::Lines lines(vocabulary);
        std::int64_t n = 0;
        for (std::string line; lines.next(line); ++n) {
            const std::string name = line.substr(0, line.find('\t'));
            if (name.empty()) lines.fail_at(lines.number(), "names nothing");
            value_names_ += name + "\n";
        }
        if (n != width)
            lines.fail("names " + std::to_string(n) + " values, and a row has " + std::to_string(width) +
                       "; data.columns says how many there are, data.one_based where they begin");
        add_file(vocabulary);
    }
};
ELBO_PLUGIN("svmlight", "1.1.0", "data/svmlight") {
    plugin.add<Svmlight>("svmlight", "sparse rows in svmlight's text form");
}
