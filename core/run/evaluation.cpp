#include "core/run/evaluation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

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

std::string largest_text(const OddRow& r) {
    if (std::isnan(r.largest)) return {};
    return fmt::format("; its largest value is {:g} (value {})", r.largest, r.value);
}

} // namespace

std::vector<std::string> Evaluation::warnings(const std::string& split) const {
    constexpr std::size_t kMost = 3;
    std::vector<std::string> out;
    for (std::size_t i = 0; i < std::min(odd.size(), kMost); ++i)
        out.push_back(fmt::format("warning: {} row {} has the loss {} and is left out of the means{}", split,
                                  odd[i].row, odd[i].loss, largest_text(odd[i])));
    if (odd.size() > kMost)
        out.push_back(fmt::format("warning: {} more {} rows have no finite loss", odd.size() - kMost, split));
    return out;
}

namespace {

OddRow odd_row(const RowsInMemory& b, std::int64_t i, double loss) {
    if (b.x.empty()) return {b.at + i, loss, 0, NAN};
    const auto x = b.x.subspan(std::size_t(i) * (b.x.size() / std::size_t(b.n)), b.x.size() / std::size_t(b.n));
    const auto at = std::max_element(x.begin(), x.end(), [](float p, float q) { return std::fabs(p) < std::fabs(q); });
    return {b.at + i, loss, at - x.begin(), double(*at)};
}

// Sums over the rows of a split whose loss is finite.
class Sums {
public:
    Sums(Session& session, Evaluation& e) : session_(session), e_(e), spread_(session.settings().latent) {
        for (const Term& t : session.terms()) {
            e.terms.push_back({t.name, 0, t.is(ELBO_TERM_BOUND), t.is(ELBO_TERM_ESTIMATE), {}});
            if (t.is(ELBO_TERM_PER_LATENT)) e.terms.back().latents.resize(std::size_t(session.settings().latent));
        }
    }

    void add(const RowsInMemory& b, std::uint64_t step) {
        const auto loss = session_.output("loss");
        good_.clear();
        for (std::int64_t i = 0; i < b.n; ++i) {
            if (std::isfinite(loss[std::size_t(i)])) good_.push_back(std::size_t(i));
            else e_.odd.push_back(odd_row(b, i, double(loss[std::size_t(i)])));
        }
        if (good_.empty() && (b.n > 1 || rows_ == 0))
            throw Error(Exit::diverged,
                        fmt::format("the loss of rows {}..{} is not finite: {}", b.at, b.at + b.n - 1,
                                    session_.explain_non_finite("evaluate", b.x.data(), b.n, step, b.fields)));
        e_.loss += total(loss);
        if (session_.settings().tokens > 0) tokens_ += total(session_.output("tokens"));
        else e_.squared_error += total(session_.output("squared_error"));
        for (EvaluatedTerm& t : e_.terms) {
            t.value += total(session_.output(t.name));
            if (t.latents.empty()) continue;
            const auto each = session_.output(t.name + ".latents");
            for (std::size_t row : good_)
                for (std::size_t k = 0; k < t.latents.size(); ++k) t.latents[k] += each[row * t.latents.size() + k];
        }
        const auto code = session_.output("code");
        const std::size_t l = code.size() / std::size_t(b.n);
        for (std::size_t row : good_) spread_.add(code.subspan(row * l, l));
        rows_ += double(good_.size());
    }

    void finish() {
        e_.loss /= rows_;
        e_.squared_error =
            session_.settings().tokens > 0 ? std::numeric_limits<double>::quiet_NaN() : e_.squared_error / rows_;
        for (EvaluatedTerm& t : e_.terms) {
            t.value /= rows_;
            for (double& v : t.latents) v /= rows_;
        }
        if (const auto bound = e_.negative_elbo(); bound && tokens_ > 0)
            e_.perplexity = std::exp(*bound * rows_ / tokens_);
        e_.code_variance = spread_.variance();
        e_.active = spread_.active();
    }

private:
    double total(std::span<const float> values) const {
        double sum = 0;
        for (std::size_t row : good_) sum += double(values[row]);
        return sum;
    }

    Session& session_;
    Evaluation& e_;
    Spread spread_;
    std::vector<std::size_t> good_;
    double rows_ = 0, tokens_ = 0;
};

} // namespace

Evaluation evaluate(Session& session, const Rows& rows, Split split, std::int64_t batch) {
    Evaluation e;
    e.rows = rows.count(split);
    if (e.rows == 0) return e;
    Sums sums(session, e);
    std::uint64_t step = 0;
    for_batches(
        rows, session.fields(), split, 0, e.rows, batch,
        [&](const RowsInMemory& b) {
            session.run("evaluate", b.x.data(), b.n, ++step, b.fields);
            sums.add(b, step);
        },
        session.reads_x("evaluate", std::min(batch, e.rows)));
    sums.finish();
    return e;
}

double importance_nll(Session& session, const Rows& rows, Split split, std::int64_t batch, std::int64_t draws) {
    if (!session.can("log_weight"))
        throw Error(Exit::usage, fmt::format("model '{}' has no likelihood to estimate: it says nothing of log_weight",
                                             session.part("model").info().name));
    double total = 0;
    std::uint64_t step = 0;
    for_batches(
        rows, session.fields(), split, 0, rows.count(split), batch,
        [&](const RowsInMemory& b) {
            // log sum exp, as it grows.
            std::vector<double> top(std::size_t(b.n), -std::numeric_limits<double>::infinity()), sum(std::size_t(b.n));
            for (std::int64_t k = 0; k < draws; ++k) {
                session.run("log_weight", b.x.data(), b.n, ++step, b.fields);
                const auto w = session.output("log_weight");
                for (std::size_t i = 0; i < sum.size(); ++i) {
                    const double now = double(w[i]), larger = std::max(top[i], now);
                    if (std::isfinite(larger))
                        sum[i] = sum[i] * std::exp(top[i] - larger) + std::exp(now - larger), top[i] = larger;
                }
            }
            for (std::size_t i = 0; i < sum.size(); ++i) {
                const double nll = std::log(double(draws)) - top[i] - std::log(sum[i]);
                if (!std::isfinite(nll))
                    throw Error(Exit::diverged,
                                fmt::format("the weights of row {} are not finite", b.at + std::int64_t(i)));
                total += nll;
            }
        },
        session.reads_x("log_weight", std::min(batch, rows.count(split))));
    return total / double(rows.count(split));
}

} // namespace elbo::core
