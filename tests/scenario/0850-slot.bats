#!/usr/bin/env bats
# dray slot: any command as one of the local slots, as if it were run by itself.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"

scenario_setup() {
  export DRAY_CACHE=on DRAY_LOCAL_SLOTS=1 DRAY_LOCAL_MEMORY=0 DRAY_OFFLOAD=never
  SLOTS=$DRAY_CACHE_DIR/slots
}

# start COMMAND…: in the background, in a process group of its own; $PID.
start() {
  (exec env --default-signal=INT,QUIT setsid "$@") >"$LOGS/started.out" 2>"$LOGS/started.err" </dev/null 3>&- &
  PID=$!
  STARTED+=("$PID")
}
# ends SECONDS STATUS: that is how it ends.
ends() {
  local status=0
  gone_within "$1" "$PID" || { echo "it still runs" >&2; return 1; }
  wait "$PID" || status=$?
  [ "$status" -eq "$2" ] || { echo "status $status, not $2" >&2; return 1; }
}
# gate NAME: a script that says that it runs, by the file NAME.in, and then waits for NAME.out.
gate() {
  printf '#!/bin/bash\n%s\n: >%q.in\nuntil [ -e %q.out ]; do sleep 0.02; done\n' "${2:-}" "$WORK/$1" "$WORK/$1" >"$WORK/$1"
  chmod +x "$WORK/$1"
}
begun() {
  wait_until 20 test -e "$WORK/$1.in"
}
# is_free: a slot can be taken now. (Where a process is killed, its lock ends a moment later.)
is_free() {
  flock -n "$SLOTS/slot-0" true
}

@test "arguments, environment, directory, descriptors, text and status are the command's own" {
  cat >"$WORK/say" <<'END'
#!/bin/bash
printf '<%s>' "$@"
pwd
env -0 | sort -z | grep -zv '^_=' | tr '\0' '\n'
ls -l /proc/self/fd | sed -n 's/.* \([0-9]* -> .*\)/\1/p' | grep -v 'proc/'
grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status
ulimit -a
umask
cat
cat <&7
echo said >&2
exit 135
END
  chmod +x "$WORK/say"
  echo seven >"$WORK/seven"
  try() {
    local status=0
    (
      cd "$WORK"
      umask 027
      trap '' INT USR2
      printf 'in\0put' | env 'not-a-name=1' "A=x y" "$@" "$WORK/say" -h --help -- "a b" '' $'c\nd' 7<"$WORK/seven"
    ) >"$WORK/out" 2>"$WORK/err" 3>&- || status=$?
    echo "$status" >>"$WORK/out"
    sed -i 's/pipe:\[[0-9]*\]/pipe/' "$WORK/out"
  }
  try
  mv "$WORK/out" "$WORK/plain.out"
  mv "$WORK/err" "$WORK/plain.err"
  grep -q '^135$' "$WORK/plain.out"
  grep -q seven "$WORK/plain.out"
  try "$DRAY" slot --
  diff "$WORK/plain.out" "$WORK/out"
  diff "$WORK/plain.err" "$WORK/err"
  try "$DRAY" slot
  diff "$WORK/plain.out" "$WORK/out"
}

@test "signals reach the command, and a signal that ends it ends dray" {
  local sig
  cat >"$WORK/trap" <<END
#!/bin/bash
for s in HUP INT QUIT TERM USR1 USR2 WINCH; do trap "echo \$s >>$WORK/got" \$s; done
: >$WORK/ready
until [ -e $WORK/stop ]; do sleep 0.02; done
exit 7
END
  chmod +x "$WORK/trap"
  start "$DRAY" slot "$WORK/trap"
  wait_until 10 test -e "$WORK/ready"
  for sig in HUP INT QUIT TERM USR1 USR2 WINCH; do
    kill "-$sig" "$PID"
    wait_until 10 file_has "$WORK/got" "$sig"
  done
  [ "$(wc -l <"$WORK/got")" -eq 7 ]
  : >"$WORK/stop"
  ends 10 7
  for sig in TERM:143 INT:130 KILL:137 USR1:138; do
    run "$DRAY" slot sh -c "kill -${sig%:*} \$\$"
    [ "$status" -eq "${sig#*:}" ]
    [ -z "$output" ]
  done
}

