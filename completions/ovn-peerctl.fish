# Completion of ovn-peerctl for fish. The program itself says what may stand at the cursor, so this file knows no command.

function __ovn_peerctl_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct | string unescape)
    set -l found ($words[1] complete -- $words[2..] "$current" 2>/dev/null)
    if test $status -eq 10
        __fish_complete_path "$current"
        return
    end
    printf '%s\n' $found
end

complete -c ovn-peerctl -f -a '(__ovn_peerctl_complete)'
