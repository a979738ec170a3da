#!/usr/bin/env bats
# What a script asks about the checkout: by git, and as libgit2 reads it.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"
. "$BATS_TEST_DIRNAME/scripts.bash"

# checkout DIR: a repository of what is there, with one commit and a tag.
checkout() {
  export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b \
    GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b GIT_AUTHOR_DATE=2020-01-01T00:00:00Z GIT_COMMITTER_DATE=2020-01-01T00:00:00Z
  printf 'target\n' >"$1/.gitignore"
  # what cargo writes
  (cd "$1" && cargo generate-lockfile -q && git init -q -b main && git add -A && git commit -qm one && git tag -am v1 v1)
}

# bats test_tags=long
@test "git describe and rev-parse: a commit, another branch, dirty, clean again, a tag" {
  script "$WORK/app" <<'RUST'
use std::process::Command;
fn git(args: &[&str]) -> String {
    let o = Command::new("git").args(args).output().unwrap();
    String::from_utf8(o.stdout).unwrap().trim().to_string()
}
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=MADE={} {}", git(&["describe", "--tags", "--dirty", "--always"]),
        git(&["rev-parse", "--abbrev-ref", "HEAD"]));
}
RUST
  echo text >"$WORK/app/file"
  checkout "$WORK/app"
  turn_says "v1 main" "$WORK/app"
  ran app new
  turn_says "v1 main" "$WORK/app"
  put app
  echo edited >"$WORK/app/file"
  turn_says "v1-dirty main" "$WORK/app"
  ran app file
  echo text >"$WORK/app/file"
  turn_says "v1 main" "$WORK/app"
  put app
  git -C "$WORK/app" checkout -qb side
  turn_says "v1 side" "$WORK/app"
  ran app HEAD
  git -C "$WORK/app" commit -q --allow-empty -m two
  turn "$WORK/app"
  ran app
  [[ "$SAID" = v1-1-g*" side" ]]
  git -C "$WORK/app" tag v2
  turn_says "v2 side" "$WORK/app"
  ran app refs/tags
  git -C "$WORK/app" checkout -q main
  turn_says "v1 main" "$WORK/app"
  # another file changes, and the tree is dirty through that one alone; a file that git does not know does not count
  echo '// more' >>"$WORK/app/src/main.rs"
  turn_says "v1-dirty main" "$WORK/app"
  ran app main.rs
}

# bats test_tags=long
@test "git rev-parse HEAD alone: a commit is seen, an edit costs nothing" {
  script "$WORK/app" <<'RUST'
fn main() {
    println!("cargo:rerun-if-changed=.git/index");
    let o = std::process::Command::new("git").args(["rev-parse", "HEAD"]).output().unwrap();
    println!("cargo:rustc-env=MADE={}", String::from_utf8(o.stdout).unwrap().trim());
}
RUST
  checkout "$WORK/app"
  turn_says "$(git -C "$WORK/app" rev-parse HEAD)" "$WORK/app"
  ran app new
  echo '// more' >>"$WORK/app/src/main.rs"
  turn "$WORK/app"
  put app
  git -C "$WORK/app" commit -qam two
  turn_says "$(git -C "$WORK/app" rev-parse HEAD)" "$WORK/app"
  ran app refs/heads/main
  # refs in one file, a worktree, HEAD without a branch
  git -C "$WORK/app" pack-refs --all
  turn_says "$(git -C "$WORK/app" rev-parse HEAD)" "$WORK/app"
  git -C "$WORK/app" checkout -q --detach HEAD~1
  turn_says "$(git -C "$WORK/app" rev-parse HEAD)" "$WORK/app"
  ran app HEAD
  git -C "$WORK/app" worktree add -q "$WORK/tree" main
  turn_says "$(git -C "$WORK/tree" rev-parse HEAD)" "$WORK/tree"
  turn "$WORK/tree"
  put app
  git -C "$WORK/tree" commit -q --allow-empty -m three
  turn_says "$(git -C "$WORK/tree" rev-parse HEAD)" "$WORK/tree"
  ran app
}

@test "git status and ls-files: a file that git does not know appears in a directory" {
  script "$WORK/app" <<'RUST'
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let o = std::process::Command::new("git").args(["status", "--porcelain"]).output().unwrap();
    println!("cargo:rustc-env=MADE={}", String::from_utf8(o.stdout).unwrap().trim().replace('\n', ","));
}
RUST
  mkdir -p "$WORK/app/deep/er"
  touch "$WORK/app/deep/er/known"
  checkout "$WORK/app"
  turn_says "" "$WORK/app"
  ran app new
  turn_says "" "$WORK/app"
  put app
  touch "$WORK/app/deep/er/unknown"
  turn_says "?? deep/er/unknown" "$WORK/app"
  ran app deep/er
  rm "$WORK/app/deep/er/unknown"
  turn_says "" "$WORK/app"
  put app
  rm "$WORK/app/deep/er/known"
  turn "$WORK/app"
  [[ "$SAID" = *"D deep/er/known" ]]
  ran app
}

# bats test_tags=long
@test "as libgit2 does it: .git/HEAD, the ref, packed refs" {
  script "$WORK/app" <<'RUST'
use std::fs;
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let head = fs::read_to_string(".git/HEAD").unwrap();
    let at = match head.trim().strip_prefix("ref: ") {
        Some(name) => fs::read_to_string(format!(".git/{name}")).ok().or_else(|| {
            let packed = fs::read_to_string(".git/packed-refs").unwrap_or_default();
            packed.lines().find(|l| l.ends_with(name)).map(|l| l[..40].to_string())
        }),
        None => Some(head.clone()),
    };
    println!("cargo:rustc-env=MADE={}", at.unwrap_or_default().trim());
}
RUST
  checkout "$WORK/app"
  turn_says "$(git -C "$WORK/app" rev-parse HEAD)" "$WORK/app"
  ran app new
  turn "$WORK/app"
  put app
  git -C "$WORK/app" commit -q --allow-empty -m two
  turn_says "$(git -C "$WORK/app" rev-parse HEAD)" "$WORK/app"
  ran app refs/heads/main
  git -C "$WORK/app" pack-refs --all
  turn_says "$(git -C "$WORK/app" rev-parse HEAD)" "$WORK/app"
  ran app refs/heads/main
  git -C "$WORK/app" commit -q --allow-empty -m three
  turn_says "$(git -C "$WORK/app" rev-parse HEAD)" "$WORK/app"
  ran app
  git -C "$WORK/app" checkout -q --detach HEAD~2
  turn_says "$(git -C "$WORK/app" rev-parse HEAD)" "$WORK/app"
  ran app HEAD
}
