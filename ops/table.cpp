#include "ops/table.hpp"

#include "ops/support.hpp"

namespace elbo::ops {

const core::OpTable& table() {
    static const core::OpTable all = [] {
        core::OpTable t;
        add_sources(t);
        add_noise(t);
        add_unary(t);
        add_binary(t);
        add_reductions(t);
        add_shapes(t);
        add_matmul(t);
        return t;
    }();
    return all;
}

} // namespace elbo::ops
