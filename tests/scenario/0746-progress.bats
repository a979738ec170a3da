#!/usr/bin/env bats
# What takes long says how far it is, on a terminal and nowhere else, and leaves nothing of it there.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/cache.bash"

# slow ARG…: dray ARG…, on a terminal that goes to $WORK/screen; a directory that it reads takes more than a second.
slow() {
  rm -f "$DRAY_CACHE_DIR"/index.lmdb*
  script -qec "strace -f -o '$WORK/trace' -e trace=getdents64 -e inject=getdents64:delay_exit=1200000:when=1 '$DRAY' $*" \
    "$WORK/screen" >/dev/null </dev/null 3>&-
}

@test "gc and stats tell how many directories they have read, after a second, on a terminal" {
  local what began
  command -v script >/dev/null && command -v strace >/dev/null || skip "no script, or no strace"
  package "$WORK/lib" lib lib
  cached first "$WORK/lib" build
  for what in gc stats; do
    slow "$what"
    grep -E '[0-9]+ of 256 directories read' "$WORK/screen"
    # the line is emptied before what is said in the end
    grep -aq $'directories read\r\e\[K' "$WORK/screen"
    # no terminal, and no such line
    rm -f "$DRAY_CACHE_DIR"/index.lmdb*
    strace -f -o "$WORK/trace" -e trace=getdents64 -e inject=getdents64:delay_exit=1200000:when=1 \
      "$DRAY" "$what" >"$WORK/out" 2>&1
    fails grep -q 'directories read' "$WORK/out"
  done
  # what is quick says nothing
  began=$(now_ms)
  script -qec "'$DRAY' gc" "$WORK/screen" >/dev/null </dev/null 3>&-
  [ $(($(now_ms) - began)) -ge 1000 ] || fails grep -q 'directories read' "$WORK/screen"
}
