# DRAY_ARG_PAGE
#
# The coordinator's page is served by libmicrohttpd. Without it (--without-page) dray-coordinator has none,
# and says so where its configuration asks for one.
AC_DEFUN([DRAY_ARG_PAGE], [
  AC_ARG_WITH([page], [AS_HELP_STRING([--without-page],
    [build dray-coordinator without its page (/metrics, JSON, web page), and so without libmicrohttpd])],
    [], [with_page=yes])
  AS_IF([test "x$with_page" != xno],
    [with_page=yes
     DRAY_PKG([MHD], [libmicrohttpd >= 0.9.70], [libmicrohttpd-dev])])
  AM_CONDITIONAL([WITH_PAGE], [test "x$with_page" = xyes])
])
