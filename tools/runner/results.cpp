#include "tools/runner/results.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "core/base/error.hpp"
#include "core/files/arrays.hpp"

namespace elbo::tools {

using core::Error;
using core::Exit;
using core::Split;
namespace fs = std::filesystem;

std::string name_of(Split split) { return split == Split::train ? "train" : "test"; }

Split split_of(const Arguments& arguments, const core::Rows& rows) {
    const std::string name = arguments.value("split").value_or("test");
    if (name != "train" && name != "test")
        throw Error(Exit::usage, fmt::format("--split: '{}'; there are train, test", name));
    const Split split = name == "train" ? Split::train : Split::test;
    if (rows.count(split) == 0) throw Error(Exit::data, fmt::format("the data has no {} rows", name));
    return split;
}

std::vector<float> values_of(const core::Rows& rows, Split split, std::int64_t first, std::int64_t count) {
    std::vector<float> x(std::size_t(count * rows.values()));
    std::vector<std::int64_t> which(static_cast<std::size_t>(count));
    std::iota(which.begin(), which.end(), first);
    rows.read(split, which, x.data());
    return x;
}

std::vector<float> outputs_of(const OpenRun& open, const std::string& purpose, Split split, std::int64_t first,
                              std::int64_t count) {
    std::vector<float> all;
    std::uint64_t step = 0;
    for (std::int64_t at = 0; at < count; at += open.config.batch) {
        const std::int64_t n = std::min(open.config.batch, count - at);
        const std::vector<float> x = values_of(open.rows(), split, first + at, n);
        open.session().run(purpose, x.data(), n, ++step);
        const auto out = open.session().output(purpose);
        all.insert(all.end(), out.begin(), out.end());
    }
    return all;
}

fs::path out_file(const Arguments& arguments, const OpenRun& open, const std::string& fallback,
                  const std::vector<std::string>& endings) {
    const fs::path out = arguments.value("out").value_or((open.run.folder() / fallback).string());
    if (std::find(endings.begin(), endings.end(), out.extension().string()) != endings.end()) return out;
    throw Error(Exit::usage, fmt::format("--out: '{}' must end in {}", out.string(), fmt::join(endings, " or ")));
}

void write_array(const fs::path& file, const std::vector<float>& values, const core::Dims& dims,
                 const std::string& column) {
    if (file.extension() == ".npy") return core::write_npy(file, values, dims);
    std::vector<std::string> header;
    for (std::int64_t i = 0; i < dims.row(); ++i) header.push_back(column + std::to_string(i));
    core::write_csv(file, header, std::vector<double>(values.begin(), values.end()));
}

void print_result(const Arguments& arguments, const std::function<std::string()>& json,
                  const std::function<std::string()>& text) {
    fmt::print("{}", arguments.has("json") ? json() + "\n" : text());
}

} // namespace elbo::tools
