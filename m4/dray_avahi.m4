# DRAY_ARG_AVAHI
#
# dray-avahi finds coordinators on the network, by libavahi-client. Without it (--without-avahi) nobody is found
# and nobody announced; all else is as it was.
AC_DEFUN([DRAY_ARG_AVAHI], [
  AC_ARG_WITH([avahi], [AS_HELP_STRING([--without-avahi],
    [build no dray-avahi, which finds coordinators on the network, and so do without libavahi-client])],
    [], [with_avahi=yes])
  AS_IF([test "x$with_avahi" != xno],
    [with_avahi=yes
     DRAY_PKG([AVAHI], [avahi-client >= 0.7], [libavahi-client-dev])])
  AM_CONDITIONAL([WITH_AVAHI], [test "x$with_avahi" = xyes])
])
