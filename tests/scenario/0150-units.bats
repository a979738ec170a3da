#!/usr/bin/env bats
# Every kind of unit that rustc can be asked for, by itself: called once plainly and once through dray, with
# the same words at the same place. What it left in its out-dir, its words, its status are equal; the job
# log says where it was compiled.
bats_require_minimum_version 1.5.0
. "$BATS_TEST_DIRNAME/lib.bash"
. "$BATS_TEST_DIRNAME/units.bash"

scenario_setup() {
  units_setup
}

# bats test_tags=long
@test "strip, panic=abort, code models, debug info: a program of each" {
  source_bin main.rs
  both c1 "${BIN[@]}" -C strip=debuginfo -g main.rs
  both c2 "${BIN[@]}" -C strip=symbols -C opt-level=3 main.rs
  both c3 "${BIN[@]}" -C panic=abort -C opt-level=s main.rs
  both c4 "${BIN[@]}" -C debuginfo=line-tables-only -C dwarf-version=5 -C codegen-units=1 main.rs
  both c5 "${BIN[@]}" -C relocation-model=static -C code-model=medium main.rs
  both c6 "${BIN[@]}" -C force-frame-pointers=yes -C symbol-mangling-version=v0 -C overflow-checks=on main.rs
  both c7 "${BIN[@]}" -C link-dead-code -C relro-level=partial -C default-linker-libraries=yes main.rs
}
# bats test_tags=long
@test "split debug info: unpacked leaves .dwo files, packed a .dwp" {
  source_bin main.rs
  source_lib low.rs
  both lib-unpacked "${LIB[@]}" -g -C split-debuginfo=unpacked -C codegen-units=2 low.rs
  has "$OUT/lib-unpacked" '*.dwo'
  both lib-packed "${LIB[@]}" -g -C split-debuginfo=packed low.rs
  both unpacked "${BIN[@]}" -g -C split-debuginfo=unpacked main.rs
  has "$OUT/unpacked" '*.dwo'
  both packed "${BIN[@]}" -g -C split-debuginfo=packed main.rs
  has "$OUT/packed" '*.dwp'
  both packed-so "${BASE[@]}" --crate-name main --crate-type cdylib --emit dep-info,link -g -C split-debuginfo=packed low.rs
  # with a dependency that has its debug info in itself, and beside itself
  source_user use.rs
  dep "${LIB[@]}" -g -C split-debuginfo=packed low.rs
  both packed-dep "${BIN[@]}" -g -C split-debuginfo=packed "${USE_LOW[@]}" use.rs
  dep "${LIB[@]}" -g -C split-debuginfo=unpacked low.rs
  both unpacked-dep "${BIN[@]}" -g -C split-debuginfo=unpacked "${USE_LOW[@]}" use.rs
  both mixed-dep "${BIN[@]}" -g -C split-debuginfo=packed "${USE_LOW[@]}" use.rs
}

# bats test_tags=long
@test "link-time optimisation: thin, fat, linker-plugin-lto" {
  source_lib low.rs
  source_user use.rs
  source_bin main.rs
  both plugin-lib "${LIB[@]}" -O -C linker-plugin-lto low.rs
  both bitcode-lib "${LIB[@]}" -O -C embed-bitcode=yes low.rs
  both bitcode-only-lib "${LIB[@]}" -O -C lto=off -C embed-bitcode=no low.rs
  both thin-local "${BIN[@]}" -O main.rs
  dep "${LIB[@]}" -O -C embed-bitcode=yes low.rs
  both thin "${BIN[@]}" -O -C lto=thin -C embed-bitcode=yes "${USE_LOW[@]}" use.rs
  both fat "${BIN[@]}" -O -C lto=fat -C embed-bitcode=yes "${USE_LOW[@]}" use.rs
  # what differs is who asks: that std is optimised once is enough
  both fat-switch "${BIN[@]}" -Clto -C embed-bitcode=yes "${USE_LOW[@]}" use.rs
  both fat-cdylib "${BASE[@]}" --crate-name main --crate-type cdylib --emit dep-info,link -C lto=fat -C embed-bitcode=yes "${USE_LOW[@]}" api.rs
  both fat-staticlib "${BASE[@]}" --crate-name main --crate-type staticlib --emit dep-info,link -C lto=fat -C embed-bitcode=yes "${USE_LOW[@]}" api.rs
  dep "${LIB[@]}" -O -C linker-plugin-lto low.rs
  both after-plugin "${BIN[@]}" -O -C lto=thin -C embed-bitcode=yes "${USE_LOW[@]}" use.rs
  # the linker compiles what is left; it needs rustc's own lld, which rustc asks for by itself
  both_home plugin-bin linker-plugin-lto "${BIN[@]}" -O -C linker-plugin-lto "${USE_LOW[@]}" use.rs
}

