// Convolutional nets as published ones are: which tensors they have, and what comes out.
#include <algorithm>
#include <cmath>

#include "tests/bench/workbench.hpp"

using namespace elbo;
using namespace elbo::test;

namespace {

using Given = std::vector<NamedValue>;
const NamedValue kNoDense{"features", std::int64_t(0)};

NamedValue number(const char* name, std::int64_t value) { return {name, value}; }
NamedValue text(const char* name, const char* value) { return {name, std::string(value)}; }

std::vector<Chosen> vae(const char* net, const Given& encoder, const Given& decoder) {
    return {{"model", "vae"},
            {"encoder", net, encoder},
            {"decoder", net, decoder},
            {"posterior", "diagonal_gaussian"},
            {"prior", "standard_normal"},
            {"likelihood", "mse"},
            {"optimizer", "adam"}};
}

std::unique_ptr<core::Session> session_of(const std::vector<Chosen>& parts, const Dims& data) {
    auto s = make_session(make_parts(parts), session_settings(3, data));
    s->prepare(4);
    return s;
}

/// "[3, 3, 8, 4]" of a tensor, "" when there is none.
std::string dims_of(core::Session& s, const std::string& name) {
    const core::KeptTensor* t = s.tensors().find(name);
    return t ? t->dims.text() : "";
}

std::vector<float> rows(const Dims& data) { return floats(uniforms(std::size_t(4 * data.numel()), 3)); }

/// Losses of twenty steps on the same rows.
std::vector<double> trained(core::Session& s, const std::vector<float>& x) {
    std::vector<double> out;
    for (int i = 0; i < 20; ++i) {
        const auto r = s.step(x.data(), 4);
        REQUIRE(r.finite);
        out.push_back(r.loss);
    }
    return out;
}

const Given kBlocks{{"channels", widths({4, 6})}, number("blocks", 1), text("order", "after")};

Given with(Given values, const NamedValue& more) {
    values.push_back(more);
    return values;
}

} // namespace

TEST_CASE("conv decoder: with last_kernel every doubling is normalised, and a convolution at full size comes last") {
    const Given in{{"channels", widths({4, 6})}, kNoDense};
    Given out{{"channels", widths({6, 4})}, kNoDense, number("kernel", 3), text("norm", "batch")};
    auto plain = session_of(vae("conv", in, out), {8, 8, 2});
    CHECK(dims_of(*plain, "decoder.conv1.weight") == "[3, 3, 2, 4]");
    CHECK(dims_of(*plain, "decoder.conv1_norm.scale") == "");
    CHECK(dims_of(*plain, "decoder.last.weight") == "");

    out.push_back(number("last_kernel", 5));
    auto longer = session_of(vae("conv", in, out), {8, 8, 2});
    CHECK(dims_of(*longer, "decoder.conv0.weight") == "[3, 3, 4, 6]");
    CHECK(dims_of(*longer, "decoder.conv1.weight") == "[3, 3, 4, 4]");
    CHECK(dims_of(*longer, "decoder.conv1_norm.scale") == "[4]");
    CHECK(dims_of(*longer, "decoder.last.weight") == "[5, 5, 4, 2]");
    const auto losses = trained(*longer, rows({8, 8, 2}));
    CHECK(losses.back() < losses.front());
}

TEST_CASE("conv decoder: output bounds the raw values, and activate_start decides over the small image") {
    const Given in{{"channels", widths({4})}, kNoDense};
    const auto x = rows({6, 6, 1});
    const auto reconstructed = [&](const Given& more) {
        Given out{{"channels", widths({4})}, kNoDense};
        out.insert(out.end(), more.begin(), more.end());
        auto s = session_of(vae("conv", in, out), {6, 6, 1});
        const auto bias = s->tensors().find("decoder.conv0.bias");
        bias->set(std::vector<float>(1, 3.f).data());
        s->run("reconstruct", x.data(), 4, 1);
        const auto y = s->output("reconstruct");
        return std::vector<float>(y.begin(), y.end());
    };
    const auto raw = reconstructed({}), tanh = reconstructed({text("output", "tanh")}),
               sigmoid = reconstructed({text("output", "sigmoid")}),
               linear = reconstructed({{"activate_start", false}});
    CHECK(*std::max_element(raw.begin(), raw.end()) > 1.5);
    for (std::size_t i = 0; i < raw.size(); ++i) {
        CHECK(tanh[i] == doctest::Approx(std::tanh(raw[i])).epsilon(1e-5));
        CHECK(sigmoid[i] == doctest::Approx(1 / (1 + std::exp(-raw[i]))).epsilon(1e-5));
    }
    CHECK(linear != raw);
}

