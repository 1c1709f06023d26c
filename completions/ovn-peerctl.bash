# Completion of ovn-peerctl for bash, with bash-completion's functions. The program itself says what may stand at the
# cursor, so this file knows no command.

_ovn_peerctl() {
    local cur words cword found status word
    local -a candidates=()
    COMPREPLY=()
    _get_comp_words_by_ref -n '=:' cur words cword
    # As it will be read: without a quote that is still open, and without backslashes.
    local quote=${cur:0:1} typed=${cur//\\/}
    [[ $quote == [\'\"] ]] && typed=${cur:1} || quote=
    found=$("$1" complete -- "${words[@]:1:cword-1}" "$typed" 2>/dev/null)
    status=$?
    if [[ $status -eq 10 ]]; then
        compopt -o default
        return
    fi
    [[ -n $found ]] && mapfile -t candidates <<<"$found"
    for word in "${candidates[@]}"; do
        word=${word%%$'\t'*}
        [[ -n $quote || $word != *[!A-Za-z0-9_./,:=@%+-]* ]] || printf -v word %q "$word"
        COMPREPLY+=("$word")
    done
    # A value follows.
    [[ ${#COMPREPLY[@]} -ne 1 || ${COMPREPLY[0]} != *= ]] || compopt -o nospace
    # Readline replaces what stands behind the last of these characters.
    if [[ -z $quote && $cur == *[=:]* ]]; then
        local before=${cur%"${cur##*[=:]}"} index
        for index in "${!COMPREPLY[@]}"; do
            COMPREPLY[index]=${COMPREPLY[index]#"$before"}
        done
    fi
}
complete -F _ovn_peerctl ovn-peerctl
