"""`jobctl completion`: the shells' completion scripts. What they offer is decided in complete.py: they ask it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobctl.host.settings import Settings

FILES = {"bash": "jobctl.bash", "zsh": "_jobctl", "fish": "jobctl.fish"}  # their names in completions/

SCRIPTS = {
    "bash": """\
# jobctl's completion for bash. For this shell:  source <(jobctl completion bash)
# For good: save it as ~/.local/share/bash-completion/completions/jobctl

_jobctl() {
    # Nothing is evaluated, split or expanded here, and no program of the folder that one is in is run.
    local program=jobctl found=()
    [[ $1 == /* ]] && program=$1
    mapfile -t found < <("$program" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    COMPREPLY=()
    case ${found[0]} in
        :files) compopt -o default ;;
        :folders) compopt -o dirnames ;;
        *) COMPREPLY=("${found[@]%%$'\\t'*}") ;;
    esac
}
complete -F _jobctl jobctl
""",
    "zsh": """\
#compdef jobctl
# jobctl's completion for zsh. For this shell:  source <(jobctl completion zsh)
# For good: save it as _jobctl in a folder of $fpath

_jobctl() {
    local -a found
    local program=jobctl
    [[ $words[1] == /* ]] && program=$words[1]
    found=("${(@f)$("$program" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    case $found[1] in
        :files) _files ;;
        :folders) _files -/ ;;
        ?*) found=("${found[@]/$'\\t'/:}"); _describe jobctl found ;;
    esac
}
if [[ $funcstack[1] == _jobctl ]]; then _jobctl; else compdef _jobctl jobctl; fi
""",
    "fish": """\
# jobctl's completion for fish. For this shell:  jobctl completion fish | source
# For good: save it as ~/.config/fish/completions/jobctl.fish

function __jobctl_complete
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    set -l program jobctl
    string match -q '/*' -- $before[1]; and set program $before[1]
    set -l found ($program __complete $before[2..-1] "$current" 2>/dev/null)
    switch "$found[1]"
        case :files
            __fish_complete_path "$current"
        case :folders
            __fish_complete_directories "$current"
        case '*'
            printf '%s\\n' $found
    end
end
complete -c jobctl -f -a '(__jobctl_complete)'
""",
}


def main(settings: Settings, *, shell: str) -> int:  # noqa: ARG001
    print(SCRIPTS[shell], end="")
    return 0