# bats test_tags=long
@test "libraries of every type, and several at once" {
  source_lib low.rs
  source_user use.rs
  both lib "${LIB[@]}" -g low.rs
  both rlib "${BASE[@]}" --crate-name low --crate-type rlib --emit dep-info,metadata,link low.rs
  both check "${BASE[@]}" --crate-name low --crate-type lib --emit dep-info,metadata low.rs
  both dylib "${BASE[@]}" --crate-name low --crate-type dylib --emit dep-info,metadata,link -C prefer-dynamic low.rs
  dep "${LIB[@]}" low.rs
  both cdylib "${BASE[@]}" --crate-name main --crate-type cdylib --emit dep-info,link "${USE_LOW[@]}" api.rs
  both staticlib "${BASE[@]}" --crate-name main --crate-type staticlib --emit dep-info,link "${USE_LOW[@]}" api.rs
  both staticlib-print "${BASE[@]}" --crate-name main --crate-type staticlib --emit dep-info,link \
    --print native-static-libs "${USE_LOW[@]}" api.rs
  both several "${BASE[@]}" --crate-name main --crate-type cdylib,staticlib,rlib --crate-type lib --emit dep-info,metadata,link "${USE_LOW[@]}" api.rs
  both two-links "${BASE[@]}" --crate-name main --crate-type cdylib --crate-type dylib --emit dep-info,link -C prefer-dynamic "${USE_LOW[@]}" api.rs
  both test "${BASE[@]}" --crate-name low --test --emit dep-info,link low.rs
}

# bats test_tags=long
@test "prefer-dynamic, crt-static, rpath" {
  source_lib low.rs
  source_user use.rs
  source_bin main.rs
  both std "${BIN[@]}" -C prefer-dynamic main.rs
  dep "${BASE[@]}" --crate-name low --crate-type dylib --emit dep-info,link -C prefer-dynamic low.rs
  both dylib "${BIN[@]}" -C prefer-dynamic -L "dependency=$DEPS" --extern "low=$DEPS/liblow-0123456789abcdef.so" use.rs
  both crt-static "${BIN[@]}" -C target-feature=+crt-static main.rs
  both static-pie-off "${BIN[@]}" -C target-feature=+crt-static -C relocation-model=static main.rs
  both_home rpath "rpath" "${BIN[@]}" -C prefer-dynamic -C rpath main.rs
  both no-rpath "${BIN[@]}" -C rpath=no main.rs
  # where no linker is called it is told to nobody
  both rpath-lib "${LIB[@]}" -g -C rpath low.rs
  both rpath-staticlib "${BASE[@]}" --crate-name low --crate-type staticlib --emit dep-info,link -C rpath low.rs
}

@test "proc-macros, and what uses them" {
  printf 'use proc_macro::TokenStream;\n#[proc_macro]\npub fn nine(_: TokenStream) -> TokenStream { "9".parse().unwrap() }\n' >"$SRC/mac.rs"
  printf 'fn main() { println!("{}", mac::nine!()); }\n' >"$SRC/use.rs"
  MAC=("${BASE[@]}" --crate-name mac --crate-type proc-macro --emit dep-info,link -C prefer-dynamic --extern proc_macro)
  both mac "${MAC[@]}" mac.rs
  dep "${MAC[@]}" mac.rs
  both use "${BIN[@]}" -L "dependency=$DEPS" --extern "mac=$DEPS/libmac-0123456789abcdef.so" use.rs
}

