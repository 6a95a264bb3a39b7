// What the tests of parts and of the session share: the built plugins, parts made in a test, recordings that are
// evaluated in f64, and sessions over chosen parts.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <elbo/plugin.hpp>

#include "core/base/philox.hpp"
#include "core/host/recording.hpp"
#include "core/host/registry.hpp"
#include "core/run/session.hpp"
#include "ops/backend/executors.hpp"
#include "ops/backend/reference.hpp"
#include "ops/table.hpp"

namespace elbo::test {

using core::Dims;
using core::NamedValue;
using core::Part;
using ops::Doubles;

inline core::Registry& plugins() {
    static core::Registry& all = *[] {
        auto* made = new core::Registry;
        made->add_folder(ELBO_PLUGIN_DIR);
        return made;
    }();
    return all;
}

/// A component class of a test's own, as if a plugin had offered it.
template <class T>
const core::ComponentInfo& own_part(const char* name) {
    using Bridge = elbo::detail::Bridge<T>;
    static elbo_data data{sizeof(elbo_data), nullptr, nullptr, nullptr};
    if constexpr (std::is_base_of_v<DataSet, T>) data = {sizeof data, Bridge::open, Bridge::read, Bridge::labels};
    static const elbo_component table{sizeof table,
                                      0,
                                      T::kind,
                                      name,
                                      "",
                                      nullptr,
                                      Bridge::create,
                                      Bridge::destroy,
                                      Bridge::property,
                                      Bridge::call,
                                      data.open ? &data : nullptr};
    static const core::ComponentInfo info{T::kind, name, "", "test", "0", "test.so", {}, &table};
    return info;
}

struct Chosen {
    std::string kind, name;
    std::vector<NamedValue> values{};
};

inline std::unique_ptr<Part> make_part(const Chosen& c) {
    return std::make_unique<Part>(plugins().find(c.kind, c.name), c.values);
}
inline std::vector<std::unique_ptr<Part>> make_parts(const std::vector<Chosen>& all) {
    std::vector<std::unique_ptr<Part>> out;
    for (const Chosen& c : all) out.push_back(make_part(c));
    return out;
}
inline std::vector<std::int64_t> widths(std::initializer_list<std::int64_t> w) { return w; }

/// Parts and tensors to record with, outside of any session.
class Workbench : public core::Environment {
public:
    explicit Workbench(const std::vector<Chosen>& parts, Dims data = {3}, std::int64_t latent = 2)
        : data_(data), latent_(latent), parts_(make_parts(parts)) {}

    Workbench(const Workbench&) = delete;
    Workbench& operator=(const Workbench&) = delete;
    void add(std::unique_ptr<Part> p) { parts_.push_back(std::move(p)); }
    Part& part(const std::string& kind) override {
        for (auto& p : parts_)
            if (p->info().kind == kind) return *p;
        throw core::Error(core::Exit::plugin, "no " + kind + " on the bench");
    }
    std::vector<double> query(const std::string& key) override {
        if (key == "latent") return {double(latent_)};
        if (key == "data.range") return {0, 1};
        if (key == "data.shape") {
            const auto list = data_.list();
            return {list.begin(), list.end()};
        }
        REQUIRE(key == "outputs");
        return {double(data_.numel()) * std::stod(part("likelihood").property("channels").value())};
    }
    core::TensorStore& tensors() override { return store_; }

private:
    Dims data_;
    std::int64_t latent_;
    std::vector<std::unique_ptr<Part>> parts_;
    core::TensorStore store_{1};
};

/// One recording, evaluated in f64 with inputs and tensors of the test's choice.
class Study {
public:
    explicit Study(Workbench& on, const char* purpose = "test") : r(ops::table(), &on, purpose), bench(on) {}

    Var input(const std::string& name, const Dims& dims, const Doubles& given) {
        REQUIRE(std::int64_t(given.size()) == dims.numel());
        values[name] = given;
        return r.input(name, dims);
    }
    Vars call(const std::string& kind, const std::string& method, const Vars& in) {
        return r.call(bench.part(kind), method, in);
    }
    Var call1(const std::string& kind, const std::string& method, const Vars& in) {
        Vars all = call(kind, method, in);
        REQUIRE(all.size() == 1);
        return all[0];
    }
    std::vector<core::NodeId> gradient(Var scalar, const std::vector<core::NodeId>& wrt) {
        return core::append_gradient(r.handle(), r.tape, scalar.node, wrt);
    }
    /// Tensors count as values too: by name, from the bench unless the test gave others.
    std::vector<Doubles> evaluate(const std::vector<core::NodeId>& of, core::Noise noise = {}) const {
        core::FreezeRequest request;
        request.purpose = "test";
        for (auto id : of) request.outputs.push_back({"y", id});
        return run(*core::freeze(r.tape, request), noise);
    }
    Doubles evaluate(Var v, core::Noise noise = {}) const { return evaluate(std::vector{v.node}, noise)[0]; }

