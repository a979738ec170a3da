#!/usr/bin/env bats
# Compilers that are not all in one directory.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# toolchain_apart: a toolchain in $OWN whose LLVM is in $WORK/llvm, which nothing but LD_LIBRARY_PATH leads to.
toolchain_apart() {
  local f
  FROM=$(rustc --print sysroot)
  [ -n "$(ls "$FROM"/lib/libLLVM*.so* 2>/dev/null)" ] || skip "this toolchain has no LLVM of its own"
  OWN=$WORK/own
  mkdir -p "$OWN/bin" "$OWN/lib" "$WORK/llvm"
  cp "$FROM/bin/rustc" "$OWN/bin/"
  ln -s "$FROM/lib/rustlib" "$OWN/lib/rustlib"
  for f in "$FROM"/lib/*.so*; do
    case $f in
      *libLLVM*) cp "$f" "$WORK/llvm/" ;;
      # the compiler takes the directory of this one for its own: no link
      *) cp "$f" "$OWN/lib/" ;;
    esac
  done
}

@test "LLVM outside of the sysroot: units are kept and found, and another LLVM is another input" {
  toolchain_apart
  package "$WORK/app" app lib
  export RUSTC=$OWN/bin/rustc LD_LIBRARY_PATH=$WORK/llvm
  # rustup's cargo puts its own toolchain's libraries first
  PATH=$FROM/bin:$PATH
  "$RUSTC" -vV >/dev/null || skip "this toolchain does not run so"
  once_and_again first "$WORK/app" build
  # equal but for a byte that nothing reads
  for f in "$WORK"/llvm/libLLVM*; do printf x >>"$f"; done
  clean "$WORK/app"
  cached changed "$WORK/app" build
  missed app "libLLVM"
}

@test "a toolchain behind a link, as rustup links one: with its libraries by that name and without, hits" {
  local own
  own=$(rustc --print sysroot)
  ln -s "$own" "$WORK/linked"
  package "$WORK/app" app
  export RUSTC=$WORK/linked/bin/rustc PATH=$own/bin:$PATH
  unset LD_LIBRARY_PATH
  cached first "$WORK/app" build
  clean "$WORK/app"
  (export LD_LIBRARY_PATH=$WORK/linked/lib; cached linked "$WORK/app" build)
  all_hit
  clean "$WORK/app"
  (export LD_LIBRARY_PATH=$own/lib; cached real "$WORK/app" build)
  all_hit
}
