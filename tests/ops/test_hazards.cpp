// What some version of oneDNN gets wrong, or does slowly, and what keeps us clear of it. H1 to H11 are the project's
// names for these. The teams are larger than the machine: that is where several of them show.
#include <algorithm>
#include <string>

#include "tests/bench/cases.hpp"
#include "tests/bench/workbench.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

/// A team of that size while it lives; programs are frozen, bound and run within it, as a run does.
struct Team {
    std::unique_ptr<core::Backend> backend;
    explicit Team(int n) : backend(ops::make_backend("dnnl", n)) {}
    ~Team() { ops::make_backend("dnnl", 1); }
    Team(const Team&) = delete;
    Team& operator=(const Team&) = delete;
};

Doubles drawn(const Dims& d, std::uint64_t seed) {
    Doubles x = normals(std::size_t(d.numel()), seed);
    for (double& v : x) v = double(float(v));
    return x;
}

Frozen recorded(const std::vector<Dims>& sizes, Values& values, const core::Backend& on,
                Vars (*function)(const Vars&)) {
    core::Recording r(ops::table(), nullptr, "test");
    Vars x;
    for (const Dims& d : sizes) {
        const std::string name = "x" + std::to_string(x.size());
        values[name] = drawn(d, 5 + x.size());
        x.push_back(r.input(name, d));
    }
    std::vector<core::NamedNode> outputs;
    for (Var y : function(x)) outputs.push_back({"y" + std::to_string(outputs.size()), y.node});
    return freeze(r, outputs, true, &on);
}

/// What a team of that size computes equals the f64 reference; gives the program.
Frozen check_on(int threads, const std::vector<Dims>& sizes, Vars (*function)(const Vars&), double tolerance) {
    const Team team(threads);
    Values values;
    const Frozen p = recorded(sizes, values, *team.backend, function);
    const auto got = in_f32(p, values, {}, threads);
    const auto want = in_f64(*p, values);
    for (std::size_t o = 0; o < want.size(); ++o) {
        CAPTURE(o);
        check_equal({got[o].begin(), got[o].end()}, want[o], tolerance);
    }
    return p;
}

std::vector<const core::Unit*> claims(const core::Program& p) {
    std::vector<const core::Unit*> all;
    for (const core::Unit& u : p.units)
        if (u.claimed) all.push_back(&u);
    return all;
}

void must_be_fast(const core::Program& p) {
    REQUIRE(!claims(p).empty());
    for (const core::Unit* u : claims(p)) {
        const std::string chosen = u->claimed->chosen();
        CHECK_MESSAGE(chosen.find("ref") == std::string::npos, u->label << ": " << chosen);
        CHECK_MESSAGE(chosen.find("gemm:jit") == std::string::npos, u->label << ": " << chosen);
    }
}

Vars both_gradients(const Vars& x) {
    const Var y = conv2d(x[0], x[1], {2, 2}, {0, 1, 0, 1}, {1, 1}, 1);
    const auto d = gradient(sum_all(square(y)), {x[0], x[1]});
    return {y, d[0] * 0.01, d[1] * 0.01};
}

/// The tensors of a model after one step of plain gradient descent, made and run by a team of that size.
std::map<std::string, Doubles> after_a_step(int threads, const std::vector<Chosen>& parts, const Dims& data,
                                            std::int64_t rows) {
    const Team team(threads);
    core::Session s(make_parts(parts), session_settings(8, data), ops::table(), *team.backend);
    s.prepare(rows);
    const auto x = floats(uniforms(std::size_t(rows * data.numel()), 3));
    const auto last = s.step(x.data(), rows);
    CHECK(last.finite);
    std::map<std::string, Doubles> out{{"loss", {last.loss}}};
    for (const auto& t : s.tensors().all()) {
        const auto all = t->values();
        out[t->name] = {all.begin(), all.end()};
    }
    return out;
}

/// The largest, as a share of the largest value, or of 1: a bias before a normalisation has a gradient of rounding
/// only.
double difference(const Doubles& a, const Doubles& b) {
    REQUIRE(a.size() == b.size());
    double most = 0, size = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        most = std::max(most, std::fabs(a[i] - b[i]));
        size = std::max(size, std::fabs(b[i]));
    }
    return std::isfinite(size) ? most / std::max(size, 1.0) : 1;
}

std::vector<Chosen> image_net(const std::string& name, const std::vector<NamedValue>& encoder,
                              const std::vector<NamedValue>& decoder) {
    return {{"model", "vae"},
            {"encoder", name, encoder},
            {"decoder", name, decoder},
            {"posterior", "diagonal_gaussian"},
            {"prior", "standard_normal"},
            {"likelihood", "bernoulli"},
            {"optimizer", "sgd", {{"lr", 1.0}}}};
}

} // namespace

TEST_CASE("H1: a convolution's gradients are complete on the team they were made for, of whatever size") {
    for (int threads : {1, 2, 3, 8}) {
        CAPTURE(threads);
        check_on(threads, {{8, 12, 12, 16}, {3, 3, 16, 32}}, both_gradients, 1e-3);
        check_on(threads, {{9, 14, 14, 1}, {3, 3, 1, 32}}, both_gradients, 1e-3);
    }
}

