// What a method takes and gives, in sizes: the signature that its kind states (elbo/methods.hpp), checked wherever the
// method is called, so that the part that breaks it is the one that is named.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/graph/tape.hpp"
#include "core/host/part.hpp"

namespace elbo::core {

class Environment;

/// One call of a method.
class Contract {
public:
    Contract(const Tape& tape, Environment& environment, const Part& part, const MethodInfo& method)
        : tape_(tape), environment_(environment), part_(part), method_(method) {}

    /// Throws Error (plugin) naming the method, the size it takes, the size it was given and the caller's line.
    void check_operands(std::span<const NodeId> in, elbo_site site);
    /// Throws Error (plugin) naming the part, the size it gave, the size it owes and the line of the result.
    void check_results(std::span<const NodeId> out);

private:
    using Pattern = Signature::Pattern;
    std::vector<const Pattern*> spread(const std::vector<Pattern>& patterns, std::size_t n, bool operands) const;
    bool fits(const Pattern& p, const Dims& d);
    bool fits_item(const std::string& item, std::int64_t size);
    std::optional<Dims> known(const std::string& item);
    std::string text(const Pattern& p);

    const Tape& tape_;
    Environment& environment_;
    const Part& part_;
    const MethodInfo& method_;
    std::map<std::string, Dims> bound_; ///< what names stand for so far
    int leading_ = 0;                   ///< dimensions that ~ stands for
};

} // namespace elbo::core
