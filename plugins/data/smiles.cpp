// Molecules as SMILES (Weininger 1988), one a line, as rows of tokens: an atom in brackets is one token, and so are Cl,
// Br and numbers of rings with %; every other character stands for itself.
#include "token_rows.hpp"

using namespace elbo;

namespace {

/// Bytes of the token that begins at `at`; 0 where none does.
std::size_t token_at(std::string_view s, std::size_t at) {
    const auto digit = [&](std::size_t i) { return i < s.size() && s[i] >= '0' && s[i] <= '9'; };
    if (s[at] == '[') {
        const auto close = s.find_first_of("[]", at + 1);
        return close != s.npos && s[close] == ']' && close > at + 1 ? close + 1 - at : 0;
    }
    if (s[at] == '%') return digit(at + 1) && digit(at + 2) ? 3 : 0;
    for (const char* two : {"Cl", "Br"})
        if (s.substr(at, 2) == two) return 2;
    static constexpr std::string_view kSingle = "BCNOPSFIbcnops*()-=#$:/\\.~0123456789";
    return kSingle.find(s[at]) != kSingle.npos ? 1 : 0;
}

/// What an atom in brackets may be written with; the elements themselves are not looked up.
bool is_atom(std::string_view token) {
    return std::all_of(token.begin() + 1, token.end() - 1, [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) ||
               std::string_view("@+-:*").find(c) != std::string_view::npos;
    });
}

/// The first character that is none of SMILES; npos where all are.
std::size_t first_wrong(std::string_view s) {
    for (std::size_t at = 0; at < s.size();) {
        const std::size_t n = token_at(s, at);
        if (n == 0 || (s[at] == '[' && !is_atom(s.substr(at, n)))) return at;
        at += n;
    }
    return s.npos;
}

/// "smiles", "canonical_smiles,id": a first line that names columns.
bool is_header(std::string_view line) {
    std::string lower(line.substr(0, 256));
    for (char& c : lower) c = c >= 'A' && c <= 'Z' ? char(c + 32) : c;
    return lower.find("smiles") != lower.npos;
}

} // namespace

struct Smiles : TokenRows {
    std::string path, test_path, too_long = "refuse";
    std::int64_t vocabulary = 1000, length = 0, seed = 1;
    double test = 0.1;

    void parameters(auto& p) {
        p("path", path,
          "the file, as it is or .gz, a molecule on each line; what follows it after a blank or tab is passed over; "
          "several with commas between them");
        p("test_path", test_path, "a file of test rows; none: a share of the rows is held out");
        p("vocabulary", vocabulary,
          "most numbers of tokens, that of the end and that of what is unknown among them: the most frequent tokens of "
          "the training rows",
          within(3, double(tokens::kMostIds)));
        p("length", length, "places of a row; 0: as many as the longest molecule and its end need, up to 512",
          within(0, 65536));
        p("long", too_long, "molecules that need more places: refused, or cut", one_of("refuse|cut"));
        p("test", test, "share of the molecules that is held out to test on; not where there is a test_path", fraction);
        p("seed", seed, "which ones");
    }

    elbo_rows open() override {
        if (path.empty()) throw std::runtime_error("no data given; pass --data.path with a file of SMILES");
        begin({vocabulary, length, false, too_long == "cut", test, seed});
        texts::Texts lines[ELBO_SPLITS];
        const std::vector<std::string> none[ELBO_SPLITS];
        lines[ELBO_TRAIN].read(path, false, [&](gz::Lines& in, std::string_view line) { return molecule(in, line); });
        if (!test_path.empty())
            lines[ELBO_TEST].read(test_path, false,
                                  [&](gz::Lines& in, std::string_view line) { return molecule(in, line); });
        return rows_of_lines(lines, none);
    }

protected:
    void cut(std::string_view text, const Take& take) const override {
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t n = token_at(text, at);
            take(text.substr(at, n));
            at += n;
        }
    }
    std::string pieces_name() const override { return "tokens"; }

private:
    /// The first word of a line; nothing of a header.
    std::optional<std::string_view> molecule(gz::Lines& in, std::string_view line) {
        line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
        const std::string_view first = line.substr(0, line.find_first_of(" \t"));
        const auto at = first_wrong(first);
        if (at == first.npos) return first;
        if (in.number() == 1 && is_header(line)) {
            note("the first line is a header and no molecule: " + gz::shown(line));
            return {};
        }
        refuse(in, first, at);
    }
    [[noreturn]] static void refuse(gz::Lines& in, std::string_view molecule, std::size_t at) {
        const std::size_t number = in.number();
        const std::string place = " at place " + std::to_string(at + 1) + " of " + gz::shown(molecule);
        in.check_rest();
        const char c = molecule[at];
        if (c == '[') {
            const auto n = token_at(molecule, at);
            in.fail_at(number, n == 0 ? "a bracket is opened and not closed" + place
                                      : gz::shown(molecule.substr(at, n)) + place + " is no atom in brackets");
        }
        if (c == '%') in.fail_at(number, "% is not followed by the two digits of a ring" + place);
        in.fail_at(number, gz::shown(molecule.substr(at, 1)) + place + " is no character of SMILES" +
                               (c == ',' || c == ';' ? "; give the column of molecules alone, one on each line"
                                : number == 1        ? "; if it is a header, remove the line"
                                                     : ""));
    }
};

ELBO_PLUGIN("smiles", "1.0.0", "data/smiles") { plugin.add<Smiles>("smiles", "molecules as SMILES, one a line"); }
