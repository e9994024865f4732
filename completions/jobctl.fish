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
            printf '%s\n' $found
    end
end
complete -c jobctl -f -a '(__jobctl_complete)'