# bats test_tags=long
@test "native libraries: static, whole-archive, not bundled, by attribute and by option" {
  command -v cc >/dev/null && command -v ar >/dev/null || skip "no C compiler"
  printf 'int seven(void) { return 7; }\n' >"$SRC/n.c"
  printf 'int eight(void) { return 8; }\n' >"$SRC/m.c"
  (cd "$SRC" && cc -c n.c m.c && ar crsD "$DEPS/libn.a" n.o m.o && ar crsD "$DEPS/odd.name" n.o m.o && cc -shared -o "$DEPS/libdyn.so" n.c)
  printf 'extern "C" { fn seven() -> i32; }\npub fn get() -> i32 { unsafe { seven() } }\n' >"$SRC/low.rs"
  printf '#[link(name = "n", kind = "static", modifiers = "+whole-archive")]\nextern "C" { fn seven() -> i32; }\npub fn get() -> i32 { unsafe { seven() } }\n' >"$SRC/attr.rs"
  printf 'fn main() { println!("{}", low::get()); }\n' >"$SRC/use.rs"
  printf 'extern "C" { fn seven() -> i32; }\nfn main() { println!("{}", unsafe { seven() }); }\n' >"$SRC/direct.rs"
  local l m
  for m in static static:+whole-archive static:-bundle static:+whole-archive,-bundle dylib; do
    l=n
    [ "$m" != dylib ] || l=dyn
    both "lib-$m" "${LIB[@]}" -L "native=$DEPS" -l "$m=$l" low.rs
    dep "${LIB[@]}" -L "native=$DEPS" -l "$m=$l" low.rs
    both "bin-$m" "${BIN[@]}" "${USE_LOW[@]}" -L "native=$DEPS" use.rs
    both "direct-$m" "${BIN[@]}" -L "native=$DEPS" -l "$m=$l" direct.rs
    both "cdylib-$m" "${BASE[@]}" --crate-name main --crate-type cdylib --emit dep-info,link -L "native=$DEPS" -l "$m=$l" low.rs
  done
  both verbatim "${LIB[@]}" -L "native=$DEPS" -l static:+verbatim=odd.name low.rs
  both attribute "${LIB[@]}" -L "native=$DEPS" attr.rs
  both plain "${BIN[@]}" -L "$DEPS" -ln direct.rs
}

# bats test_tags=long
@test "linkers: gcc, clang, lld and bare ones, their flavours and arguments" {
  source_bin main.rs
  source_lib low.rs
  source_user use.rs
  dep "${LIB[@]}" low.rs
  local l
  for l in gcc clang "$(command -v gcc)"; do
    command -v "$l" >/dev/null || continue
    both "linker-${l//\//_}" "${BIN[@]}" -C linker="$l" main.rs
  done
  ! command -v mold >/dev/null || both mold "${BIN[@]}" -C link-arg=-fuse-ld=mold main.rs
  both bfd "${BIN[@]}" -C linker-features=-lld main.rs
  both flavor "${BIN[@]}" -C linker-flavor=gcc main.rs
  both args "${BIN[@]}" -C link-args='-Wl,-z,now -Wl,--build-id=sha1' -C link-arg=-Wl,--no-undefined main.rs
  printf 'X { global: api; local: *; };\n' >"$SRC/map"
  both version-script "${BASE[@]}" --crate-name main --crate-type cdylib --emit dep-info,link \
    -C link-arg=-Wl,--undefined-version "${USE_LOW[@]}" api.rs
  printf 'SECTIONS { .mine : { *(.mine) } } INSERT AFTER .data;\n' >"$SRC/extra.ld"
  both script "${BIN[@]}" -C link-arg=-Wl,-T,extra.ld main.rs
  # by itself lld finds neither libc nor the start files: a program without either
  printf '#![no_std]\n#![no_main]\n#[panic_handler]\nfn p(_: &core::panic::PanicInfo) -> ! { loop {} }\n#[no_mangle]\npub extern "C" fn _start() -> ! { loop {} }\n' >"$SRC/bare.rs"
  BARE=("${BIN[@]}" -C panic=abort -C default-linker-libraries=no -C relocation-model=static)
  both rust-lld "${BARE[@]}" -C linker=rust-lld bare.rs
  ! command -v ld.lld >/dev/null || both ld.lld "${BARE[@]}" -C linker=ld.lld bare.rs
  ! command -v ld.lld >/dev/null || both lld-path "${BARE[@]}" -C linker="$(command -v ld.lld)" bare.rs
  both ld "${BARE[@]}" -C linker-flavor=ld bare.rs
  ! command -v ld >/dev/null || both ld-named "${BARE[@]}" -C linker=ld bare.rs
}

