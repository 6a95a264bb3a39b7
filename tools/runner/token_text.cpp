#include "tools/runner/token_text.hpp"

#include <fmt/format.h>

#include "tools/runner/results.hpp"

namespace elbo::tools {

namespace fs = std::filesystem;

std::optional<TokenText> TokenText::wanted(const Arguments& arguments, const OpenRun& open) {
    if (!open.rows().are_tokens() || open.token_names().empty()) return {};
    if (!arguments.has("out")) return TokenText(open, "");
    const fs::path out = out_file(arguments, open, "", {".txt", ".npy", ".csv"});
    if (out.extension() != ".txt") return {};
    return TokenText(open, out.string());
}

TokenText::TokenText(const OpenRun& open, const std::string& file)
    : lines_(open.token_names()), values_(std::size_t(open.rows().values())), name_(file) {
    if (!file.empty()) file_ = std::make_shared<core::AtomicFile>(file);
}

std::string TokenText::line(std::span<const float> rows, std::int64_t i) const {
    return line(rows.subspan(std::size_t(i) * values_, values_));
}

void TokenText::add(const std::string& line) {
    if (file_) file_->write(line + "\n");
    else fmt::print("{}\n", line);
}

void TokenText::add_rows(std::span<const float> rows) {
    for (std::size_t i = 0; i < rows.size() / values_; ++i) add(line(rows, std::int64_t(i)));
}

void TokenText::finish() {
    if (!file_) return;
    file_->commit();
    fmt::print("{}\n", name_);
}

} // namespace elbo::tools
