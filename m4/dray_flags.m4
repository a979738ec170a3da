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

# DRAY_CHECK_STATIC_WRAPPER (after the libraries, DRAY_CHECK_STATIC and DRAY_ARG_SANITIZERS)
#
# cargo starts dray for every unit with a LD_LIBRARY_PATH of its own, in which the dynamic loader looks
# for each library in vain, many directories long: that and the loading itself is half of a small hit.
# So dray is linked statically where the system has all it needs as archives, and so is dray-trace. The linker would
# warn of what libcrypto does with hosts' names and modules: none of that happens in dray.
AC_DEFUN([DRAY_CHECK_STATIC_WRAPPER], [
  AC_ARG_ENABLE([static-wrapper],
    [AS_HELP_STRING([--disable-static-wrapper], [link dray with shared libraries: slower, and visible to valgrind])],
    [], [enable_static_wrapper=$dray_cv_static])
  AS_IF([test "x$enable_sanitizers" = xyes || test "x$enable_fuzzing" = xyes], [enable_static_wrapper=no])
  DRAY_STATIC_WRAPPER=
  AS_IF([test "x$enable_static_wrapper" != xno], [
    dray_save_LDFLAGS=$LDFLAGS dray_save_LIBS=$LIBS
    LIBS="$PROTOBUF_C_LIBS $CRYPTO_LIBS $LMDB_LIBS $JANSSON_LIBS $INIH_LIBS \
      -lpthread $LIBS"
    AC_CACHE_CHECK([how dray can be linked statically], [dray_cv_static_wrapper], [
      dray_cv_static_wrapper=no
      for dray_flag in -static "-static -Wl,--no-warnings"; do
        LDFLAGS="$dray_save_LDFLAGS $dray_flag"
        AC_LINK_IFELSE([AC_LANG_PROGRAM(
            [[#include <stddef.h>
              void *EVP_MD_fetch(void *, const char *, const char *);]],
            [[return EVP_MD_fetch(NULL, "SHA256", NULL) == NULL;]])],
          [dray_cv_static_wrapper=$dray_flag])
      done])
    LDFLAGS=$dray_save_LDFLAGS LIBS=$dray_save_LIBS
    AS_IF([test "x$dray_cv_static_wrapper" = xno], [enable_static_wrapper=no],
      [DRAY_STATIC_WRAPPER=$dray_cv_static_wrapper])
  ])
  AC_SUBST([DRAY_STATIC_WRAPPER])
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

# DRAY_SCRIPT_COMPILER (after DRAY_CHECK_STATIC)
#
# Sets SCRIPT_CC, the compiler and its flag for the launcher of build scripts: musl's where it is, since
# each script gets a copy of the launcher, which is 20 KB so, and 700 KB with glibc.
AC_DEFUN([DRAY_SCRIPT_COMPILER], [
  AC_CHECK_PROG([MUSL_GCC], [musl-gcc], [musl-gcc])
  AS_IF([test "x$MUSL_GCC" != x], [SCRIPT_CC="$MUSL_GCC -static"], [SCRIPT_CC="$CC $DRAY_STATIC"])
  AC_SUBST([SCRIPT_CC])
])
