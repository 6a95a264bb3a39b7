// Ratings as text, a line "user,item,value" each, raw or gzip: rows are users, values are items. Users are split as
// Mult-VAE's are (Liang et al. 2018): those held out show a part of their items, "fold-in", as their row, and the rest
// is the field `held`, to be found again. Items are those that a training user rated.
#include <charconv>
#include <cstdio>
#include <map>
#include <numeric>
#include <random>
#include <unordered_map>

#include "cells.hpp"
#include "sparse.hpp"
#include "titles.hpp"

using namespace elbo;
using namespace elbo::cells;
using gz::Lines;
using gz::shown;

struct Ratings : SparseSet {
    std::string path, user, item, value, separator = ",", header = "auto", values = "ones", judge = "test";
    std::string titles, title = "title", title_item;
    double at_least = 0, fold_in = 0.8;
    std::int64_t held_users = 0, users_seed = 1, fewest = 5;
    void parameters(auto& p) {
        p("path", path, "the file, as it is or .gz");
        p("user", user, "the user's column, by name or number from 0; none: the first");
        p("item", item, "the item's column; none: the second");
        p("value", value, "the rating's column; none: the third, or all ratings are 1 where there are two");
        p("separator", separator, "the character between two fields, or tab");
        p("header", header, "whether the first line names the columns; auto: where its rating is a word",
          one_of("auto|yes|no"));
        p("at_least", at_least, "lower ratings are left out");
        p("values", values, "what a row holds: ones, or the ratings themselves", one_of("ones|ratings"));
        p("fewest", fewest, "users with fewer items are left out", within(2, 1 << 24));
        p("held_users", held_users, "users held out for validation, and as many for test; 0: a tenth of them each",
          within(0, 1 << 24));
        p("judge", judge, "which of the users held out are the test rows", one_of("test|validation"));
        p("fold_in", fold_in, "share of their items that users held out show", within(0.01, 0.99));
        p("users_seed", users_seed, "which users are held out, and which of their items");
        p("titles", titles, "a CSV file with a header that names the items");
        p("title", title, "its column of names");
        p("title_item", title_item, "its column of items; none: the first");
    }
    void ready() override {
        if (separator != "tab" && separator.size() != 1)
            throw std::invalid_argument("separator is " + shown(separator) + "; it must be one character, or tab");
        mark_ = separator == "tab" ? '\t' : separator[0];
    }

    elbo_rows open() override {
        if (path.empty()) throw std::runtime_error("no data given; pass --data.path with a file of ratings");
        clear();
        add_file(path);
        All all = load();
        const std::size_t few = leave_out_few(all);
        if (few > 0)
            remark(std::to_string(few) + " users with fewer than " + std::to_string(fewest) + " items left out");
        if (all.users.size() < 3)
            throw std::runtime_error(path + ": " + std::to_string(all.users.size()) + " users have " +
                                     std::to_string(fewest) + " items or more; three are the fewest that can be split");
        split(all);
        return found(std::int64_t(names_of_items_));
    }

private:
    struct User {
        std::vector<std::pair<std::uint32_t, float>> items; ///< in the order of the file
    };
    struct All {
        std::vector<User> users;
        std::vector<std::string> items;
    };
    struct Columns {
        std::size_t user = 0, item = 1, value = 2;
        bool valued = true;
    };

    // Numbers as they are written: 007 and 7 are two items.
    class Numbering {
    public:
        std::uint32_t of(std::string_view name) {
            const auto [it, fresh] = numbers_.try_emplace(std::string(name), std::uint32_t(names.size()));
            if (fresh) names.push_back(it->first);
            return it->second;
        }
        std::vector<std::string> names;

    private:
        std::unordered_map<std::string, std::uint32_t> numbers_;
    };

    All load() {
        Lines lines(path);
        try {
            return load(lines);
        } catch (const std::runtime_error&) {
            lines.check_rest();
            throw;
        }
    }

