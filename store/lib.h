/* Libraries that are loaded when they are first needed: a program starts without them, and runs
 * where they are not installed. */
#ifndef DRAY_STORE_LIB_H
#define DRAY_STORE_LIB_H

#include "common/base.h"

/* A function of a library, and where its pointer goes. For a table from one list of names:
 *
 *   #define FUNCTIONS(X) X(SSL_new) X(SSL_free)
 *   static struct { FUNCTIONS(LIB_POINTER) } lib;
 *   static const struct lib_function functions[] = { FUNCTIONS(LIB_FUNCTION) };
 */
struct lib_function {
	const char *name;
	void *pointer; /* to the pointer */
};
/* A macro's value, for a file's name. */
#define LIB_QUOTE(x) #x
#define LIB_TEXT(x) LIB_QUOTE(x)
#define LIB_POINTER(f) __typeof__(f) *f;
#define LIB_FUNCTION(f) { #f, &lib.f },

/* Loads the first of these files that is there (a list that ends with NULL; as dlopen finds them),
 * and sets all pointers. Another call does no harm; nothing is unloaded. One thread at a time for
 * one table. 0; -ENOPKG, and in *ret_why what is missing, or NULL without memory. */
int lib_load(
	const char *const *files, const struct lib_function *functions, size_t n, char **ret_why);

#endif
