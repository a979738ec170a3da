# DRAY_COMPILER_FLAGS
#
# Warning and hardening flags, each probed. --enable-werror is for CI only: a newer compiler's new
# warning must not break a user's build.
AC_DEFUN([DRAY_COMPILER_FLAGS], [
  AC_ARG_ENABLE([werror], [AS_HELP_STRING([--enable-werror], [make warnings errors (for CI)])])
  DRAY_CFLAGS=
  for dray_flag in -std=gnu11 -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
      -Wpointer-arith -Wundef -Wformat=2 -Wvla -Wwrite-strings -Wno-unused-parameter \
      -fno-strict-aliasing -fstack-protector-strong; do
    DRAY_TRY_CFLAG([$dray_flag])
  done
  AS_IF([test "x$enable_werror" = xyes], [DRAY_TRY_CFLAG([-Werror])])
  AC_SUBST([DRAY_CFLAGS])
])

# DRAY_TRY_CFLAG(FLAG): adds FLAG to DRAY_CFLAGS when the compiler takes it.
AC_DEFUN([DRAY_TRY_CFLAG], [
  dray_save_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS -Werror $1"
  AC_COMPILE_IFELSE([AC_LANG_SOURCE([[int main(void) { return 0; }]])],
    [DRAY_CFLAGS="$DRAY_CFLAGS $1"])
  CFLAGS=$dray_save_CFLAGS
])

# DRAY_ARG_SANITIZERS: --enable-sanitizers builds everything with ASan and UBSan.
AC_DEFUN([DRAY_ARG_SANITIZERS], [
  AC_ARG_ENABLE([sanitizers],
    [AS_HELP_STRING([--enable-sanitizers], [build with AddressSanitizer and UBSan])],
    [], [enable_sanitizers=no])
  AS_IF([test "x$enable_sanitizers" = xyes],
    [DRAY_SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"])
  AC_SUBST([DRAY_SANITIZE])
])

# DRAY_CHECK_STATIC
#
# dray-exec and dray-ld run inside jobs, where only the toolchain's own libraries are: linked statically
# where the system has a static libc, they need none, and start in half the time.
AC_DEFUN([DRAY_CHECK_STATIC], [
  AC_CACHE_CHECK([whether programs can be linked statically], [dray_cv_static], [
    dray_save_LDFLAGS=$LDFLAGS
    LDFLAGS="$LDFLAGS -static"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <stdio.h>]], [[puts("");]])],
      [dray_cv_static=yes], [dray_cv_static=no])
    LDFLAGS=$dray_save_LDFLAGS])
  AS_IF([test "x$dray_cv_static" = xyes], [DRAY_STATIC=-static], [DRAY_STATIC=])
  AC_SUBST([DRAY_STATIC])
])

# DRAY_ARG_FUZZING: --enable-fuzzing builds the libFuzzer targets under tests/fuzz (needs clang).
AC_DEFUN([DRAY_ARG_FUZZING], [
  AC_ARG_ENABLE([fuzzing],
    [AS_HELP_STRING([--enable-fuzzing], [build the libFuzzer targets (CC=clang)])],
    [], [enable_fuzzing=no])
  AM_CONDITIONAL([ENABLE_FUZZING], [test "x$enable_fuzzing" = xyes])
  AS_IF([test "x$enable_fuzzing" = xyes],
    [dray_save_CFLAGS=$CFLAGS
     CFLAGS="$CFLAGS -fsanitize=fuzzer"
     AC_LINK_IFELSE([AC_LANG_SOURCE([[
#include <stddef.h>
#include <stdint.h>
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n) { return p && n ? 0 : 0; }]])], [],
       [AC_MSG_ERROR([--enable-fuzzing needs CC=clang and its runtime (Debian: clang libclang-rt-14-dev)])])
     CFLAGS=$dray_save_CFLAGS
     DRAY_CFLAGS="$DRAY_CFLAGS -fsanitize=fuzzer-no-link"])
])