    All load(Lines& lines) {
        const Splitter splitter(mark_);
        std::string line;
        Fields fields;
        if (!splitter.next(lines, line, fields)) lines.fail("the file is empty");
        const std::size_t width = fields.size();
        const Columns at = columns_of(lines, fields);
        if (named_ && !splitter.next(lines, line, fields)) lines.fail("there is a header line, but no rating after it");
        Numbering users, items;
        All all;
        std::size_t low = 0, twice = 0;
        std::unordered_map<std::uint64_t, std::size_t> seen; ///< place among a user's items
        do {
            if (fields.size() != width)
                lines.fail_at(lines.number(), "has " + std::to_string(fields.size()) + " fields, the first line has " +
                                                  std::to_string(width));
            double rating = 1;
            if (at.valued && read_number(fields[at.value], rating) != Reading::number)
                lines.fail_at(lines.number(), "the rating " + shown(fields[at.value]) + " is no number");
            if (fields[at.user].empty() || fields[at.item].empty())
                lines.fail_at(lines.number(), "has no " + std::string(fields[at.user].empty() ? "user" : "item"));
            if (values == "ratings" && rating < 0)
                lines.fail_at(lines.number(), "the rating is below 0; data.values ones takes ratings as yes");
            if (rating < at_least || (values == "ratings" && rating == 0)) {
                ++low;
                continue;
            }
            const std::uint32_t u = users.of(fields[at.user]), i = items.of(fields[at.item]);
            if (u == all.users.size()) all.users.emplace_back();
            auto& of_user = all.users[u].items;
            const float kept = values == "ones" ? 1 : float(rating);
            const auto [place, fresh] = seen.try_emplace(std::uint64_t(u) << 32 | i, of_user.size());
            if (fresh) of_user.emplace_back(i, kept);
            else of_user[place->second].second = kept, ++twice;
        } while (splitter.next(lines, line, fields));
        if (all.users.empty()) lines.fail("no rating is " + number_text(at_least) + " or more (data.at_least)");
        if (low > 0) remark(std::to_string(low) + " ratings below " + number_text(at_least) + " left out");
        if (twice > 0) remark(std::to_string(twice) + " ratings given again, of which the last counts");
        all.items = std::move(items.names);
        return all;
    }

    static std::string number_text(double v) {
        char text[32];
        std::snprintf(text, sizeof text, "%g", v);
        return text;
    }

    Columns columns_of(const Lines& lines, const Fields& first) {
        Columns at;
        at.valued = !value.empty() || first.size() > 2;
        const auto number = [&](const std::string& name, std::size_t otherwise) {
            std::size_t n = otherwise;
            if (!name.empty() && !read_index(name, n)) {
                n = std::size_t(std::find(first.begin(), first.end(), name) - first.begin());
                if (n == first.size()) lines.fail_at(1, "names no column " + shown(name));
                named_ = true;
            }
            if (n >= first.size())
                lines.fail_at(1, "has " + std::to_string(first.size()) + " fields, and column " + std::to_string(n) +
                                     " (from 0) is wanted; is data.separator right?");
            return n;
        };
        named_ = header == "yes";
        at.user = number(user, 0), at.item = number(item, 1);
        if (at.valued) at.value = number(value, 2);
        double ignored = 0;
        if (header == "auto" && !named_)
            named_ = read_number(first[at.valued ? at.value : at.user], ignored) == Reading::text &&
                     (at.valued || read_number(first[at.item], ignored) == Reading::text);
        return at;
    }

    std::size_t leave_out_few(All& all) const {
        const std::size_t before = all.users.size();
        std::erase_if(all.users, [&](const User& u) { return std::int64_t(u.items.size()) < fewest; });
        return before - all.users.size();
    }

    // The same on every machine, whatever its library does.
    template <class T>
    static void shuffle(std::vector<T>& what, std::mt19937_64& draw) {
        for (std::size_t i = what.size(); i > 1; --i) std::swap(what[i - 1], what[draw() % i]);
    }

    void split(const All& all) {
        std::mt19937_64 draw(std::uint64_t(users_seed) * 0x9e3779b97f4a7c15u + 1);
        std::vector<std::uint32_t> order(all.users.size());
        std::iota(order.begin(), order.end(), 0u);
        shuffle(order, draw);
        const std::size_t n = order.size(),
                          held = held_users > 0 ? std::size_t(held_users) : std::max<std::size_t>(n / 10, 1);
        if (n <= 2 * held)
            throw std::runtime_error(path + ": " + std::to_string(n) + " users, of which data.held_users holds out " +
                                     std::to_string(held) + " for validation and " + std::to_string(held) +
                                     " for test: none are left to train on");
        const auto training = std::span(order).first(n - 2 * held);
        const auto judged = std::span(order).subspan(judge == "validation" ? n - 2 * held : n - held, held);
        const auto numbers = number_items(all, training);
        for (std::uint32_t u : training) {
            for (const auto& [at, v] : sorted(all.users[u].items, numbers)) splits_[ELBO_TRAIN].rows.add(at, v);
            splits_[ELBO_TRAIN].rows.end_row();
        }
        hold_out(all, judged, numbers, draw);
    }

