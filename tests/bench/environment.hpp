// A run in small: the built plugins, parts made in a test, tensors, and the backends; to record with outside of any
// session.
#pragma once

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <elbo/plugin.hpp>

#include "core/host/recording.hpp"
#include "core/host/registry.hpp"
#include "ops/backend/backends.hpp"
#include "ops/table.hpp"
#include "tests/bench/numbers.hpp"

namespace elbo::test {

using core::Dims;
using core::NamedValue;
using core::NodeId;
using core::Part;

/// "dnnl" or "reference", with one thread.
inline core::Backend& backend(const std::string& name) {
    static const auto dnnl = ops::make_backend("dnnl", 1), reference = ops::make_backend("reference", 1);
    return name == "dnnl" ? *dnnl : *reference;
}

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
    static const core::ComponentInfo info = [&] {
        const elbo_component& c = elbo::detail::component_of<T>(name, "");
        core::ComponentInfo all{T::kind, name, "", "test", "0", "test.so", {}, {}, &c};
        for (std::uint32_t i = 0; i < c.n_params; ++i) all.parameters.push_back(core::spec_of(c.params[i]));
        for (std::uint32_t i = 0; i < c.n_methods; ++i) {
            const elbo_method& m = c.methods[i];
            all.methods.push_back({m.name, m.signature, core::parse_signature(m.signature)});
        }
        return all;
    }();
    return info;
}
template <class T>
std::unique_ptr<Part> make_own(const char* name, const std::vector<NamedValue>& values = {}) {
    return std::make_unique<Part>(own_part<T>(name), values);
}

struct Chosen {
    std::string kind, name;
    std::vector<NamedValue> values{};
    std::string role{}; ///< its kind when empty
};

inline std::unique_ptr<Part> make_part(const Chosen& c) {
    return std::make_unique<Part>(plugins().find(c.kind, c.name), c.values, c.role);
}
inline std::vector<std::unique_ptr<Part>> make_parts(const std::vector<Chosen>& all) {
    std::vector<std::unique_ptr<Part>> out;
    for (const Chosen& c : all) out.push_back(make_part(c));
    return out;
}
inline std::vector<std::int64_t> widths(std::initializer_list<std::int64_t> w) { return w; }

/// Parts and tensors; the tensors lie as the backend of the programs wants them.
class Workbench : public core::Environment {
public:
    explicit Workbench(const std::vector<Chosen>& parts = {}, Dims data = {3}, std::int64_t latent = 2,
                       const core::Backend* of = nullptr)
        : store(17, {}, [of](const Dims& d) { return of ? of->row_stride(d) : 0; }), data_(data), latent_(latent),
          parts_(make_parts(parts)) {}
    Workbench(const Workbench&) = delete;
    Workbench& operator=(const Workbench&) = delete;
    void add(std::unique_ptr<Part> p) { parts_.push_back(std::move(p)); }

    Part* find_part(const std::string& role) override {
        for (auto& p : parts_)
            if (p->role() == role) return p.get();
        return nullptr;
    }
    Fact query(const std::string& key) override {
        if (key == "latent") return latent_;
        if (key == "epochs") return std::int64_t(1);
        if (key == "data.tokens") return tokens;
        if (key == "rows") return rows;
        if (key == "labels.classes") return classes;
        if (key == "data.range") return std::vector<double>{0, 1};
        if (key == "data.shape") return data_.list();
        if (key == "data.fields") return std::string();
        if (key == "outputs") return data_.numel() * part("likelihood").fact<std::int64_t>("channels");
        throw core::Error(core::Exit::plugin, "nothing is known of " + key);
    }
    Dims field(const std::string& name) override {
        if (name == "x") return data_;
        if (const auto it = fields.find(name); it != fields.end()) return it->second;
        throw core::Error(core::Exit::data, "there is no field " + name);
    }
    core::TensorStore& tensors() override { return store; }

    /// What a bound program reads and writes.
    std::vector<float*> pointers(const core::Program& p) {
        std::vector<float*> out;
        for (const auto& t : p.tensors) {
            const core::KeptTensor* kept = store.find(t.name);
            REQUIRE_MESSAGE(kept, t.name);
            REQUIRE(kept->row_stride == t.row_stride);
            out.push_back(kept->data.get());
        }
        return out;
    }
    Doubles values(const std::string& name) {
        const core::KeptTensor* kept = store.find(name);
        REQUIRE_MESSAGE(kept, name);
        const auto all = kept->values();
        return {all.begin(), all.end()};
    }

    core::TensorStore store;
    std::int64_t tokens = 0;
    std::map<std::string, Dims> fields; ///< that a row has beside x
    std::int64_t rows = 100, classes = 3;

private:
    Dims data_;
    std::int64_t latent_;
    std::vector<std::unique_ptr<Part>> parts_;
};

} // namespace elbo::test