# A terminal sends to the whole group: the command has it by itself, and twice would be another thing to what counts.
# Two that come close together are one for the kernel; so it is seen by a command that has left the group.
@test "Ctrl-C at a terminal is the terminal's to give" {
  cat >"$WORK/command" <<END
#!/usr/bin/env python3
import os, select, signal, sys
rd, wr = os.pipe()
os.set_blocking(wr, False)
signal.set_wakeup_fd(wr)
signal.signal(signal.SIGINT, lambda *a: None)
if sys.argv[1] == "leaves":
    os.setsid()
open("$WORK/ready", "w").close()
os._exit(10 + len(select.select([rd], [], [], 1 if sys.argv[1] == "leaves" else 30)[0]))
END
  cat >"$WORK/terminal" <<END
import os, pty, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
while not os.path.exists("$WORK/ready"):
    time.sleep(0.01)
os.remove("$WORK/ready")
os.write(fd, b"\x03")
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
END
  chmod +x "$WORK/command"
  run timeout $((60 * PATIENCE)) python3 "$WORK/terminal" "$DRAY" slot "$WORK/command" stays
  [ "$status" -eq 11 ]
  run timeout $((60 * PATIENCE)) python3 "$WORK/terminal" "$DRAY" slot "$WORK/command" leaves
  [ "$status" -eq 10 ]
}

@test "what cannot be run is said as env says it; a wrong command line has status 2" {
  run -127 "$DRAY" slot -- "$WORK/none"
  : >"$WORK/no"
  run "$DRAY" slot "$WORK/no"
  [ "$status" -eq 126 ]
  run "$DRAY" slot
  [ "$status" -eq 2 ]
  run "$DRAY" slot --
  [ "$status" -eq 2 ]
  run "$DRAY" slot --nonsense true
  [ "$status" -eq 2 ]
  run "$DRAY" slot --help
  [ "$status" -eq 0 ]
  [[ "$output" = *runner* ]]
}

@test "the command waits for a slot, and a signal ends the wait" {
  gate one
  start "$DRAY" slot "$WORK/one"
  local first=$PID
  begun one
  start "$DRAY" slot touch "$WORK/two"
  wait_until 10 eval '[ "$(readlink "/proc/$PID/exe")" = "$(readlink -f "$DRAY")" ]'
  kill -TERM "$PID"
  ends 10 143
  [ ! -e "$WORK/two" ]
  start "$DRAY" slot touch "$WORK/three"
  fails is_free
  [ ! -e "$WORK/three" ]
  : >"$WORK/one.out"
  ends 10 0
  [ -e "$WORK/three" ]
  PID=$first
  ends 10 0
}

@test "killed: the command is gone, and the slot is free" {
  gate one 'echo $$ >"$0.pid"'
  start "$DRAY" slot "$WORK/one"
  begun one
  fails is_free
  kill -KILL "$PID"
  wait_until 5 is_gone "$(cat "$WORK/one.pid")"
  wait_until 5 is_free
}

@test "what the command leaves running has no slot" {
  "$DRAY" slot sh -c "setsid sleep 1000 </dev/null >/dev/null 2>&1 & echo \$! >$WORK/left"
  STARTED+=("$(cat "$WORK/left")")
  fails is_gone "$(cat "$WORK/left")"
  is_free
}

@test "stopped: the slot is lent on, and the command goes on afterwards" {
  gate one
  start "$DRAY" slot "$WORK/one"
  begun one
  kill -STOP -- "-$PID"
  timeout $((20 * PATIENCE)) "$DRAY" slot touch "$WORK/two"
  kill -CONT -- "-$PID"
  : >"$WORK/one.out"
  ends 10 0
}

@test "one within another gets a slot: directly, by a shell, by what left its parent" {
  timeout $((20 * PATIENCE)) "$DRAY" slot "$DRAY" slot "$DRAY" slot sh -c "$DRAY slot touch $WORK/one"
  [ -e "$WORK/one" ]
  gate two
  timeout $((20 * PATIENCE)) "$DRAY" slot sh -c "(setsid sh -c '$DRAY slot touch $WORK/two.out' &); $WORK/two"
  # six at once, each with others within
  for i in 1 2 3 4 5 6; do
    "$DRAY" slot "$DRAY" slot sh -c "$DRAY slot touch $WORK/n$i" &
    STARTED+=($!)
  done
  wait_until 30 eval '[ "$(ls "$WORK" | grep -c "^n")" -eq 6 ]'
}

@test "a build with dray within one, and a test that builds" {
  package "$WORK/app" app
  dependency "$WORK/app" dep
  (cd "$WORK/app" && RUSTC_WRAPPER=$DRAY timeout $((60 * PATIENCE)) "$DRAY" slot cargo build -q)
  [ "$("$WORK/app/target/debug/app")" = 'hello from app' ]
  package "$WORK/outer" outer lib
  cat >>"$WORK/outer/src/lib.rs" <<END
#[test]
fn builds() {
    let s = std::process::Command::new("cargo").args(["build", "-q"]).current_dir("$WORK/app")
        .env("CARGO_TARGET_DIR", "$WORK/app/other").status().unwrap();
    assert!(s.success());
}
END
  export RUSTC_WRAPPER=$DRAY DRAY_RECACHE=yes
  export CARGO_TARGET_$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')_RUNNER="$DRAY slot --"
  (cd "$WORK/outer" && timeout $((120 * PATIENCE)) cargo test -q --lib)
  [ -x "$WORK/app/other/debug/app" ]
}

