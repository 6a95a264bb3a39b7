#include "core/run/evaluation.hpp"

#include <numeric>

#include "core/data/batches.hpp"
#include "core/run/metrics.hpp"

namespace elbo::core {

std::optional<double> Evaluation::negative_elbo() const {
    if (!reconstruction || !kl) return {};
    return *reconstruction + *kl;
}

bool is_kl(const std::string& term) { return term == "kl" || term == "kl_mc"; }

namespace {

double total(std::span<const float> values) { return std::accumulate(values.begin(), values.end(), 0.0); }

} // namespace

Evaluation evaluate(Session& session, const Rows& rows, Split split, std::int64_t batch) {
    Evaluation e;
    e.rows = rows.count(split);
    if (e.rows == 0) return e;
    Spread spread(session.settings().latent);
    double loss = 0, error = 0;
    std::vector<double> terms(session.terms().size());
    std::uint64_t step = 0;
    for_batches(rows, split, 0, e.rows, batch, [&](std::int64_t, std::int64_t n, std::span<const float> x) {
        session.run("evaluate", x.data(), n, ++step);
        loss += total(session.output("loss"));
        error += total(session.output("squared_error"));
        for (std::size_t t = 0; t < terms.size(); ++t) terms[t] += total(session.output(session.terms()[t]));
        spread.add(session.output("code"));
    });
    const double n = double(e.rows);
    e.loss = loss / n;
    e.squared_error = error / n;
    for (std::size_t t = 0; t < terms.size(); ++t) {
        const std::string& name = session.terms()[t];
        if (name == "reconstruction") e.reconstruction = terms[t] / n;
        if (is_kl(name)) e.kl = terms[t] / n, e.kl_estimated = name == "kl_mc";
    }
    e.code_variance = spread.variance();
    e.active = spread.active();
    return e;
}

} // namespace elbo::core
