#include <elbo/plugin.hpp>
using namespace elbo;

/// The number as it is.
struct Constant : Schedule {
    Var at(Var base) const override { return base; }
};

/// Multiplied by `factor` after every `every` epochs, or at the epochs of `at`.
struct Steps : Schedule {
    std::int64_t every = 10;
    std::vector<std::int64_t> marks;
    double factor = 0.1, warmup = 0;
    void parameters(auto& p) {
        p("every", every, "epochs between two changes", within(1, 1 << 20));
        p("at", marks, "the epochs after which it changes, instead of `every`", within(0, 1 << 20));
        p("factor", factor, "what it is multiplied by", positive);
        p("warmup", warmup, "epochs of linear growth at the beginning", not_negative);
    }

    Var at(Var base) const override {
        Var changes = elbo::floor(epoch(base) / double(every));
        if (!marks.empty()) {
            changes = constant(base, 0);
            for (std::int64_t mark : marks) changes = changes + logical_not(less(epoch(base), double(mark)));
        }
        Var share = exp(changes * std::log(factor));
        if (warmup > 0) share = share * min(1.0, (epoch(base) + 1 / steps_per_epoch(base)) / warmup);
        return base * share;
    }
};

/// base * rate^epoch, not below `floor` times the number.
struct Exponential : Schedule {
    double rate = 0.95, floor = 0;
    void parameters(auto& p) {
        p("rate", rate, "what an epoch multiplies it by", positive);
        p("floor", floor, "share of the number that is left at least", within(0, 1));
    }

    Var at(Var base) const override { return base * max(exp(epoch(base) * std::log(rate)), floor); }
};

ELBO_PLUGIN("schedule_step", "1.0.0", "schedule/constant schedule/step schedule/exponential") {
    plugin.add<Constant>("constant", "the number as it is");
    plugin.add<Steps>("step", "multiplied by a factor every so many epochs");
    plugin.add<Exponential>("exponential", "multiplied by a rate every epoch");
}