# counting FILE: the text of a script that counts in FILE, under a lock, how many of its kind run, and the most.
counting() {
  cat <<END
change() {
  exec 9>>'$1.lock'
  flock 9
  n=\$((\$(cat '$1.now' 2>/dev/null || echo 0) + \$1))
  m=\$(cat '$1.max' 2>/dev/null || echo 0)
  echo \$n >'$1.now'
  [ \$n -le \$m ] || echo \$n >'$1.max'
  exec 9>&-
}
END
}

@test "eight builds with tests at once, and two slots: never more than two compilers and tests" {
  local i real host pids=()
  real=$(rustc --print sysroot)/bin/rustc
  host=$(rustc -vV | sed -n 's/^host: //p')
  {
    printf '#!/bin/bash\n'
    counting "$WORK/count"
    cat <<END
[ -z "\$COUNTED" ] || exec "\$@"
case " \$* " in *' --print'* | *' -vV '* | *' - '*) exec "\$@" ;; esac
export COUNTED=1
change 1
"\$@"
s=\$?
change -1
exit \$s
END
  } >"$WORK/counted"
  printf '#!/bin/bash\nexec %q %q "$@"\n' "$WORK/counted" "$real" >"$WORK/rustc"
  chmod +x "$WORK/counted" "$WORK/rustc"
  export DRAY_LOCAL_SLOTS=2 RUSTC=$WORK/rustc RUSTC_WRAPPER=$DRAY
  for i in 1 2 3 4 5 6 7 8; do
    package "$WORK/p$i" "p$i" lib
    printf '#[test]\nfn number_%s() {}\n' "$i" >>"$WORK/p$i/src/lib.rs"
  done
  mkdir -p "$WORK/.cargo"
  printf "[target.'cfg(all())']\nrunner = ['%s', 'slot', '--', '%s']\n" "$DRAY" "$WORK/counted" >"$WORK/.cargo/config.toml"
  for i in 1 2 3 4 5 6 7 8; do
    (cd "$WORK/p$i" && exec cargo test -q --lib) >"$LOGS/p$i" 2>&1 3>&- &
    pids+=($!)
    STARTED+=($!)
  done
  for i in "${pids[@]}"; do
    wait "$i"
  done
  grep -q '1 passed' "$LOGS/p8"
  [ "$(cat "$WORK/count.now")" -eq 0 ]
  [ "$(cat "$WORK/count.max")" -eq 2 ]
}

@test "where slots cannot be used, or the configuration is wrong, the command runs" {
  DRAY_CACHE_DIR=/proc/none run "$DRAY" slot echo ran
  [ "$output" = ran ]
  DRAY_LOCAL_SLOTS=many run "$DRAY" slot echo ran
  [ "$output" = ran ]
  gate one
  start "$DRAY" slot "$WORK/one"
  begun one
  DRAY_DISABLE=yes run timeout $((20 * PATIENCE)) "$DRAY" slot echo ran
  [ "$output" = ran ]
  : >"$WORK/one.out"
  ends 10 0
}

# switches PID: how often it went to rest.
switches() {
  sed -n 's/^voluntary_ctxt_switches:[[:space:]]*//p' "/proc/$1/status"
}
rested() {
  [ "$(switches "$1")" -ge "$2" ]
}

@test "who waits long looks for a slot less and less often" {
  export DRAY_LOCAL_SLOTS=1
  local waits before began took
  mkfifo "$WORK/go"
  "$DRAY" slot -- sh -c ': >"$1"; read -r x <"$2"' sh "$WORK/held" "$WORK/go" 3>&- &
  STARTED+=($!)
  wait_until 10 test -e "$WORK/held"
  "$DRAY" slot -- true 3>&- &
  waits=$!
  STARTED+=("$waits")
  wait_until 10 rested "$waits" 80
  began=${EPOCHREALTIME/./}
  before=$(switches "$waits")
  wait_until 20 rested "$waits" $((before + 100))
  took=$(((${EPOCHREALTIME/./} - began) / 1000))
  echo >"$WORK/go"
  wait "$waits"
  # of a look each millisecond it were a tenth of a second
  [ "$took" -ge 300 ] || { echo "a hundred looks in $took ms" >&2; return 1; }
}
