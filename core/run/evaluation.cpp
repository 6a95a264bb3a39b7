#include "core/run/evaluation.hpp"

#include <numeric>

#include "core/data/batches.hpp"
#include "core/run/metrics.hpp"

namespace elbo::core {

std::optional<double> Evaluation::negative_elbo() const {
    std::optional<double> sum;
    for (const EvaluatedTerm& t : terms)
        if (t.bound) sum = sum.value_or(0) + t.value;
    return sum;
}

const EvaluatedTerm* Evaluation::term(const std::string& name) const {
    for (const EvaluatedTerm& t : terms)
        if (t.name == name) return &t;
    return nullptr;
}

namespace {

double total(std::span<const float> values) { return std::accumulate(values.begin(), values.end(), 0.0); }

} // namespace

Evaluation evaluate(Session& session, const Rows& rows, Split split, std::int64_t batch) {
    Evaluation e;
    e.rows = rows.count(split);
    if (e.rows == 0) return e;
    Spread spread(session.settings().latent);
    double loss = 0, error = 0;
    for (const Term& t : session.terms()) {
        e.terms.push_back({t.name, 0, t.is(ELBO_TERM_BOUND), t.is(ELBO_TERM_ESTIMATE), {}});
        if (t.is(ELBO_TERM_PER_LATENT)) e.terms.back().latents.resize(std::size_t(session.settings().latent));
    }
    std::uint64_t step = 0;
    for_batches(rows, session.fields(), split, 0, e.rows, batch, [&](const RowsInMemory& b) {
        session.run("evaluate", b.x.data(), b.n, ++step, b.fields);
        loss += total(session.output("loss"));
        error += total(session.output("squared_error"));
        for (EvaluatedTerm& t : e.terms) {
            t.value += total(session.output(t.name));
            if (t.latents.empty()) continue;
            const auto each = session.output(t.name + ".latents");
            for (std::size_t i = 0; i < each.size(); ++i) t.latents[i % t.latents.size()] += each[i];
        }
        spread.add(session.output("code"));
    });
    const double n = double(e.rows);
    e.loss = loss / n;
    e.squared_error = error / n;
    for (EvaluatedTerm& t : e.terms) {
        t.value /= n;
        for (double& v : t.latents) v /= n;
    }
    e.code_variance = spread.variance();
    e.active = spread.active();
    return e;
}

} // namespace elbo::core
