// Metrics of rankings, topics and retrieval, on values whose answer is known.
#include <doctest/doctest.h>

#include <cmath>
#include <map>

#include "tests/bench/known_model.hpp"

using namespace elbo::test;
using doctest::Approx;
using elbo::core::Exit;
using elbo::tools::Matrix;

namespace {

/// A model whose fields, decoded latents and loss are given too.
struct Sparse : Known {
    std::map<std::string, Matrix> fields, learned;
    Matrix latents;
    elbo::core::Evaluation evaluated;
    bool density = true;
    const Matrix& field(const std::string& name, Of of) override {
        auto& from = of == Of::learned_from && !learned.empty() ? learned : fields;
        const auto it = from.find(name);
        return it == from.end() ? Judged::field(name, of) : it->second;
    }
    const Matrix& latents_decoded(double) override { return latents; }
    const elbo::core::Evaluation& evaluation() override { return evaluated; }
    bool has_density() override { return density; }
    elbo::core::Dims shape() override { return row_shape; }
};

Matrix rows_of(std::vector<std::vector<float>> rows) {
    Matrix out{std::int64_t(rows.size()), std::int64_t(rows[0].size()), {}};
    for (const auto& r : rows) out.values.insert(out.values.end(), r.begin(), r.end());
    return out;
}

/// Two rows of six values: the first has 0 and lacks 1 .. 5, of which 2 and 5 were held out; the second has 1 and 3.
Sparse ranked() {
    Sparse s;
    s.fields["ids"] = rows_of({{0, 0}, {1, 3}});
    s.fields["lengths"] = rows_of({{1}, {2}});
    s.fields["held"] = rows_of({{2, 5}, {0, 0}});
    s.fields["held_lengths"] = rows_of({{2}, {1}});
    // The first row's order without 0: 1, 2, 3, 4, 5. The second's without 1 and 3: 5, 4, 0, 2 (0 and 2 are alike).
    s.made = rows_of({{0.9f, 0.5f, 0.4f, 0.3f, 0.2f, 0.1f}, {0.1f, 0.9f, 0.1f, 0.8f, 0.2f, 0.3f}});
    return s;
}

double gain(int place) { return 1 / std::log2(place + 1.0); }

} // namespace

TEST_CASE("ndcg and recall: finds count by their place, seen values take none, and equal ones stand in order") {
    Sparse s = ranked();
    const double best = gain(1) + gain(2);
    CHECK(value("ndcg:1", s) == 0);
    CHECK(value("ndcg:2", s) == Approx((gain(2) / best + 0) / 2).epsilon(1e-12));
    CHECK(value("ndcg:3", s) == Approx((gain(2) / best + gain(3)) / 2).epsilon(1e-12));
    CHECK(value("ndcg:6", s) == Approx(((gain(2) + gain(5)) / best + gain(3)) / 2).epsilon(1e-12));
    CHECK(value("recall:1", s) == 0);
    CHECK(value("recall:2", s) == Approx(0.25)); // 1 of 2, 0 of 1
    CHECK(value("recall:3", s) == Approx(0.75)); // 1 of 2, 1 of 1
    CHECK(value("recall:5", s) == 1);
    s.made = rows_of({{0, 0, 9, 0, 0, 8}, {1, 0, 0, 0, 0, 0}});
    CHECK(value("ndcg:2", s) == 1);
    CHECK(value("recall:1", s) == 1); // of one place, one find is all there can be
}

TEST_CASE("ndcg and recall: a row from which nothing was held out says nothing, and neither does a whole set of them") {
    Sparse s = ranked();
    s.fields["held_lengths"] = rows_of({{0}, {1}});
    CHECK(value("recall:3", s) == 1);
    s.fields["held_lengths"] = rows_of({{0}, {0}});
    refuses("ndcg:2", s, Exit::data, {"ndcg", "nothing was held out"});
    refuses("ndcg:7", s = ranked(), Exit::usage, {"rows of 6 values"});
    refuses("recall:0", s, Exit::usage, {"at least 1"});
    s.fields.erase("held");
    refuses("recall:2", s, Exit::data, {"no field 'held'"});
    s = ranked();
    s.made.values[3] = NAN;
    refuses("ndcg:2", s, Exit::diverged, {"ndcg"});
}

