#include <elbo/plugin.hpp>
using namespace elbo;

/// Another optimizer, whose gradients are first scaled down to a norm over all tensors of at most `max_norm` (Pascanu
/// et al. 2013): --optimizer clip_norm --inner adam --inner.lr 1e-3.
struct ClipNorm : Optimizer {
    Scheduled max_norm = 1;
    void parameters(auto& p) { p("max_norm", max_norm, "largest norm of all gradients together", positive); }
    std::string uses() const override { return "inner:optimizer=adam"; }

    Vars gradients(const Vars& all) const override {
        auto inner = the<Optimizer>(all.at(0), "inner");
        Var squares = sum_all(square(all[0]));
        for (std::size_t i = 1; i < all.size(); ++i) squares = squares + sum_all(square(all[i]));
        Var scale = min(1.0, max_norm(squares) / (sqrt(squares) + 1e-12));
        Vars out;
        for (Var g : all) out.push_back(g * scale);
        return inner.gradients(out);
    }
    Var update(Var parameter, Var gradient) const override {
        return the<Optimizer>(parameter, "inner").update(parameter, gradient);
    }
};
/// The same, each value of a gradient by itself kept within +-`max_value`.
struct ClipValue : Optimizer {
    Scheduled max_value = 0.5;
    void parameters(auto& p) { p("max_value", max_value, "largest size of a value of a gradient", positive); }
    std::string uses() const override { return "inner:optimizer=adam"; }

    Vars gradients(const Vars& all) const override {
        Vars out;
        for (Var g : all) {
            Var most = max_value(g);
            out.push_back(min(max(g, -most), most));
        }
        return the<Optimizer>(all.at(0), "inner").gradients(out);
    }
    Var update(Var parameter, Var gradient) const override {
        return the<Optimizer>(parameter, "inner").update(parameter, gradient);
    }
};
ELBO_PLUGIN("optimizer_clip", "1.1.0", "optimizer/clip_norm optimizer/clip_value") {
    plugin.add<ClipValue>("clip_value", "another optimizer, each value of its gradients clipped");
    plugin.add<ClipNorm>("clip_norm", "another optimizer, gradients clipped by their norm");
}
