// A trace as Perfetto's importer of Chrome's format takes it, checked.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace elbo::test {

struct Trace {
    std::map<int, std::string> threads;
    std::map<std::string, std::vector<nlohmann::json>> events; ///< by thread, in the order of the file

    explicit Trace(const std::string& text) {
        const auto all = nlohmann::json::parse(text);
        CHECK(all.at("displayTimeUnit") == "ms");
        for (const auto& e : all.at("traceEvents")) {
            if (e.at("ph") == "M" && e.at("name") == "thread_name") threads[e.at("tid")] = e.at("args").at("name");
            if (e.at("ph") == "X") add(e);
        }
    }

private:
    static std::int64_t nanoseconds(const nlohmann::json& microseconds) {
        return std::llround(1000 * microseconds.get<double>());
    }
    void add(const nlohmann::json& e) {
        REQUIRE(threads.count(e.at("tid")) == 1);
        auto& before = events[threads[e.at("tid")]];
        CHECK(!e.at("name").get<std::string>().empty());
        CHECK(e.at("pid").is_number_integer());
        CHECK(nanoseconds(e.at("dur")) >= 0);
        CHECK(nanoseconds(e.at("ts")) >= 0);
        if (!before.empty()) {
            const auto& last = before.back();
            CHECK(nanoseconds(last["ts"]) + nanoseconds(last["dur"]) <= nanoseconds(e.at("ts")));
        }
        before.push_back(e);
    }
};

} // namespace elbo::test