TEST_CASE("npmi and topic_diversity: words that are always, never or by chance together") {
    Sparse s;
    // Two topics, of words 0 1 and of words 2 3.
    s.latents = rows_of({{0.5f, 0.4f, 0.05f, 0.05f}, {0, 0.1f, 0.5f, 0.4f}});
    s.fields["ids"] = rows_of({{0, 1}, {0, 1}, {2, 0}, {3, 0}});
    s.fields["lengths"] = rows_of({{2}, {2}, {1}, {1}});
    CHECK(value("npmi:2", s) == Approx((1 - 1) / 2.0)); // always together: 1; never: -1
    // 0 in rows 0 1, 1 in rows 0 2, both in row 0: log(1/4 / (1/2 1/2)) = 0. 2 and 3: row 3 has both, row 2 has 2.
    s.fields["ids"] = rows_of({{0, 1}, {0, 0}, {1, 2}, {2, 3}});
    s.fields["lengths"] = rows_of({{2}, {1}, {2}, {2}});
    CHECK(value("npmi:2", s) == Approx((0 + std::log(0.25 / (0.5 * 0.25)) / -std::log(0.25)) / 2).epsilon(1e-12));
    CHECK(value("topic_diversity:2", s) == 1);
    CHECK(value("topic_diversity:3", s) == Approx(4.0 / 6));
    refuses("npmi:1", s, Exit::usage, {"at least 2"});
    refuses("npmi:5", s, Exit::usage, {"rows of 4 values"});
}

TEST_CASE(
    "perplexity: of a model that gives every word the same chance it is their number, with the constant or without") {
    Sparse s;
    s.fields["values"] = rows_of({{2, 1, 0}, {1, 0, 0}}); // 4 words in all, of 8 there are
    s.evaluated.terms.push_back({"reconstruction", 4 * std::log(8.0) / 2, true, false, {}});
    s.density = false;
    CHECK(value("perplexity", s) == Approx(8).epsilon(1e-12));
    s.evaluated.terms[0].value -= std::log(3.0) / 2; // three orders of the first row's words
    s.density = true;
    CHECK(value("perplexity", s) == Approx(8).epsilon(1e-12));
    s.fields["values"].values[0] = 1.5f;
    refuses("perplexity", s, Exit::data, {"counts", "1.5"});
    s.evaluated.terms[0].bound = false;
    refuses("perplexity", s, Exit::usage, {"no bound"});
}

TEST_CASE("retrieval_precision and tfidf_precision: the nearest rows' classes, by code and by words") {
    struct Apart : Sparse {
        Matrix stored, stored_classes;
        const Matrix& codes(Of of) override { return of == Of::judged ? rows : stored; }
        const Matrix& labels(Of of) override { return of == Of::judged ? classes : stored_classes; }
    } s;
    s.rows = rows_of({{0, 0}, {5, 5}});
    s.classes = rows_of({{1}, {0}});
    s.stored = rows_of({{1, 0}, {0, 2}, {5, 6}, {9, 9}});
    s.stored_classes = rows_of({{1}, {0}, {0}, {0}});
    CHECK(value("retrieval_precision:1", s) == 1);
    CHECK(value("retrieval_precision:2", s) == Approx((0.5 + 1) / 2));
    refuses("retrieval_precision:5", s, Exit::usage, {"5 rows, and there are 4"});
    // Word 0 is everywhere and says little: row 0 shares the rare word 1 with stored row 3.
    s.row_shape = elbo::core::Dims{3};
    s.fields = {
        {"ids", rows_of({{0, 1}, {2, 0}})}, {"values", rows_of({{1, 1}, {1, 0}})}, {"lengths", rows_of({{2}, {1}})}};
    s.learned = {{"ids", rows_of({{0, 0}, {0, 2}, {2, 0}, {0, 1}})},
                 {"values", rows_of({{3, 0}, {1, 1}, {1, 0}, {1, 2}})},
                 {"lengths", rows_of({{1}, {2}, {1}, {2}})}};
    s.stored_classes = rows_of({{0}, {0}, {0}, {1}});
    CHECK(value("tfidf_precision:1", s) == 1);
    CHECK(value("tfidf_precision:2", s) == Approx((0.5 + 1) / 2));
}

TEST_CASE("retrieval_precision: a row that is judged among those it is looked for in does not find itself") {
    Sparse s;
    s.rows = rows_of({{0}, {1}, {3}});
    s.classes = rows_of({{0}, {1}, {1}});
    CHECK(value("retrieval_precision:1", s) == Approx(1.0 / 3)); // 0 -> 1, 1 -> 0, 3 -> 1
}
