// Data sets whose rows are texts cut into tokens. x are the numbers of the tokens, then 0, the end, to the last place;
// `lengths` are the places that count; `labels` are there where lines have them. The vocabulary is that of the training
// rows, so these sets hold their test rows out themselves.
#pragma once

#include <elbo/plugin.hpp>

#include <cmath>
#include <functional>
#include <map>

#include "draws.hpp"
#include "texts.hpp"
#include "vocabulary.hpp"

namespace elbo {

struct TokenRows : DataSet {
    void read(std::uint32_t field, int split, const std::int64_t* rows, std::int64_t n, float* out) const override {
        for (std::int64_t i = 0; i < n; ++i) {
            const Row& row = known(split, rows[i]);
            if (field == 1) *out++ = float(std::min<std::int64_t>(row.size + 1, places_));
            else if (field == 2) *out++ = float(row.label);
            else out = write(split, row, out);
        }
    }
    /// What a person ought to know of how it was read, a line each.
    std::optional<Fact> fact(std::string_view key) const override {
        if (key != "notes") return {};
        return notes_;
    }

protected:
    using Take = std::function<void(std::string_view)>;
    /// Calls take() with the pieces of a text, which together are the text.
    virtual void cut(std::string_view text, const Take& take) const = 0;
    /// "characters", "words": what a piece is called.
    virtual std::string pieces_name() const = 0;

    struct Plan {
        std::int64_t vocabulary, places; ///< places 0: as many as the longest row needs, up to kSensible
        bool pairs, cut_long;
        double test;
        std::int64_t seed;
    };
    static constexpr std::int64_t kSensible = 512;

    void begin(const Plan& plan) {
        plan_ = plan;
        for (Part& p : parts_) p = {};
        notes_.clear(), label_names_.clear(), names_.clear(), files_.clear();
        unknown_[0] = unknown_[1] = all_[0] = all_[1] = 0;
    }
    void note(const std::string& line) { (notes_ += notes_.empty() ? "" : "\n") += line; }

    /// Lines of files as rows. `labels`: of each line of a split, where they have some.
    elbo_rows rows_of_lines(texts::Texts lines[ELBO_SPLITS], const std::vector<std::string> labels[ELBO_SPLITS]) {
        std::vector<std::size_t> which[ELBO_SPLITS];
        for (int s : {ELBO_TRAIN, ELBO_TEST})
            for (std::size_t i = 0; i < lines[s].size(); ++i) which[s].push_back(i);
        const bool own = lines[ELBO_TEST].size() > 0;
        if (!own) hold_out(which[ELBO_TRAIN], which[ELBO_TEST], lines[ELBO_TRAIN]);
        const auto source = [&](int s) -> const texts::Texts& { return lines[own ? s : ELBO_TRAIN]; };
        learn([&](const Take& take) {
            for (std::size_t i : which[ELBO_TRAIN]) cut(lines[ELBO_TRAIN][i], take);
        });
        const auto numbers = number_labels(labels);
        for (int s : {ELBO_TRAIN, ELBO_TEST})
            for (std::size_t i : which[s]) {
                const std::int64_t before = std::int64_t(parts_[s].ids.size());
                encode(s, source(s)[i]);
                const std::string* label =
                    labels[own ? s : ELBO_TRAIN].empty() ? nullptr : &labels[own ? s : ELBO_TRAIN][i];
                parts_[s].rows.push_back(
                    {before, std::int64_t(parts_[s].ids.size()) - before, label ? numbers.at(*label) : 0});
            }
        fit(which, source);
        const std::int64_t empty = lines[0].empty() + lines[1].empty();
        if (empty > 0) note(std::to_string(empty) + (empty == 1 ? " empty line is" : " empty lines are") + " left out");
        return found(lines, !numbers.empty());
    }

