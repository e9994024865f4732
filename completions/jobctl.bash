# jobctl's completion for bash. For this shell:  source <(jobctl completion bash)
# For good: save it as ~/.local/share/bash-completion/completions/jobctl

_jobctl() {
    local IFS=$'\n' found
    found=($("$1" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
    case ${found[0]} in
        :files) compopt -o filenames; COMPREPLY=($(compgen -f -- "$2")) ;;
        :folders) compopt -o filenames; COMPREPLY=($(compgen -d -- "$2")) ;;
        *) COMPREPLY=("${found[@]%%$'\t'*}") ;;
    esac
}
complete -F _jobctl jobctl