# bats test_tags=long
@test "assembler, LLVM's and MIR's text, objects" {
  source_bin main.rs
  source_lib low.rs
  local k
  for k in asm llvm-ir llvm-bc mir obj; do
    both "lib-$k" "${BASE[@]}" --crate-name low --crate-type lib --emit "dep-info,$k" -O low.rs
    both "bin-$k" "${BASE[@]}" --crate-name main --crate-type bin --emit "$k,link" main.rs
  done
  both all "${BASE[@]}" --crate-name low --crate-type lib --emit asm,llvm-ir,llvm-bc,mir,obj,metadata,link,dep-info -C codegen-units=4 low.rs
  both_home path "explicit output path" "${BASE[@]}" --crate-name low --crate-type lib --emit "dep-info=$TARGET/out/low-x.d,link" low.rs
}

# bats test_tags=long
@test "coverage and profiles" {
  source_bin main.rs
  source_lib low.rs
  both coverage "${BIN[@]}" -C instrument-coverage main.rs
  both coverage-lib "${LIB[@]}" -C instrument-coverage low.rs
  both generate "${BIN[@]}" -C profile-generate="$WORK/prof" main.rs
  if command -v llvm-profdata >/dev/null; then
    # of a profile in words every later LLVM reads what an earlier one made
    printf '# IR level Instrumentation Flag\n:ir\nsome_function\n1234\n2\n5\n7\n' >"$SRC/p.txt"
    llvm-profdata merge -o "$SRC/p.profdata" "$SRC/p.txt"
    both use "${BIN[@]}" -O -C profile-use=p.profdata main.rs
    mkdir "$WORK/elsewhere"
    mv "$SRC/p.profdata" "$WORK/elsewhere/"
    both use-elsewhere "${BIN[@]}" -O -C profile-use="$WORK/elsewhere/p.profdata" main.rs
  fi
  # A proc-macro that is instrumented leaves a profile in the directory it runs in, which is the compiler's.
  printf 'use proc_macro::TokenStream;\n#[proc_macro]\npub fn nine(_: TokenStream) -> TokenStream { "9".parse().unwrap() }\n' >"$SRC/mac.rs"
  printf 'fn main() { println!("{}", mac::nine!()); }\n' >"$SRC/use.rs"
  dep "${BASE[@]}" --crate-name mac --crate-type proc-macro --emit dep-info,link -C prefer-dynamic -C instrument-coverage --extern proc_macro mac.rs
  LLVM_PROFILE_FILE=$WORK/of-macro.profraw both_home instrumented "writes profiles" "${BIN[@]}" -L "dependency=$DEPS" --extern "mac=$DEPS/libmac-0123456789abcdef.so" use.rs
}

# bats test_tags=long
@test "target-cpu=native goes to a worker with the same CPU" {
  source_bin main.rs
  source_lib low.rs
  both named "${LIB[@]}" -O -C target-cpu=x86-64-v2 low.rs
  both native "${LIB[@]}" -O -C target-cpu=native low.rs
  both native-bin "${BIN[@]}" -O -C target-cpu=native -C target-feature=-avx512f main.rs
}

