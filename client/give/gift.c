/* Invariant: a record is written whole, by rename; one that makes no sense counts as none. */
#include "config.h"

#include "client/give/gift.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/fs.h"
#include "common/lines.h"
#include "common/strv.h"

#define DIR_NAME "given"
#define LOCK_NAME ".lock"
#define LINE_MAX_BYTES 1024
#define FIELDS 10

static const char *const names[] = {
	[GIFT_GIVING] = "giving", [GIFT_GIVEN] = "given", [GIFT_FAILED] = "failed"
};

const char *
gift_state_name(enum gift_state s)
{
	return names[s];
}

static char *
path_of(const char *cache_dir, const char *name)
{
	_cleanup_(freep) char *dir = cache_dir && *cache_dir ? path_join(cache_dir, DIR_NAME)
							     : NULL;

	return dir ? path_join(dir, name) : NULL;
}

static bool
parse_number(const char *s, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(s, &end, 10);
	return *s >= '0' && *s <= '9' && !*end && !errno;
}

static bool
take_text(const char *s, char *to, size_t n)
{
	size_t len = strlen(s);

	if (len >= n)
		return false;
	memcpy(to, s, len + 1);
	return true;
}

bool
gift_parse(char *line, struct gift *ret)
{
	char *f[FIELDS];
	uint64_t failures, given;
	size_t state = 0;

	if (!lines_split(line, f, FIELDS))
		return false;
	while (state < ARRAY_LEN(names) && !streq(names[state], f[0]))
		state++;
	if (state == ARRAY_LEN(names) || !parse_number(f[1], &ret->at_s) ||
		!parse_number(f[2], &ret->begun_s) || !parse_number(f[3], &failures) ||
		!parse_number(f[4], &given) || !parse_number(f[5], &ret->done) ||
		!parse_number(f[6], &ret->of) || failures > UINT16_MAX || given > UINT16_MAX)
		return false;
	ret->state = (enum gift_state)state;
	ret->failures = (unsigned)failures;
	ret->given = (unsigned)given;
	return take_text(f[7], ret->worker, sizeof(ret->worker)) &&
	       take_text(f[8], ret->release, sizeof(ret->release)) &&
	       take_text(f[9], ret->why, sizeof(ret->why));
}

int
gift_read(const char *cache_dir, const char *id, struct gift *ret)
{
	_cleanup_(freep) char *path = path_of(cache_dir, id);
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct digest d;
	int r = path ? digest_parse(id, &d) : -ENOENT;

	*ret = (struct gift){ .at_s = 0 };
	if (r == 0)
		r = fs_read_file(path, LINE_MAX_BYTES, &b);
	if (r == 0)
		r = buf_add(&b, "", 1);
	if (r < 0)
		return r;
	b.p[strcspn((char *)b.p, "\n")] = '\0';
	snprintf(ret->id, sizeof(ret->id), "%s", id);
	return gift_parse((char *)b.p, ret) ? 0 : -EBADMSG;
}

int
gift_write(const char *cache_dir, const struct gift *g)
{
	_cleanup_(freep) char *path = path_of(cache_dir, g->id), *line = NULL;
	struct gift copy = *g;
	int r = path ? fs_mkdir_parent(path, 0700) : -ENOENT;

	lines_plain(copy.worker);
	lines_plain(copy.release);
	lines_plain(copy.why);
	if (r < 0)
		return r;
	if (asprintf(&line,
		    "%s\t%" PRIu64 "\t%" PRIu64 "\t%u\t%u\t%" PRIu64 "\t%" PRIu64 "\t%s\t%s\t%s\n",
		    names[g->state], g->at_s, g->begun_s, g->failures, g->given, g->done, g->of,
		    copy.worker, copy.release, copy.why) < 0) {
		line = NULL;
		return -ENOMEM;
	}
	return fs_write_atomic(path, line, strlen(line), 0600);
}

int
gift_each(const char *cache_dir, gift_fn fn, void *arg)
{
	_cleanup_(freep) char *dir = cache_dir ? path_join(cache_dir, DIR_NAME) : NULL;
	_cleanup_(strv_done) struct strv all = STRV_INIT;
	int r = dir ? fs_list_dir(dir, &all) : -ENOENT;

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	strv_sort_unique(&all);
	for (size_t i = 0; i < all.n; i++) {
		struct gift g;

		if (gift_read(cache_dir, all.v[i], &g) == 0)
			fn(arg, &g);
	}
	return 0;
}

uint64_t
gift_due_s(const struct gift *g, uint64_t now_s)
{
	uint64_t wait = GIFT_GIVEN_S;

	if (g->state == GIFT_FAILED)
		wait = MIN2((uint64_t)GIFT_AGAIN_S << (MIN2(MAX2(g->failures, 1u), 6u) - 1),
			(uint64_t)GIFT_AGAIN_MAX_S);
	/* one that was cut short may go on at once; a clock that was set back holds up nobody */
	if (g->state == GIFT_GIVING || g->at_s > now_s || now_s - g->at_s >= wait)
		return 0;
	return g->at_s + wait;
}

int
gift_lock(const char *cache_dir)
{
	_cleanup_(freep) char *path = path_of(cache_dir, LOCK_NAME);
	_cleanup_(closep) int fd = -1;
	int r = path ? fs_mkdir_parent(path, 0700) : -ENOENT;

	if (r < 0)
		return r;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	return steal_fd(&fd);
}

bool
gift_is_going(const char *cache_dir)
{
	_cleanup_(freep) char *path = path_of(cache_dir, LOCK_NAME);
	_cleanup_(closep) int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;

	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0;
}