    /// One text as windows of equal length; its last part is for testing.
    elbo_rows rows_of_windows(texts::Texts lines[ELBO_SPLITS], std::int64_t stride) {
        std::string text[ELBO_SPLITS];
        for (int s : {ELBO_TRAIN, ELBO_TEST})
            for (std::size_t i = 0; i < lines[s].size(); ++i) (text[s] += lines[s][i]) += '\n';
        if (lines[ELBO_TEST].size() == 0) {
            const std::size_t at = cut_at(text[ELBO_TRAIN], 1 - plan_.test);
            text[ELBO_TEST] = text[ELBO_TRAIN].substr(at);
            text[ELBO_TRAIN].resize(at);
        }
        learn([&](const Take& take) { cut(text[ELBO_TRAIN], take); });
        places_ = plan_.places;
        for (int s : {ELBO_TRAIN, ELBO_TEST}) {
            encode(s, text[s]);
            const std::int64_t n = std::int64_t(parts_[s].ids.size());
            for (std::int64_t at = 0; at + places_ <= n; at += stride) parts_[s].rows.push_back({at, places_, 0});
            if (parts_[s].rows.empty() && n > 0)
                throw std::runtime_error(
                    lines[lines[s].size() > 0 ? s : ELBO_TRAIN].files()[0] + ": the " +
                    (s == ELBO_TRAIN ? "training" : "test") + " part has " + std::to_string(n) +
                    " tokens, and a window " + std::to_string(places_) +
                    "; give shorter windows (--data.length) or another share to test (--data.test)");
        }
        return found(lines, false);
    }

private:
    struct Row {
        std::int64_t begin, size; ///< of the split's ids
        std::uint32_t label;
    };
    struct Part {
        tokens::Ids ids;
        std::vector<Row> rows;
    };

    const Row& known(int split, std::int64_t row) const {
        if (split != ELBO_TRAIN && split != ELBO_TEST)
            throw std::out_of_range("there is no split " + std::to_string(split));
        if (row < 0 || row >= std::int64_t(parts_[split].rows.size()))
            throw std::out_of_range("there is no row " + std::to_string(row));
        return parts_[split].rows[std::size_t(row)];
    }
    float* write(int split, const Row& row, float* out) const {
        const std::int64_t n = std::min(row.size, places_);
        std::copy_n(parts_[split].ids.begin() + row.begin, n, out);
        std::fill(out + n, out + places_, float(tokens::kEnd));
        return out + places_;
    }

    /// A fixed choice: the same lines, seed and share give the same rows.
    void hold_out(std::vector<std::size_t>& train, std::vector<std::size_t>& test, const texts::Texts& lines) const {
        const std::size_t n = train.size(), n_test = std::size_t(std::llround(double(n) * plan_.test));
        if (n_test >= n) throw std::runtime_error(lines.files()[0] + ": --data.test leaves no training rows");
        std::uint64_t state = std::uint64_t(plan_.seed);
        for (std::size_t i = 0; i < n_test; ++i) std::swap(train[i], train[i + splitmix64(state) % (n - i)]);
        test.assign(train.begin(), train.begin() + std::ptrdiff_t(n_test));
        train.erase(train.begin(), train.begin() + std::ptrdiff_t(n_test));
        std::sort(test.begin(), test.end());
        std::sort(train.begin(), train.end());
    }
    /// Where a share of the text ends: at the end of a line, or of a character where there is none.
    static std::size_t cut_at(const std::string& text, double share) {
        std::size_t at = std::size_t(double(text.size()) * share);
        if (at >= text.size()) return text.size();
        if (const auto line = text.find('\n', at > 0 ? at - 1 : 0); line != text.npos && line + 1 < text.size())
            return line + 1;
        while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
        return at;
    }

    void learn(const std::function<void(const Take&)>& each) {
        tokens::Counts counts;
        each([&](std::string_view piece) { ++counts[piece]; });
        if (plan_.pairs) vocabulary_.learn_pairs(counts, plan_.vocabulary);
        else vocabulary_.learn(counts, plan_.vocabulary);
        names_ = vocabulary_.text();
    }
    void encode(int split, std::string_view text) {
        tokens::Ids& ids = parts_[split].ids;
        const std::size_t before = ids.size();
        cut(text, [&](std::string_view piece) { unknown_[split] += vocabulary_.encode(piece, ids); });
        all_[split] += std::int64_t(ids.size() - before);
    }

