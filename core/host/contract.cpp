#include "core/host/contract.hpp"

#include <fmt/format.h>

#include "core/host/environment.hpp"

namespace elbo::core {

namespace {

std::vector<Signature::Pattern> parse_list(const std::string& text) {
    std::vector<Signature::Pattern> out;
    std::size_t at = 0;
    auto skip = [&] {
        while (at < text.size() && (text[at] == ' ' || text[at] == ',')) ++at;
    };
    for (skip(); at < text.size(); skip()) {
        const std::size_t close = text.find(']', at);
        if (text[at] != '[' || close == std::string::npos)
            throw Error(Exit::plugin, fmt::format("'{}' is no signature like [B, L] -> [B]", text));
        Signature::Pattern p;
        std::string item;
        for (char c : text.substr(at + 1, close - at - 1) + ",") {
            if (c == ',' && !item.empty()) p.items.push_back(item), item.clear();
            else if (c != ' ' && c != ',') item += c;
        }
        at = close + 1;
        if (at < text.size() && (text[at] == '*' || text[at] == '?')) p.many = text[at++];
        out.push_back(std::move(p));
    }
    return out;
}

bool any(const std::string& item) { return item == "..."; }
bool sequence(const std::string& item) { return item == "~" || item.ends_with("..."); }

} // namespace

Signature parse_signature(const std::string& text) {
    const auto arrow = text.find("->");
    if (arrow == std::string::npos)
        throw Error(Exit::plugin, fmt::format("'{}' is no signature like [B, L] -> [B]", text));
    return {parse_list(text.substr(0, arrow)), parse_list(text.substr(arrow + 2))};
}

// The sizes that the run itself knows.
std::optional<Dims> Contract::known(const std::string& item) {
    if (auto it = bound_.find(item); it != bound_.end()) return it->second;
    auto whole = [&](const char* key) { return std::get<std::int64_t>(environment_.query(key)); };
    auto shape = [&] { return std::get<std::vector<std::int64_t>>(environment_.query("data.shape")); };
    if (item == "L") return bound_[item] = Dims{whole("latent")};
    if (item == "O") return bound_[item] = Dims{whole("outputs")};
    if (item == "X...") return bound_[item] = Dims(shape());
    if (item == "D") return bound_[item] = Dims{Dims(shape()).numel()};
    if (item[0] >= '0' && item[0] <= '9') return Dims{std::stoll(item)};
    return {};
}

bool Contract::fits_item(const std::string& item, std::int64_t size) {
    if (const auto want = known(item)) return (*want)[0] == size;
    bound_[item] = Dims{size};
    return true;
}

// A pattern holds at most one sequence: what stands before and after it is matched from the ends.
bool Contract::fits(const Pattern& p, const Dims& d) {
    std::size_t seq = 0;
    while (seq < p.items.size() && !sequence(p.items[seq])) ++seq;
    if (seq == p.items.size() ? d.rank != int(seq) : d.rank < int(p.items.size()) - 1) {
        if (seq == p.items.size() || p.items[seq] != "~") return false;
    }
    const bool broadcasts = seq < p.items.size() && p.items[seq] == "~";
    if (broadcasts) { // the leading dimensions of all operands broadcast; what follows them is the part's affair
        Dims lead;
        for (int i = 0; i < std::min(leading_, d.rank); ++i) lead.push(d[i]);
        const auto both = broadcast(bound_.count("~") ? bound_["~"] : Dims{}, lead);
        if (!both) return false;
        bound_["~"] = *both;
        const bool loose = p.items.size() > 1 && any(p.items.back());
        if (!loose && d.rank != leading_ + int(p.items.size()) - 1) return false;
        for (std::size_t i = 1; !loose && i < p.items.size(); ++i)
            if (!fits_item(p.items[i], d[leading_ + int(i) - 1])) return false;
        return true;
    }
    for (std::size_t i = 0; i < std::min(seq, p.items.size()); ++i)
        if (!fits_item(p.items[i], d[int(i)])) return false;
    if (seq == p.items.size()) return true;
    const int after = int(p.items.size() - seq) - 1;
    Dims middle;
    for (int i = int(seq); i < d.rank - after; ++i) middle.push(d[i]);
    if (!any(p.items[seq])) {
        if (const auto want = known(p.items[seq])) {
            if (!(*want == middle)) return false;
        } else {
            bound_[p.items[seq]] = middle;
        }
    } else if (!bound_.count("...")) {
        bound_["..."] = middle;
    }
    for (int i = 0; i < after; ++i)
        if (!fits_item(p.items[seq + 1 + std::size_t(i)], d[d.rank - after + i])) return false;
    return true;
}

std::string Contract::text(const Pattern& p) {
    std::string out;
    for (const auto& item : p.items) {
        std::string one = item;
        if (!any(item))
            if (const auto k = known(item)) {
                one = k->text();
                one = one.substr(1, one.size() - 2);
            }
        if (!one.empty()) out += (out.empty() ? "" : ", ") + one;
    }
    return "[" + out + "]";
}

// Which pattern each value answers to. At most one pattern of a list takes any number.
std::vector<const Signature::Pattern*> Contract::spread(const std::vector<Pattern>& patterns, std::size_t n,
                                                        bool operands) const {
    std::size_t least = 0;
    bool open = false, optional = false;
    for (const Pattern& p : patterns) {
        least += p.many == 0;
        open |= p.many == '*';
        optional |= p.many == '?';
    }
    if (n < least || (!open && n > least + optional)) {
        const std::string how_many = fmt::format("{}{}", least, open ? " or more" : optional ? " or one more" : "");
        throw Error(Exit::plugin, operands ? fmt::format("{} of {} takes {} operand{} and is given {}", method_.name,
                                                         part_.label(), how_many, least == 1 ? "" : "s", n)
                                           : fmt::format("{} of {} must give {} value{} and gives {}", method_.name,
                                                         part_.label(), how_many, least == 1 ? "" : "s", n));
    }
    std::vector<const Pattern*> out;
    for (const Pattern& p : patterns) {
        const std::size_t times = p.many == '*' ? n - least : p.many == '?' ? std::min<std::size_t>(n - least, 1) : 1;
        out.insert(out.end(), times, &p);
    }
    return out;
}

void Contract::check_operands(std::span<const NodeId> in, elbo_site site) {
    try {
        const auto patterns = spread(method_.signature.in, in.size(), true);
        if (!in.empty() && !patterns.back()->items.empty() && patterns.back()->items[0] == "~")
            leading_ = std::max(0, tape_.dims(in.back()).rank - int(patterns.back()->items.size()) + 1);
        for (std::size_t i = 0; i < in.size(); ++i)
            if (!fits(*patterns[i], tape_.dims(in[i])))
                throw Error(Exit::plugin,
                            fmt::format("{} of {} takes {} as operand {} and is given {}", method_.name, part_.label(),
                                        text(*patterns[i]), i + 1, tape_.dims(in[i]).text()));
    } catch (Error& e) {
        if (e.where().empty()) e.set_where(place_text(site));
        throw;
    }
}

void Contract::check_results(std::span<const NodeId> out) {
    const auto& patterns = method_.signature.out;
    // "[..., L] -> [...]": what the dots stood for among the operands.
    const bool same_dots = patterns.size() == 1 && patterns[0].items.size() == 1 && any(patterns[0].items[0]) &&
                           patterns[0].many == 0 && bound_.count("...") && method_.signature.in[0].many == 0;
    const auto spread_out = spread(patterns, out.size(), false);
    for (std::size_t i = 0; i < out.size(); ++i) {
        const Dims& got = tape_.dims(out[i]);
        const bool lead = spread_out[i]->items.size() == 1 && spread_out[i]->items[0] == "~";
        if (same_dots || lead) {
            const Dims want = bound_[lead ? "~" : "..."];
            if (got == want) continue;
            throw Error(
                Exit::plugin,
                fmt::format("{} of {} must be {} and is {}", method_.name, part_.label(), want.text(), got.text()),
                tape_.where(out[i]));
        }
        if (!fits(*spread_out[i], got))
            throw Error(Exit::plugin,
                        fmt::format("{} of {} must be {} and is {}", method_.name, part_.label(), text(*spread_out[i]),
                                    got.text()),
                        tape_.where(out[i]));
    }
}

} // namespace elbo::core
