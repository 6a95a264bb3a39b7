// Every likelihood the plugins offer, with each choice of its parameters, on examples of one value or a few. Taken from
// the registry, so a new one joins by itself.
#pragma once

#include <cmath>
#include <map>
#include <sstream>

#include "tests/bench/workbench.hpp"

namespace elbo::test {

/// What must be said by name, since it is no choice.
inline const std::map<std::string, std::vector<std::vector<NamedValue>>>& further_likelihoods() {
    static const std::map<std::string, std::vector<std::vector<NamedValue>>> all{
        {"beta", {{{"eps", 1e-5}}}},
        {"categorical", {{{"classes", std::int64_t(5)}}}},
        {"logistic_mixture", {{{"components", std::int64_t(2)}, {"levels", std::int64_t(16)}}}},
        {"mixed",
         {{{"columns", std::string("bernoulli*")}},
          {{"columns", std::string("categorical:4*")}},
          {{"columns", std::string("poisson*")}}}},
        {"student_t", {{{"freedom", 3.0}, {"learn_freedom", true}}}}};
    return all;
}

inline std::vector<Chosen> likelihoods() {
    std::vector<Chosen> all;
    for (const std::string& name : plugins().names("likelihood")) {
        all.push_back({"likelihood", name});
        for (const auto& p : plugins().find("likelihood", name).parameters) {
            std::istringstream choices(p.choices);
            for (std::string choice; std::getline(choices, choice, '|');)
                all.push_back({"likelihood", name, {{p.name, choice}}});
        }
        const auto& further = further_likelihoods();
        if (const auto it = further.find(name); it != further.end())
            for (const auto& values : it->second) all.push_back({"likelihood", name, values});
    }
    return all;
}

inline std::string named(const Chosen& c) {
    std::string out = c.name;
    for (const NamedValue& v : c.values) {
        out += " " + v.name;
        if (const auto* text = std::get_if<std::string>(&v.value)) out += "=" + *text;
    }
    return out;
}

/// A likelihood whose `mean` is the most likely value: classes have no mean.
inline bool gives_mode(const Chosen& c) { return named(c).find("categorical") != std::string::npos; }

/// One likelihood on examples of `values` values.
struct Likely {
    explicit Likely(const Chosen& c, std::int64_t values = 1) : d(values), bench({c}, {values}) {
        channels = bench.part("likelihood").fact<std::int64_t>("channels");
        density = bench.part("likelihood").fact<bool>("density");
        support = bench.part("likelihood").fact<std::vector<double>>("support");
    }

    /// Rows with the same raw values.
    Doubles rows(const Doubles& raw, std::size_t n) const {
        REQUIRE(std::int64_t(raw.size()) == d * channels);
        Doubles out;
        for (std::size_t i = 0; i < n; ++i) out.insert(out.end(), raw.begin(), raw.end());
        return out;
    }
    /// Of `rows` to begin with.
    Doubles of(const char* method, const Doubles& raw, std::uint64_t seed = 0) {
        Study s(bench);
        const auto b = std::int64_t(raw.size()) / (d * channels);
        return s.evaluate(s.call1("likelihood", method, {s.input("raw", {b, d * channels}, raw)}), {seed, 1});
    }
    Doubles nll(const Doubles& raw, const Doubles& x) {
        Study s(bench);
        const auto b = std::int64_t(x.size()) / d;
        return s.evaluate(
            s.call1("likelihood", "nll", {s.input("raw", {b, d * channels}, raw), s.input("x", {b, d}, x)}));
    }
    /// Raw values, channel i at `at` + `slope` i, alternating in sign when asked for.
    Doubles raw(double at, double slope = 0, bool alternate = false) const {
        Doubles out;
        for (std::int64_t i = 0; i < channels * d; ++i)
            out.push_back((alternate && i % 2 ? -1 : 1) * (at + slope * double(i)));
        return out;
    }

    std::int64_t d, channels;
    bool density;
    std::vector<double> support;
    Workbench bench;
};

/// Data that a likelihood can have: its own draws where it lives on a part of the numbers, else uniform in (0, 1).
inline Doubles data_for(const Chosen& likelihood, std::int64_t rows, std::int64_t values, std::uint64_t seed) {
    Likely l(likelihood, values);
    if (l.support.empty()) return uniforms(std::size_t(rows * values), seed);
    return l.of("sample", normals(std::size_t(rows * values * l.channels), seed, 0, 0.5), seed);
}

} // namespace elbo::test
