#!/usr/bin/env bash
# mbx puts a build script's directory back with other modes: what the owner may run everybody may run, and a private
# directory is open.
#
# Version: mbx 1.29.1 (crates.io), cargo 1.95.0.
# Behaviour: the run of a build script is kept with its OUT_DIR. Put back, a file that its owner may execute is executable
#   for group and others as well (0700 becomes 0711, 0500 0511, 0750 0751), while its read and write bits stay. Each
#   directory has the mode that the umask gives (0700 becomes 0755). Files that nobody may execute keep theirs, 0600 too.
#   Symbolic links and empty directories come back; hard links become files of their own.
# Seen: the modes below, first as the script left them, then as they were put back after `mbx clean`.
# Why it matters: a script that writes a helper or a directory for itself alone finds it open in the second build, only
#   there, and only where the cache knew the run. A cache has to keep twelve bits of mode, of directories too; git's two
#   kinds of file are not enough.
# Takes some minutes: mbx is compiled. With MBX=PROGRAM that one is looked at.
set -euo pipefail
export LC_ALL=C.UTF-8
umask 022
T=$(mktemp -d)
trap 'chmod -R u+w "$T"; rm -rf "$T"' EXIT
for v in $(compgen -e | grep -E '^(CARGO_|MBX_|RUSTC|RUSTFLAGS)' | grep -vx CARGO_HOME || true); do unset "$v"; done
mbx=${MBX:-}
if [ -z "$mbx" ]; then
  CARGO_TARGET_DIR=$T/build cargo install --quiet --locked --root "$T/mbx" mbx@1.29.1
  mbx=$T/mbx/bin/mbx
fi
"$mbx" --version | head -n 1

mkdir -p "$T/p/src"
cd "$T/p"
printf '[package]\nname = "p"\nversion = "0.1.0"\nedition = "2021"\n\n[workspace]\n' >Cargo.toml
echo 'fn main() {}' >src/main.rs
cat >build.rs <<'RS'
use std::{env, fs, os::unix::fs::PermissionsExt, path::Path};
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let out = env::var("OUT_DIR").unwrap();
    for mode in [0o500, 0o600, 0o640, 0o700, 0o750, 0o755] {
        let file = Path::new(&out).join(format!("file-{mode:o}"));
        fs::write(&file, "text").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    }
    let dir = Path::new(&out).join("private");
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
}
RS
export MBX_CACHE_DIR=$T/cache
# modes: in $T/NAME, of all that lies in OUT_DIR
modes() {
  "$mbx" build >"$T/$1.log" 2>&1 || { cat "$T/$1.log"; exit 2; }
  (cd target/debug/build/p-*/out && stat -c '%a %n' -- *) >"$T/$1"
}
modes first
"$mbx" clean >/dev/null 2>&1
modes second
grep -q '3 hits' "$T/second.log" || { echo 'changed: the run was not put back'; cat "$T/second.log"; exit 1; }
paste "$T/first" "$T/second"
paste -d ' ' <(cut -d ' ' -f 1 "$T/first") <(cut -d ' ' -f 1 "$T/second") | diff - <(
  printf '%s\n' '500 511' '600 600' '640 640' '700 711' '750 751' '755 755' '700 755'
) || { echo changed; exit 1; }