TEST_CASE("H2: a batch of products of turned matrices sums every value, however long, on more threads than products") {
    for (std::int64_t k : {2047, 2048, 4096}) {
        CAPTURE(k);
        const auto p = check_on(
            8, {{2, k, 128}, {2, k, 32}}, [](const Vars& x) { return Vars{matmul(x[0], x[1], true) * 0.01}; }, 1e-4);
        must_be_fast(*p);
    }
}

TEST_CASE("H5: every convolution we ship runs both ways, and gives the same on one thread and on eight") {
    struct Net {
        const char* name;
        std::vector<NamedValue> encoder, decoder;
    };
    const std::string nearest = "nearest", bilinear = "bilinear";
    const Net nets[] = {{"conv", {}, {}},
                        {"conv", {{"kernel", std::int64_t(5)}, {"pool", true}}, {{"up", nearest}}},
                        {"conv", {{"features", std::int64_t(0)}}, {{"up", bilinear}, {"kernel", std::int64_t(3)}}},
                        {"residual", {}, {}}};
    for (const Net& net : nets)
        for (const Dims& data : {Dims{28, 28, 1}, Dims{32, 32, 3}, Dims{17, 9, 2}})
            for (std::int64_t rows : {1, 5}) {
                INFO(std::string(net.name) << ", images of " << data.text() << ", rows: " << rows);
                const auto parts = image_net(net.name, net.encoder, net.decoder);
                const auto one = after_a_step(1, parts, data, rows), eight = after_a_step(8, parts, data, rows);
                REQUIRE(one.size() == eight.size());
                for (const auto& [name, values] : one) CHECK_MESSAGE(difference(eight.at(name), values) < 1e-4, name);
            }
}

TEST_CASE("H6: the logarithm of 1 is 0, at every place of a vector; that of -NaN and of -1 is none") {
    for (std::int64_t n = 1; n <= 70; ++n) {
        core::Recording r(ops::table(), nullptr, "test");
        const Var x = r.input("x", {n}), bad = r.input("bad", {n});
        const auto p = freeze(r, {{"y", log(x).node}, {"none", log(bad).node}});
        Doubles none(std::size_t(n), -1);
        for (std::size_t i = 0; i < none.size(); i += 2) none[i] = -std::nan("");
        const auto got = in_f32(p, {{"x", Doubles(std::size_t(n), 1)}, {"bad", none}});
        CHECK(std::all_of(got[0].begin(), got[0].end(), [](float v) { return v == 0; }));
        CHECK(std::all_of(got[1].begin(), got[1].end(), [](float v) { return std::isnan(v); }));
    }
}

TEST_CASE("H7: a bias joins a product as a row and in no other size, for which oneDNN has a slow way only") {
    const Dims sizes[] = {{12}, {1, 12}, {12, 12}, {12, 1}, {1}};
    for (const Dims& bias : sizes) {
        CAPTURE(bias.text());
        const auto p = check_on(
            1, {{12, 7}, {7, 12}, bias}, [](const Vars& x) { return Vars{tanh(matmul(x[0], x[1]) + x[2])}; }, 1e-5);
        must_be_fast(*p);
        REQUIRE(claims(*p).size() == 1);
        const bool row = bias == sizes[0] || bias == sizes[1];
        CHECK(claims(*p)[0]->label == (row ? "matmul + bias + tanh" : "matmul"));
    }
}

TEST_CASE("H10: a product is written row by row, whatever is turned before and after it") {
    using Turned = Vars (*)(const Vars&);
    const std::tuple<Dims, Dims, Turned> all[] = {
        {{64, 96}, {96, 48}, [](const Vars& x) { return Vars{transpose(matmul(x[0], x[1]))}; }},
        {{96, 64}, {96, 48}, [](const Vars& x) { return Vars{transpose(matmul(x[0], x[1], true))}; }},
        {{64, 96}, {48, 96}, [](const Vars& x) { return Vars{transpose(matmul(x[0], x[1], false, true))}; }},
        {{96, 64}, {48, 96}, [](const Vars& x) { return Vars{transpose(matmul(x[0], x[1], true, true))}; }}};
    for (const auto& [a, b, turned] : all) must_be_fast(*check_on(1, {a, b}, turned, 1e-4));
}

TEST_CASE("H11: each number of rows has products of its own, whose sizes are known when they are made") {
    core::Session s(make_parts({{"model", "vae"},
                                {"encoder", "mlp", {{"hidden", widths({64})}}},
                                {"decoder", "mlp", {{"hidden", widths({64})}}},
                                {"posterior", "diagonal_gaussian"},
                                {"prior", "standard_normal"},
                                {"likelihood", "bernoulli"},
                                {"optimizer", "adam"}}),
                    session_settings(8, {40}), ops::table(), backend("dnnl"));
    for (std::int64_t rows : {1, 37, 128}) {
        CAPTURE(rows);
        const auto x = floats(uniforms(std::size_t(rows * 40), 3));
        CHECK(s.step(x.data(), rows).finite);
        const auto p = s.program("train", rows);
        must_be_fast(*p);
        CHECK(std::any_of(p->nodes.begin(), p->nodes.end(),
                          [&](const auto& n) { return n.op->name == "matmul" && n.dims[0] == rows; }));
    }
}
