# starling.m4: the few macros configure.ac is written with.

m4_ifndef([PKG_CHECK_MODULES],
  [m4_fatal([pkg.m4 is missing: install pkg-config (Debian: apt-get install pkg-config)])])

# SL_MISSING(WHAT, DEBIAN-PACKAGE): remember it for SL_NEEDED.
AC_DEFUN([SL_MISSING],
[sl_missing="$sl_missing
  $1"
sl_packages="$sl_packages $2"])

# SL_NEED(PREFIX, MODULE, DEBIAN-PACKAGE): a library found with pkg-config.
AC_DEFUN([SL_NEED],
[PKG_CHECK_MODULES([$1], [$2], [], [SL_MISSING([$2], [$3])])])

# SL_NEEDED: stop when anything was missing, and say how to get all of it at once.
AC_DEFUN([SL_NEEDED],
[AS_IF([test -n "$sl_missing"],
  [AC_MSG_ERROR([these libraries are missing or too old:$sl_missing
On Debian and Ubuntu: apt-get install$sl_packages])])])

# SL_CFLAGS_IF(VARIABLE, FLAGS): those of FLAGS that the compiler accepts.
AC_DEFUN([SL_CFLAGS_IF],
[AC_LANG_PUSH([C])
for sl_flag in m4_normalize([$2]); do
  AC_MSG_CHECKING([whether $CC accepts $sl_flag])
  sl_saved_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS -Werror $sl_flag"
  AC_LINK_IFELSE([AC_LANG_PROGRAM()],
    [AC_MSG_RESULT([yes])
     $1="$$1 $sl_flag"],
    [AC_MSG_RESULT([no])])
  CFLAGS=$sl_saved_CFLAGS
done
AC_LANG_POP([C])])

# SL_VERSION_SCRIPT: does the linker take one? Without it, hidden visibility stands alone.
AC_DEFUN([SL_VERSION_SCRIPT],
[AC_MSG_CHECKING([whether the linker takes a version script])
sl_saved_LDFLAGS=$LDFLAGS
LDFLAGS="$LDFLAGS -shared -fPIC -Wl,--version-script=$srcdir/libstarling.map"
AC_LINK_IFELSE([AC_LANG_SOURCE([int starling_probe(void); int starling_probe(void) { return 0; }])],
  [sl_version_script=yes], [sl_version_script=no])
LDFLAGS=$sl_saved_LDFLAGS
AC_MSG_RESULT([$sl_version_script])
AM_CONDITIONAL([VERSION_SCRIPT], [test "$sl_version_script" = yes])])
