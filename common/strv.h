/* A growable vector of strings, NULL-terminated so that it can be given to exec. */
#ifndef DRAY_COMMON_STRV_H
#define DRAY_COMMON_STRV_H

#include "common/base.h"

struct strv {
	char **v; /* n strings owned by the vector, then NULL; NULL while empty and never grown */
	size_t n;
	size_t cap;
};

#define STRV_INIT          \
	{                  \
		NULL, 0, 0 \
	}

/* Each returns 0 or -ENOMEM; the vector is unchanged on failure. */
int strv_add(struct strv *s, const char *str);		  /* copies str */
int strv_addn(struct strv *s, const char *str, size_t n); /* copies n bytes, adds a NUL */
int strv_addf(struct strv *s, const char *fmt, ...) _printf_(2, 3);
int strv_take(struct strv *s, char *str);	     /* owns str, also on failure */
int strv_add_all(struct strv *s, char *const *list); /* a NULL-terminated list */
bool strv_has(const struct strv *s, const char *str);
bool strv_has_sorted(const struct strv *s, const char *str); /* after strv_sort_unique */
void strv_sort_unique(struct strv *s);
/* A copy of one string; of NULL none is made, and *ret stays as it is. 0 or -ENOMEM. */
int str_copy(const char *from, char **ret);
void strv_done(struct strv *s); /* frees all and makes it empty again; also for _cleanup_ */

#endif
