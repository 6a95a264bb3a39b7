#include "ops/table.hpp"

#include "ops/support.hpp"

namespace elbo::ops {

namespace {

// Inside a function: files register before main, in any order.
std::vector<Registered::Add>& files() {
    static std::vector<Registered::Add> all;
    return all;
}

} // namespace

Registered::Registered(Add add) { files().push_back(add); }

OpTable Registered::table() {
    OpTable all;
    for (Add add : files()) add(all);
    return all;
}

const core::OpTable& table() {
    static const core::OpTable all = Registered::table();
    return all;
}

} // namespace elbo::ops
