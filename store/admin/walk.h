/* The objects of a directory that is a store (shared_dir.h), for commands that look after it: which
 * there are, how large, and when they were last used; and to take some away. What is in them the
 * store itself reads and checks.
 *
 * No link below the directory is followed, and only files under an object's name are objects: what
 * else lies there is left alone. */
#ifndef DRAY_STORE_ADMIN_WALK_H
#define DRAY_STORE_ADMIN_WALK_H

#include "common/digest.h"
#include "store/store.h"

struct walk_object {
	enum store_kind kind;
	struct digest name;
	uint64_t size;	/* of the file */
	int64_t used_s; /* since 1970: its time, which a use sets */
	uint64_t ino;
};

struct walk {
	struct walk_object *v;
	size_t n, cap;
};
#define WALK_INIT          \
	{                  \
		NULL, 0, 0 \
	}

/* All objects of a kind, in no order, added to *ret. below: as the URL's, or NULL. 0; -ENODEV: the
 * directory is not there; -ENOMEM; -errno. */
int walk_add(const char *dir, const char *below, enum store_kind kind, struct walk *ret);
void walk_done(struct walk *w);
/* The least lately used first. */
void walk_sort_by_use(struct walk *w);

/* 0: it is gone; -EAGAIN: another one has come in its place, which stays; -errno. */
int walk_remove(const char *dir, const char *below, const struct walk_object *o);

/* ---- sets of names */

struct names {
	struct digest *v;
	size_t n, cap;
};
#define NAMES_INIT         \
	{                  \
		NULL, 0, 0 \
	}
int names_add(struct names *s, const struct digest *d); /* 0 or -ENOMEM */
/* Before the first names_has, and after what was added later. */
void names_sort(struct names *s);
bool names_has(const struct names *s, const struct digest *d);
void names_done(struct names *s);

#endif