    std::vector<Doubles> run(const core::Program& p, core::Noise noise) const {
        std::vector<Doubles> tensors, inputs, out;
        for (const auto& t : p.tensors) tensors.push_back(tensor(t.name));
        for (const auto& in : p.inputs) inputs.push_back(values.at(in.name));
        const auto all = ops::reference_values(p, tensors, inputs, noise);
        for (const auto& o : p.outputs) out.push_back(all[std::size_t(o.node)]);
        return out;
    }
    Doubles tensor(const std::string& name) const {
        if (auto it = values.find(name); it != values.end()) return it->second;
        const core::KeptTensor* t = bench.tensors().find(name);
        REQUIRE_MESSAGE(t, name);
        return {t->data.get(), t->data.get() + t->dims.numel()};
    }

    /// The gradient of a weighted sum of y in every input and tensor of the recording, against central differences.
    void check_gradient(Var y, core::Noise noise = {}, double tolerance = 1e-6) {
        std::vector<core::NodeId> wrt;
        std::vector<std::string> names;
        for (std::size_t i = 0; i < r.tape.size(); ++i) {
            const auto id = core::NodeId(i);
            const std::string_view op = r.tape.node(id).op->name;
            if (op != "tensor" && op != "input") continue;
            wrt.push_back(id);
            names.push_back(r.tape.name(r.tape.attributes(id).integer("name")));
        }
        Doubles weights(std::size_t(r.tape.dims(y.node).numel()));
        for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = 1 + 0.3 * double(i % 5);
        const Var scalar = sum_all(y * input("weights", r.tape.dims(y.node), weights));
        auto nodes = gradient(scalar, wrt);
        const auto gradients = evaluate(nodes, noise);
        core::FreezeRequest request;
        request.outputs.push_back({"y", scalar.node});
        const auto forward = core::freeze(r.tape, request);
        for (std::size_t k = 0; k < wrt.size(); ++k) {
            Doubles& x = values[names[k]] = tensor(names[k]);
            const std::size_t stride = 1 + x.size() / 40;
            for (std::size_t i = 0; i < x.size(); i += stride) {
                const double at = x[i], h = 1e-5 * std::max(1.0, std::fabs(at));
                x[i] = at + h;
                const double above = run(*forward, noise)[0][0];
                x[i] = at - h;
                const double below = run(*forward, noise)[0][0];
                x[i] = at;
                const double want = (above - below) / (2 * h),
                             scale = std::max({1.0, std::fabs(want), std::fabs(above) * 1e-3});
                CHECK_MESSAGE(std::fabs(gradients[k][i] - want) <= tolerance * scale,
                              names[k] << "[" << i << "]: " << gradients[k][i] << ", by differences " << want);
            }
        }
    }

    core::Recording r;
    Workbench& bench;
    std::map<std::string, Doubles> values;
};

inline Doubles normals(std::size_t n, std::uint64_t seed, double mean = 0, double deviation = 1) {
    core::PhiloxSequence draw(seed, core::stream_of("test"));
    Doubles out(n);
    for (double& v : out) v = mean + deviation * draw.normal();
    return out;
}
inline Doubles uniforms(std::size_t n, std::uint64_t seed, double low = 0, double high = 1) {
    core::PhiloxSequence draw(seed, core::stream_of("test"));
    Doubles out(n);
    for (double& v : out) v = low + (high - low) * draw.uniform();
    return out;
}
inline std::vector<float> floats(const Doubles& v) { return {v.begin(), v.end()}; }

/// Compares one by one, relative to 1 or the value.
inline void check_equal(const Doubles& got, const Doubles& want, double tolerance) {
    REQUIRE(got.size() == want.size());
    for (std::size_t i = 0; i < got.size(); ++i)
        CHECK_MESSAGE(std::fabs(got[i] - want[i]) <= tolerance * std::max(1.0, std::fabs(want[i])),
                      "value " << i << ": " << got[i] << ", expected " << want[i]);
}

/// Mean of a sample and the standard error of that mean.
struct MeanOf {
    double mean = 0, error = 0;
    explicit MeanOf(const Doubles& x) {
        double square = 0;
        for (double v : x) mean += v / double(x.size());
        for (double v : x) square += (v - mean) * (v - mean);
        error = std::sqrt(square / double(x.size() - 1) / double(x.size()));
    }
    /// How many standard errors away a value is.
    double off(double want) const { return std::fabs(mean - want) / error; }
};

inline core::Executor& executor(const std::string& name) {
    static auto dnnl = ops::make_executor("dnnl", 1);
    static auto reference = ops::make_executor("reference", 1);
    return name == "dnnl" ? *dnnl : *reference;
}

inline std::unique_ptr<core::Session> make_session(std::vector<std::unique_ptr<Part>> parts,
                                                   core::SessionSettings settings, const std::string& on = "dnnl") {
    return std::make_unique<core::Session>(std::move(parts), settings, ops::table(), executor(on));
}

/// The message of the core::Error that f throws; "" when it throws none.
template <class F>
std::string refusal(F f) {
    try {
        f();
    } catch (const core::Error& e) {
        return e.what();
    }
    return "";
}

} // namespace elbo::test