TEST_CASE("residual: first_stride and last_stride 1 put blocks at the image's full size too") {
    const Given in = with(with(kBlocks, kNoDense), number("first_stride", 1));
    const Given out{
        {"channels", widths({6, 4})}, number("blocks", 1), text("order", "after"), number("last_stride", 1)};
    for (const Dims& data : {Dims{8, 8, 3}, Dims{7, 5, 3}}) {
        CAPTURE(data.text());
        auto s = session_of(vae("residual", in, out), data);
        const std::int64_t small = (data[0] + 1) / 2 * ((data[1] + 1) / 2) * 6; // halved once
        CHECK(dims_of(*s, "decoder.start.weight") == Dims({3, small}).text());
        CHECK(dims_of(*s, "encoder.stage0_down.weight") == "[3, 3, 3, 4]");
        CHECK(dims_of(*s, "decoder.stage1_up.weight") == "[3, 3, 4, 3]");
        const auto losses = trained(*s, rows(data));
        CHECK(losses.back() < losses.front());
    }
}

TEST_CASE("residual: of itself it has one size more when the first layer keeps the image's") {
    const auto start = [](const Given& in, const Given& out) {
        return dims_of(*session_of(vae("residual", in, out), {16, 16, 1}), "decoder.start.weight");
    };
    const NamedValue one = number("blocks", 1);
    CHECK(start({one, kNoDense}, {one}) == Dims({3, 8 * 8 * 32}).text());
    CHECK(start({one, kNoDense, number("first_stride", 1)}, {one, number("last_stride", 1)}) ==
          Dims({3, 8 * 8 * 64}).text());
}

TEST_CASE("residual: order after normalises what convolutions give, and activates the sum") {
    const Given out{{"channels", widths({6, 4})}, number("blocks", 1)};
    Given before{{"channels", widths({4, 6})}, number("blocks", 1), kNoDense};
    auto first = session_of(vae("residual", before, out), {8, 8, 3});
    auto then = session_of(vae("residual", with(kBlocks, kNoDense), out), {8, 8, 3});
    // Before: a norm in front of every later convolution and at the end. After: one behind each of a block's two.
    CHECK(dims_of(*first, "encoder.last_norm.scale") == "[6]");
    CHECK(dims_of(*then, "encoder.last_norm.scale") == "");
    CHECK(dims_of(*first, "encoder.stage1_down_norm.scale") == "[4]");
    CHECK(dims_of(*then, "encoder.stage1_down_norm.scale") == "");
    for (const char* name : {"encoder.stage0_block0_a_norm.scale", "encoder.stage0_block0_b_norm.scale"})
        CHECK(dims_of(*then, name) == "[4]");
}

TEST_CASE("residual: with order after a block is act(h + norm(conv(act(norm(conv(h))))))") {
    const Dims data{5, 4, 2};
    const Given in{
        {"channels", widths({3})}, number("blocks", 1), text("order", "after"), number("first_stride", 1), kNoDense};
    Workbench bench(vae("residual", in, {}), data, 3);
    Study study(bench, "evaluate");
    const Doubles x = uniforms(std::size_t(4 * data.numel()), 3);
    const Var images = study.input("x", {4, 5, 4, 2}, x);
    const Var features = study.call1("encoder", "features", {images});
    const auto conv = [&](Var v, const std::string& layer, std::int64_t from) {
        const Var w = study.input("w " + layer, {3, 3, from, 3}, study.tensor("encoder." + layer + ".weight"));
        return conv2d(v, w, {1, 1}, {1, 1, 1, 1}); // biases start at 0
    };
    const double norm = 1 / std::sqrt(1 + 1e-5); // of mean 0 and variance 1, as they start
    const Var h = conv(images, "stage0_down", 2);
    const Var r = norm * conv(relu(norm * conv(h, "stage0_block0_a", 3)), "stage0_block0_b", 3);
    const auto both = study.evaluate(std::vector{features.node, flatten(relu(h + r)).node});
    REQUIRE(both[0].size() == both[1].size());
    for (std::size_t i = 0; i < both[0].size(); ++i) CHECK(both[0][i] == doctest::Approx(both[1][i]).epsilon(1e-9));
    CHECK(*std::max_element(both[0].begin(), both[0].end()) > 0);
}
