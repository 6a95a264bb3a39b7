// completion: scripts for shells. They ask the program itself, so that parts of plugins complete too.
#include <fmt/format.h>

#include <map>

#include "core/base/error.hpp"
#include "tools/runner/words.hpp"

namespace elbo::tools {

namespace {

// Words come as they are typed: quotes and backslashes are taken away before the program is asked, and readline puts
// those back that names of files need.
constexpr const char* kBash = R"sh(# bash completion of model-runner: eval "$(model-runner completion bash)"
_model_runner() {
    local program=${COMP_WORDS[0]/#\~\//$HOME/} word line
    local -a words=()
    for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
        word=${word//\\/}
        word=${word#[\"\']}
        words+=("${word%[\"\']}")
    done
    local typed=${words[${#words[@]} - 1]}
    [[ $typed == = ]] && typed=
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
            :files | :folders)
                compopt -o filenames 2>/dev/null
                local what=-f
                [[ $line == :folders ]] && what=-d
                mapfile -t COMPREPLY < <(compgen "$what" -- "$typed")
                ;;
            :runs) compopt -o filenames 2>/dev/null ;;
            *)
                COMPREPLY+=("${line%%$'\t'*}")
                [[ ${COMPREPLY[0]} == *: ]] && compopt -o nospace 2>/dev/null
                ;;
        esac
    done < <("$program" complete -- "${words[@]}" 2>/dev/null)
}
complete -F _model_runner model-runner
)sh";

constexpr const char* kZsh = R"sh(#compdef model-runner
# zsh completion of model-runner: as _model-runner in a folder of $fpath, or: source <(model-runner completion zsh)
_model_runner() {
    local program=${(Q)words[1]} line
    program=${program/#\~\//$HOME/}
    local -a names shown how
    for line in "${(@f)$("$program" complete -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)}"; do
        case $line in
            '') ;;
            :files) _files; return ;;
            :folders) _files -/; return ;;
            :runs) how=(-f) ;;
            *)
                names+=("${line%%$'\t'*}")
                shown+=("${line/$'\t'/  -- }")
                [[ ${names[-1]} == *[:/] ]] && how+=(-S '')
                ;;
        esac
    done
    (( ${#names} )) || return
    if [[ "$shown" == "$names" ]]; then
        compadd "${how[@]}" -a names
    else
        compadd "${how[@]}" -l -d shown -a names
    fi
}
if [[ ${funcstack[1]} == _model-runner ]]; then
    _model_runner "$@"
else
    compdef _model_runner model-runner
fi
)sh";

constexpr const char* kFish = R"sh(# fish completion of model-runner: model-runner completion fish | source
function __model_runner_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    set -l program (string replace -r '^~(?=/)' $HOME -- $words[1])
    for line in ($program complete -- $words[2..-1] "$typed" 2>/dev/null)
        switch $line
            case ':files'
                __fish_complete_path "$typed"
            case ':folders'
                __fish_complete_directories "$typed"
            case ':runs'
            case '*'
                echo $line
        end
    end
end
complete -c model-runner -f -a '(__model_runner_complete)'
)sh";

int completion(const Arguments& arguments, core::Registry&) {
    const std::map<std::string, const char*> scripts{{"bash", kBash}, {"fish", kFish}, {"zsh", kZsh}};
    const auto script = scripts.find(arguments.operand);
    if (script == scripts.end())
        throw core::Error(core::Exit::usage,
                          fmt::format("there is no completion for '{}'{}", arguments.operand,
                                      core::did_you_mean(arguments.operand, {"bash", "fish", "zsh"})))
            .note("there are bash, zsh, fish");
    fmt::print("{}", script->second);
    return 0;
}

const VerbEntry entry({.order = 210,
                       .name = "completion",
                       .operand = "SHELL",
                       .summary = "a script that completes words in a shell: bash, zsh or fish",
                       .computes = false,
                       .run = completion});

} // namespace
} // namespace elbo::tools
