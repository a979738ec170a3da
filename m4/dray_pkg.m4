# DRAY_PKG(VAR, MODULE-SPEC, DEBIAN-PACKAGE)
# DRAY_PROG(VAR, PROGRAM, DEBIAN-PACKAGE)
# DRAY_REPORT_MISSING
#
# Looks for a needed library or program. What is missing is gathered, so that one run of configure
# names all of it, each with its Debian package, instead of one per run.
AC_DEFUN([DRAY_PKG], [
  PKG_CHECK_MODULES([$1], [$2], [],
    [dray_missing="$dray_missing
    $2 (Debian package: $3)"
     dray_missing_debs="$dray_missing_debs $3"])
])

AC_DEFUN([DRAY_PROG], [
  AC_PATH_PROG([$1], [$2])
  AS_IF([test -z "$$1"],
    [dray_missing="$dray_missing
    $2 (Debian package: $3)"
     dray_missing_debs="$dray_missing_debs $3"])
])

AC_DEFUN([DRAY_REPORT_MISSING], [
  AS_IF([test -n "$dray_missing"], [AC_MSG_ERROR([these are needed and were not found:$dray_missing

  On Debian or Ubuntu:  apt-get install$dray_missing_debs])])
])

# DRAY_CHECK_CURVE
#
# libzmq can be built without CURVE; then no daemon could listen on TCP. Refuse at configure time.
AC_DEFUN([DRAY_CHECK_CURVE], [
  AC_CACHE_CHECK([whether libzmq has CURVE], [dray_cv_zmq_curve], [
    dray_save_CFLAGS=$CFLAGS; dray_save_LIBS=$LIBS
    CFLAGS="$CFLAGS $ZMQ_CFLAGS"; LIBS="$LIBS $ZMQ_LIBS"
    AC_RUN_IFELSE([AC_LANG_PROGRAM([[#include <zmq.h>]], [[return !zmq_has("curve");]])],
      [dray_cv_zmq_curve=yes], [dray_cv_zmq_curve=no], [dray_cv_zmq_curve=assumed])
    CFLAGS=$dray_save_CFLAGS; LIBS=$dray_save_LIBS])
  AS_IF([test "x$dray_cv_zmq_curve" = xno],
    [AC_MSG_ERROR([this libzmq was built without CURVE (libsodium); Debian's libzmq3-dev has it])])
])
