#!/usr/bin/env bats
# What shells complete: it is what the programs say of themselves.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

SCRIPTS=$DRAY_BUILD/dist/completion

@test "the words that shells complete are those of the programs' --help" {
  "$DRAY_TOP/tools/completion" --check "$DRAY_BUILD"
}

# completed WORD…: what bash makes of these words, the last one to be completed; one a line.
completed() {
  # a shell of its own, as interactive ones are: no set -e, no traps of bats'
  bash --norc --noprofile -c '
    . "$1/bash/$2"
    COMP_WORDS=("${@:2}") COMP_CWORD=$(($# - 2))
    f=$(complete -p "$2") f=${f#*-F } f=${f%% *}
    "$f" && [ ${#COMPREPLY[@]} -eq 0 ] || printf "%s\n" "${COMPREPLY[@]}"
  ' completed "$SCRIPTS" "$@"
}

@test "bash completes commands, options, and their values" {
  cd "$WORK"
  mkdir -p dir/inner
  touch a-file
  [ "$(completed dray ca)" = cache ]
  [ "$(completed dray cache ver)" = verify ]
  [ "$(completed dray up --wo)" = --workers ]
  # a value is no command
  [ "$(completed dray up --workers cache --sl)" = --slots ]
  [ "$(completed dray up --workers = 3 --sl)" = --slots ]
  [ -z "$(completed dray up --workers '')" ]
  [ "$(completed dray up --dir '')" = dir ]
  [ "$(completed dray up --dir = di)" = dir ]
  [ "$(completed dray keygen a)" = a-file ]
  [ "$(completed dray-worker --coordinator-k)" = --coordinator-key ]
  [ "$(completed dray-coordinator --identity a)" = a-file ]
  [ "$(completed dray help sw)" = sweep ]
  [ "$(completed drayctl key rev)" = revoke ]
  # a command's own arguments are not ours
  completed dray run -j 2 -- tru | grep -qx true
  [ "$(completed dray run -- cargo a)" = a-file ]
  completed dray '' | grep -qx doctor
  [ -z "$(completed dray nonsense-)" ]
}

@test "zsh and fish take theirs" {
  local f some=
  for f in "$SCRIPTS"/zsh/_* "$SCRIPTS"/fish/*.fish; do
    [ -s "$f" ]
  done
  if command -v zsh >/dev/null; then
    some=yes
    for f in "$SCRIPTS"/zsh/_*; do
      zsh -n "$f"
    done
  fi
  if command -v fish >/dev/null; then
    some=yes
    export HOME=$WORK XDG_CONFIG_HOME=$WORK XDG_DATA_HOME=$WORK
    [ "$(fish -N -c "source $SCRIPTS/fish/dray.fish; complete -C 'dray ca'" | cut -f 1)" = cache ]
    [ "$(fish -N -c "source $SCRIPTS/fish/dray.fish; complete -C 'dray cache g'" | cut -f 1)" = gc ]
    [ "$(fish -N -c "source $SCRIPTS/fish/dray.fish; complete -C 'dray up --workers 3 --sl'" | cut -f 1)" = --slots ]
  fi
  [ -n "$some" ] || skip "neither zsh nor fish is there"
}
