// A model of which only what a test gives is known, so that metrics can be tried on values whose answer is known.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/base/error.hpp"
#include "tools/metrics/metric.hpp"

namespace elbo::test {

/// A model of which only what was given is known. Its code, and that of any run, is the values of a row.
struct Known : tools::Judged {
    tools::Matrix rows, made, samples_made, classes;
    std::vector<float> how_anomalous;
    core::Dims row_shape;
    double data_range = 1;
    std::string asked_run = "none";

    const tools::Matrix& codes(Of) override { return given(rows); }
    const tools::Matrix& data(Of) override { return given(rows); }
    const tools::Matrix& reconstructions() override { return given(made); }
    const tools::Matrix& samples(std::int64_t count) override {
        CHECK(count == samples_made.rows);
        return given(samples_made);
    }
    const tools::Matrix& labels(Of) override { return given(classes); }
    const std::vector<float>& scores() override { return how_anomalous; }
    tools::Matrix codes_of(const std::string& run, const tools::Matrix& of) override {
        asked_run = run;
        return of;
    }
    core::Dims shape() override { return row_shape; }
    double range() override { return data_range; }
    const core::Evaluation& evaluation() override { throw std::logic_error("not asked for"); }
    std::vector<std::string> label_names() override { return {}; }
    double importance_nll(std::int64_t) override { throw std::logic_error("not asked for"); }
    Bits bits() override { throw std::logic_error("not asked for"); }

private:
    static const tools::Matrix& given(const tools::Matrix& m) {
        REQUIRE(m.rows > 0);
        return m;
    }
};

inline std::vector<tools::Measured> measured(const std::string& text, tools::Judged& judged) {
    const auto asked = tools::asked_metrics(text);
    REQUIRE(asked.size() == 1);
    return asked[0].metric->measure(judged, asked[0].argument);
}

inline double value(const std::string& text, tools::Judged& judged) {
    const auto all = measured(text, judged);
    REQUIRE(all.size() == 1);
    CHECK(all[0].name == text.substr(0, text.find(':')));
    return all[0].value;
}

/// Refused with that exit code and a message that says all this.
inline void refuses(const std::string& text, tools::Judged& judged, core::Exit code,
                    const std::vector<std::string>& says) {
    INFO(text);
    std::string message;
    try {
        measured(text, judged);
    } catch (const core::Error& e) {
        message = e.what();
        CHECK(int(e.code()) == int(code));
    }
    for (const std::string& s : says) CHECK_MESSAGE(message.find(s) != std::string::npos, message << " lacks " << s);
}

inline tools::Matrix matrix(std::int64_t rows, std::int64_t columns,
                            const std::function<double(std::int64_t, std::int64_t)>& of) {
    tools::Matrix out{rows, columns, {}};
    for (std::int64_t i = 0; i < rows; ++i)
        for (std::int64_t j = 0; j < columns; ++j) out.values.push_back(float(of(i, j)));
    return out;
}

/// In -1..1, without an order that one could see. In NumPy:
/// def wave(n, d, seed): i = np.arange(n*d, dtype=float); return np.sin(i*i*.37 + seed).astype('f4').reshape(n, d)
inline tools::Matrix wave(std::int64_t n, std::int64_t d, double seed) {
    return matrix(n, d, [&](std::int64_t i, std::int64_t j) {
        const double at = double(i * d + j);
        return std::sin(at * at * 0.37 + seed);
    });
}

} // namespace elbo::test