# bats test_tags=long
@test "arguments to LLVM" {
  source_lib low.rs
  both known "${LIB[@]}" -O -C llvm-args=-inline-threshold=50 -C llvm-args='-unroll-threshold=20 --enable-gvn-hoist' low.rs
  both remark "${LIB[@]}" -O -C codegen-units=1 -C remark=inline low.rs
  both passes "${LIB[@]}" -O -C passes=mem2reg low.rs
  both_home file "llvm-args" "${LIB[@]}" -O -C "llvm-args=-stats-json" low.rs
}

# bats test_tags=long
@test "arguments in a file, few and more than an exec takes" {
  source_lib low.rs
  printf '%s\n' "${LIB[@]}" -g >"$SRC/args"
  both few @args low.rs
  local i
  for ((i = 0; i < 12000; i++)); do
    printf -- '--cfg\nfeature="%s-%0150d"\n' f $i
  done >"$SRC/many"
  [ "$(stat -c %s "$SRC/many")" -gt 2000000 ]
  both many @args @many low.rs
}

# bats test_tags=long
@test "a link whose arguments are more than an exec takes" {
  # gcc hands them on to collect2 as they are, which is too much; clang makes a file
  command -v clang >/dev/null || skip "no clang"
  source_bin main.rs
  local i
  for ((i = 0; i < 12000; i++)); do
    printf -- '-Clink-arg=-L/nowhere/%0180d\n' $i
  done >"$SRC/many"
  [ "$(stat -c %s "$SRC/many")" -gt 2200000 ]
  both many "${BIN[@]}" -C linker=clang @many main.rs
}

@test "another target whose std is installed, and one without" {
  source_bin main.rs
  source_lib low.rs
  local t
  t=$(ls "$SYSROOT/lib/rustlib" | grep -x 'x86_64-unknown-linux-musl' || true)
  if [ -n "$t" ]; then
    both lib "${LIB[@]}" --target "$t" low.rs
    both bin "${BIN[@]}" --target "$t" main.rs
    both dynamic "${BIN[@]}" --target "$t" -C target-feature=-crt-static main.rs
  fi
}

@test "what fails does so in the same words" {
  source_bin main.rs
  source_lib low.rs
  source_user use.rs
  both_fail no-std "${LIB[@]}" --target aarch64-unknown-linux-gnu low.rs
  both_fail no-target "${LIB[@]}" --target no-such-target low.rs
  both_fail no-profile "${LIB[@]}" -C profile-use=nowhere.profdata low.rs
  printf 'no profile' >"$SRC/bad.profdata"
  both bad-profile "${LIB[@]}" -C profile-use=bad.profdata low.rs
  both_fail no-library "${LIB[@]}" -L "native=$DEPS" -l static=nowhere low.rs
  both_fail no-extern "${BIN[@]}" --extern "low=$DEPS/liblow-0.rlib" use.rs
  both_fail no-linker "${BIN[@]}" -C linker="$WORK/no-such-cc" main.rs
  # (cargo's newer layout is asked for with it)
  unset RUSTC_BOOTSTRAP
  both_fail unstable "${LIB[@]}" -Z share-generics=y low.rs
}

