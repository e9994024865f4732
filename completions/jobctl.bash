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
        *) COMPREPLY=("${found[@]%%$'\t'*}") ;;
    esac
}
complete -F _jobctl jobctl
