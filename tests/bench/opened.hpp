// A data set as a run opens it, and its rows.
#pragma once

#include <memory>

#include "core/data/rows.hpp"
#include "tests/bench/workbench.hpp"

namespace elbo::test {

struct OpenedData {
    std::unique_ptr<Part> part;
    std::unique_ptr<core::Rows> rows;
    OpenedData(const std::string& name, const std::vector<NamedValue>& values, const core::DataOptions& options = {})
        : part(make_part({"data", name, values})), rows(std::make_unique<core::Rows>(*part, options)) {}
    std::vector<float> x(std::int64_t i, core::Split split = core::Split::train) const {
        std::vector<float> out(std::size_t(rows->values()));
        rows->read(split, {&i, 1}, out.data());
        return out;
    }
};

} // namespace elbo::test
