#!/usr/bin/env bash
# A runner that cargo is given by a variable runs twice at once where tests use assert_cmd; one from a file does not.
#
# Version: assert_cmd 2.0.16, cargo 1.96.0 of Debian (cargo-web).
# Behaviour: cargo starts a test program by the runner. assert_cmd, in that test, starts the program under test by the
#   same runner, if it finds it in CARGO_TARGET_<TRIPLE>_RUNNER; cargo does not tell it of one in .cargo/config.toml.
#   So with the variable each such test has a runner within a runner, the outer one waiting for the inner one.
# Seen:
#   by the variable: 2 runs, the second below the first
#   by the file:     1 run
# Why it matters: a runner that takes a lock, a slot, a display or a device waits for itself, for ever; and one that
#   is tried out in config.toml, where it works, does so only once it is set by a CI's variable.
. "$(dirname "$0")/debian-rust.bash"

mkdir -p "$T/app/src" "$T/app/tests" "$T/app/.cargo"
cd "$T/app"
cat >Cargo.toml <<'END'
[package]
name = "app"
version = "0.1.0"
edition = "2021"

[dev-dependencies]
assert_cmd = { version = "=2.0.16", default-features = false }
END
printf 'fn main() {}\n' >src/main.rs
printf '#[test]\nfn it_runs() {\n    assert_cmd::Command::cargo_bin("app").unwrap().assert().success();\n}\n' >tests/it.rs
# A runner that says what it starts, and how many runners are above it.
cat >"$T/runner" <<'SH'
#!/bin/sh
echo "${DEPTH:-0} $(basename "$1" | sed 's/-[0-9a-f]*$//')" >>"$SAID"
DEPTH=$((${DEPTH:-0} + 1))
export DEPTH
exec "$@"
SH
chmod +x "$T/runner"
export SAID=$T/said
triple=$("$RUSTC" -vV | sed -n 's/^host: //p')
variable=CARGO_TARGET_$(printf %s "$triple" | tr 'a-z-' 'A-Z_')_RUNNER
"$CARGO" test -q --test it >/dev/null
env "$variable=$T/runner" "$CARGO" test -q --test it >/dev/null
by_variable=$(tr '\n' ';' <"$SAID")
rm "$SAID"
printf '[target.%s]\nrunner = "%s/runner"\n' "$triple" "$T" >.cargo/config.toml
"$CARGO" test -q --test it >/dev/null
by_file=$(tr '\n' ';' <"$SAID")
echo "by the variable: $by_variable"
echo "by the file:     $by_file"
[ "$by_variable" = "0 it;1 app;" ] || changed "by the variable: $by_variable"
[ "$by_file" = "0 it;" ] || changed "by the file: $by_file"
