// A parameter of more values than can be counted.
#include <elbo/plugin.hpp>
using namespace elbo;

struct Vast : Encoder {
    Var features(Var x) const override {
        Var rows = flatten(x);
        const std::int64_t much = std::int64_t(1) << 40;
        Var weight = parameter(rows, "weight", {much, much}, Init::zeros());
        return rows + sum(weight, {0, 1});
    }
};
ELBO_PLUGIN("vast", "1.0.0", "encoder/vast") { plugin.add<Vast>("vast", "more than can be counted"); }
