import type { Shell } from './complete.ts';

/** What each shell runs once, so that Tab asks `cellar __complete`. The command's own tree answers: there is nothing to keep in step. */
export const completionScripts: Readonly<Record<Shell, string>> = {
  bash: `# cellar completion bash: put into ~/.bashrc: source <(cellar completion bash)
_cellar() {
  local IFS=$'\\n' line
  COMPREPLY=()
  while IFS=$'\\t' read -r line _; do COMPREPLY+=("$line"); done < <("$1" __complete bash "\${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
  if [[ \${#COMPREPLY[@]} -eq 1 && ( \${COMPREPLY[0]} == */ || \${COMPREPLY[0]} == cellar: ) ]]; then compopt -o nospace; fi
}
complete -o nosort -F _cellar cellar
`,
  zsh: `#compdef cellar
# cellar completion zsh: put into ~/.zshrc, after compinit: source <(cellar completion zsh)
_cellar() {
  local line value
  local -a ends opens endings openings
  while IFS=$'\\t' read -r value line; do
    if [[ $value == */ || $value == cellar: ]]; then
      opens+=("$value"); openings+=("$value\${line:+  -- $line}")
    else
      ends+=("$value"); endings+=("$value\${line:+  -- $line}")
    fi
  done < <("$words[1]" __complete zsh "$LBUFFER" 2>/dev/null)
  (( $#ends )) && compadd -Q -l -d endings -a ends
  (( $#opens )) && compadd -Q -S '' -l -d openings -a opens
}
compdef _cellar cellar
`,
  fish: `# cellar completion fish: put into ~/.config/fish/completions/cellar.fish
complete -c cellar -f -a '(cellar __complete fish (commandline -cp))'
`,
};