# bats test_tags=long
@test "what a failed link leaves" {
  source_bin main.rs
  source_lib low.rs
  printf 'extern "C" { fn nowhere() -> u32; }\n#[no_mangle]\npub extern "C" fn api() -> u32 { unsafe { nowhere() } }\nfn main() { println!("{}", api()); }\n' >"$SRC/missing.rs"
  printf '#!/bin/sh\necho "no, not this one" >&2\nexit 1\n' >"$SRC/refuses"
  chmod 755 "$SRC/refuses"
  both_fail undefined "${BIN[@]}" missing.rs
  [ "$(last_job where)" = local ]
  [ "$(last_job why)" = "the link failed here" ]
  has "$OUT/undefined" '*.rcgu.o'
  both_fail refused "${BIN[@]}" -C linker="$SRC/refuses" main.rs
  both_fail units "${BIN[@]}" -C codegen-units=7 -C linker="$SRC/refuses" main.rs
  both_fail packed "${BIN[@]}" -g -C split-debuginfo=packed -C linker="$SRC/refuses" main.rs
  both_fail unpacked "${BIN[@]}" -g -C split-debuginfo=unpacked -C linker="$SRC/refuses" main.rs
  both_fail thin "${BIN[@]}" -O -C lto=thin -C linker="$SRC/refuses" main.rs
  both_fail cdylib "${BASE[@]}" --crate-name main --crate-type cdylib --emit dep-info,link -C link-arg=-Wl,--no-undefined missing.rs
  both_fail several "${BASE[@]}" --crate-name main --crate-type cdylib,staticlib,rlib --emit dep-info,metadata,link -C linker="$SRC/refuses" low.rs
  both_fail emit "${BASE[@]}" --crate-name main --crate-type bin --emit dep-info,obj,asm,link -C linker="$SRC/refuses" main.rs
  both_fail test "${BASE[@]}" --crate-name low --test --emit dep-info,link -C linker="$SRC/refuses" low.rs
  # what an earlier call made
  both good "${BIN[@]}" main.rs
  FROM=good both_fail after-good "${BIN[@]}" -C linker="$SRC/refuses" main.rs
  both good-several "${BASE[@]}" --crate-name main --crate-type cdylib,rlib --emit dep-info,metadata,link low.rs
  FROM=good-several both_fail after-several "${BASE[@]}" --crate-name main --crate-type cdylib,rlib --emit dep-info,metadata,link -C linker="$SRC/refuses" low.rs
}

# bats test_tags=long
@test "nightly: -Z options, sanitizers, a target described by a file" {
  with_nightly
  source_bin main.rs
  source_lib low.rs
  both z "${LIB[@]}" -O -Z mir-opt-level=3 -Z inline-mir -Zshare-generics=y -Z threads=2 low.rs
  both plt "${BIN[@]}" -Z plt=yes -Ztrap-unreachable=no -Zfunction-sections=no main.rs
  both_home single "split-dwarf-kind" "${BIN[@]}" -g -C split-debuginfo=unpacked -Zsplit-dwarf-kind=single main.rs
  both address "${BIN[@]}" -Z sanitizer=address main.rs
  both memory "${LIB[@]}" -Z sanitizer=memory -Zsanitizer-memory-track-origins -Cunsafe-allow-abi-mismatch=sanitizer low.rs
  both thread "${BIN[@]}" -Z sanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer main.rs
  both crate-attr "${LIB[@]}" -Z 'crate-attr=allow(dead_code)' low.rs
  both tune "${LIB[@]}" -O -Z tune-cpu=native low.rs
  both sancov "${LIB[@]}" -O -C passes=sancov-module -C llvm-args=-sanitizer-coverage-level=3 -C llvm-args=-sanitizer-coverage-inline-8bit-counters low.rs
  both gnu-lld-cc "${BIN[@]}" -Z unstable-options -C linker-flavor=gnu-lld-cc main.rs
  "$RUSTC" -Z unstable-options --print target-spec-json --target x86_64-unknown-none >"$SRC/mine.json"
  cat >"$SRC/core.rs" <<'END'
#![feature(no_core, lang_items)]
#![no_core]
#![no_main]
#[lang = "pointee_sized"]
pub trait PointeeSized {}
#[lang = "meta_sized"]
pub trait MetaSized: PointeeSized {}
#[lang = "sized"]
pub trait Sized: MetaSized {}
#[lang = "copy"]
pub trait Copy {}
impl Copy for u32 {}
#[no_mangle]
pub extern "C" fn _start() -> u32 {
    7
}
END
  both custom "${LIB[@]}" -Z unstable-options --target mine.json core.rs
  both custom-bin "${BIN[@]}" -Z unstable-options --target mine.json core.rs
  both no-std "${LIB[@]}" --target aarch64-unknown-none core.rs
  both no-std-bin "${BIN[@]}" --target aarch64-unknown-none core.rs
  both wasm "${BASE[@]}" --crate-name main --crate-type cdylib --emit dep-info,link --target wasm32-unknown-unknown core.rs
}