    using Entries = std::vector<std::pair<std::uint32_t, float>>;
    static constexpr std::uint32_t kUnknown = 0xffffffffu;

    static Entries sorted(const Entries& items, const std::vector<std::uint32_t>& numbers) {
        Entries out;
        for (const auto& [item, v] : items)
            if (numbers[item] != kUnknown) out.emplace_back(numbers[item], v);
        std::sort(out.begin(), out.end());
        return out;
    }

    /// Items that a training user rated, in the order of their names: by number where all are numbers.
    std::vector<std::uint32_t> number_items(const All& all, std::span<const std::uint32_t> training) {
        std::vector<bool> known(all.items.size());
        for (std::uint32_t u : training)
            for (const auto& rated : all.users[u].items) known[rated.first] = true;
        std::vector<std::uint32_t> order;
        for (std::uint32_t i = 0; i < known.size(); ++i)
            if (known[i]) order.push_back(i);
        const auto key = [&](std::uint32_t i) {
            double number = 0;
            return read_number(all.items[i], number) == Reading::number ? number : INFINITY;
        };
        std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
            const double x = key(a), y = key(b);
            return x != y ? x < y : all.items[a] < all.items[b];
        });
        std::vector<std::uint32_t> numbers(all.items.size(), kUnknown);
        for (std::uint32_t k = 0; k < order.size(); ++k) numbers[order[k]] = k;
        names_of_items_ = order.size();
        name_items(all, order);
        return numbers;
    }

    void name_items(const All& all, const std::vector<std::uint32_t>& order) {
        std::unordered_map<std::string, std::string> named;
        if (!titles.empty()) named = titles::read(titles, ',', title_item, title), add_file(titles);
        std::size_t without = 0;
        for (std::uint32_t i : order) {
            const auto it = named.find(all.items[i]);
            without += it == named.end();
            std::string name = it == named.end() || it->second.empty() ? all.items[i] : it->second;
            std::replace(name.begin(), name.end(), '\n', ' ');
            value_names_ += name + "\n";
        }
        if (!titles.empty() && without > 0)
            remark(std::to_string(without) + " of " + std::to_string(order.size()) + " items have no title");
    }

    void hold_out(const All& all, std::span<const std::uint32_t> judged, const std::vector<std::uint32_t>& numbers,
                  std::mt19937_64& draw) {
        Split& to = splits_[ELBO_TEST];
        std::size_t unknown = 0, without = 0;
        for (std::uint32_t u : judged) {
            Entries items = sorted(all.users[u].items, numbers);
            unknown += all.users[u].items.size() - items.size();
            if (items.size() < 2) {
                ++without;
                continue;
            }
            shuffle(items, draw);
            const auto wanted = std::size_t(std::llround(fold_in * double(items.size())));
            const std::size_t shown_items = std::clamp<std::size_t>(wanted, 1, items.size() - 1);
            std::sort(items.begin(), items.begin() + std::ptrdiff_t(shown_items));
            std::sort(items.begin() + std::ptrdiff_t(shown_items), items.end());
            for (std::size_t k = 0; k < items.size(); ++k)
                (k < shown_items ? to.rows : to.held).add(items[k].first, items[k].second);
            to.rows.end_row(), to.held.end_row();
        }
        if (unknown > 0)
            remark(std::to_string(unknown) + " ratings of " + judge +
                   " users are of items that no training user rated, "
                   "and left out");
        if (without > 0)
            remark(std::to_string(without) + " " + judge + " users with fewer than 2 other items left out");
        if (to.rows.count() == 0)
            throw std::runtime_error(path + ": no user held out has two items that a training user rated");
    }

    char mark_ = ',';
    bool named_ = false;
    std::size_t names_of_items_ = 0;
};
ELBO_PLUGIN("ratings", "1.0.0", "data/ratings") {
    plugin.add<Ratings>("ratings",
                        "users' ratings of items, as sparse rows; users are split, and show a part of theirs");
}
