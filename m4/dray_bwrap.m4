# DRAY_ARG_BWRAP
#
# Where bubblewrap is. A build machine need not have it (only workers run it), so a missing one is a
# note here and a clear error when dray-worker starts.
AC_DEFUN([DRAY_ARG_BWRAP], [
  AC_ARG_WITH([bwrap], [AS_HELP_STRING([--with-bwrap=PATH], [bubblewrap's path on the workers])],
    [BWRAP=$withval], [AC_PATH_PROG([BWRAP], [bwrap], [/usr/bin/bwrap])])
  AC_DEFINE_UNQUOTED([BWRAP_PATH], ["$BWRAP"], [bubblewrap's path])
  AC_SUBST([BWRAP])
])