    /// Numbers by size where all are whole numbers, else in the order of their bytes.
    std::map<std::string, std::uint32_t> number_labels(const std::vector<std::string> labels[ELBO_SPLITS]) {
        constexpr std::size_t kMostLabels = 10000;
        std::map<std::string, std::uint32_t> out;
        for (int s : {ELBO_TRAIN, ELBO_TEST})
            for (const std::string& l : labels[s]) out[l];
        if (out.size() > kMostLabels)
            throw std::runtime_error("there are " + std::to_string(out.size()) +
                                     " different labels; is it the label that stands before the tab?");
        std::vector<std::string> order;
        bool whole = true;
        for (const auto& [label, number] : out) {
            std::size_t ignored = 0;
            whole &= cells::read_index(label, ignored);
            order.push_back(label);
        }
        if (whole)
            std::stable_sort(order.begin(), order.end(), [](const std::string& a, const std::string& b) {
                std::size_t m = 0, n = 0;
                cells::read_index(a, m), cells::read_index(b, n);
                return m < n;
            });
        for (std::size_t i = 0; i < order.size(); ++i) {
            out[order[i]] = std::uint32_t(i);
            std::string plain = order[i];
            std::replace(plain.begin(), plain.end(), ',', '_');
            (label_names_ += i ? "," : "") += plain;
        }
        return out;
    }

    /// How many places rows have, and what becomes of those that need more.
    template <class Source>
    void fit(const std::vector<std::size_t> which[ELBO_SPLITS], Source source) {
        std::int64_t longest = 0;
        for (const Part& p : parts_)
            for (const Row& r : p.rows) longest = std::max(longest, r.size + 1);
        places_ = plan_.places > 0 ? plan_.places : std::min(longest, kSensible);
        std::int64_t cut = 0;
        for (int s : {ELBO_TRAIN, ELBO_TEST})
            for (std::size_t i = 0; i < parts_[s].rows.size(); ++i) {
                const std::int64_t needed = parts_[s].rows[i].size + 1;
                if (needed <= places_) continue;
                if (!plan_.cut_long)
                    source(s).fail(which[s][i], std::to_string(needed - 1) + " tokens and the end need " +
                                                    std::to_string(needed) + " places, and rows have " +
                                                    std::to_string(places_) + "; the longest needs " +
                                                    std::to_string(longest) + ": give --data.length " +
                                                    std::to_string(longest) + ", or --data.long cut");
                ++cut;
            }
        const std::int64_t all = std::int64_t(parts_[0].rows.size() + parts_[1].rows.size());
        if (cut > 0)
            note(std::to_string(cut) + " of " + std::to_string(all) + " rows need more than " +
                 std::to_string(places_) + " places and are cut (data.long cut)");
    }

    elbo_rows found(texts::Texts lines[ELBO_SPLITS], bool labelled) {
        note_unknown();
        vocabulary_.forget_words();
        for (int s : {ELBO_TRAIN, ELBO_TEST})
            for (const std::string& file : lines[s].files()) (files_ += files_.empty() ? "" : "\n") += file;
        fields_ = {describe("x", {places_}, ELBO_TOKENS, 0, double(vocabulary_.size() - 1), names_.c_str()),
                   describe("lengths", {1}, ELBO_COUNTS, 0, double(places_))};
        if (labelled) {
            const auto classes = std::count(label_names_.begin(), label_names_.end(), ',');
            fields_.push_back(describe("labels", {1}, ELBO_CLASSES, 0, double(classes), label_names_.c_str()));
        }
        return rows_of(fields_, std::int64_t(parts_[ELBO_TRAIN].rows.size()),
                       std::int64_t(parts_[ELBO_TEST].rows.size()), files_.c_str());
    }
    void note_unknown() {
        if (unknown_[0] + unknown_[1] == 0) return;
        const auto share = [&](int s) {
            char text[96];
            std::snprintf(text, sizeof text, "%lld of %lld (%.3g %%)", static_cast<long long>(unknown_[s]),
                          static_cast<long long>(all_[s]),
                          100 * double(unknown_[s]) / double(std::max<std::int64_t>(all_[s], 1)));
            return std::string(text);
        };
        note(pieces_name() + " that are not in the vocabulary of " + std::to_string(vocabulary_.size()) +
             " are unknown: " + share(ELBO_TRAIN) + " in training rows, " + share(ELBO_TEST) + " in test rows");
    }

    Plan plan_{};
    tokens::Vocabulary vocabulary_;
    Part parts_[ELBO_SPLITS];
    std::int64_t places_ = 0, unknown_[ELBO_SPLITS] = {}, all_[ELBO_SPLITS] = {};
    std::string notes_, names_, label_names_, files_;
    std::vector<elbo_field> fields_;
};

} // namespace elbo
