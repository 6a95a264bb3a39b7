#include <elbo/plugin.hpp>
using namespace elbo;

/// From 0 to the number and there for the rest of the cycle, again and again (Fu et al. 2019: against a KL that
/// vanishes).
struct Cyclic : Schedule {
    std::int64_t cycles = 4;
    double rise = 0.5;
    void parameters(auto& p) {
        p("cycles", cycles, "over the whole run", within(1, 1 << 20));
        p("rise", rise, "share of a cycle in which it grows", within(0.001, 1));
    }

    Var at(Var base) const override {
        Var turn = epoch(base) * (double(cycles) / double(epochs(base)));
        return base * min(1.0, (turn - elbo::floor(turn)) / rise);
    }
};
ELBO_PLUGIN("schedule_cyclic", "1.0.0", "schedule/cyclic") {
    plugin.add<Cyclic>("cyclic", "grows from 0 and stays, again and again");
}
