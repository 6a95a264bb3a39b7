#include "tools/runner/results.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "core/base/error.hpp"
#include "core/data/batches.hpp"
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

std::vector<float> outputs_of(const OpenRun& open, const std::string& purpose, Split split, std::int64_t first,
                              std::int64_t count) {
    std::vector<float> all;
    std::uint64_t step = 0;
    core::Session& session = open.session();
    core::for_batches(open.rows(), session.fields(), split, first, count, open.config.batch,
                      [&](const core::RowsInMemory& b) {
                          session.run(purpose, b.x.data(), b.n, ++step, b.fields);
                          const auto out = session.output(purpose);
                          all.insert(all.end(), out.begin(), out.end());
                      });
    return all;
}

std::vector<float> samples_of(core::Session& session, std::int64_t count, std::uint64_t seed,
                              std::optional<std::int64_t> label) {
    std::vector<std::vector<float>> values;
    std::vector<const float*> fields;
    for (const std::string& name : session.fields()) {
        const auto& all = session.settings().fields;
        const auto f = std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.name == name; });
        std::vector<float> v(std::size_t(count * f->dims.numel()));
        if (label && (*label < 0 || *label >= f->classes))
            throw Error(Exit::usage, fmt::format("--label: there are classes 0..{}", f->classes - 1));
        for (std::size_t i = 0; f->classes > 0 && i < v.size(); ++i)
            v[i] = float(label ? *label : std::int64_t(i) % f->classes);
        values.push_back(std::move(v));
    }
    if (label && values.empty()) throw Error(Exit::usage, "--label: the model takes no classes");
    for (const auto& v : values) fields.push_back(v.data());
    session.run("sample", nullptr, count, seed, fields.data());
    const auto x = session.output("sample");
    return {x.begin(), x.end()};
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
