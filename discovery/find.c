/* Invariant: a key that nobody has put down here is never of use: each endpoint that comes from
 * here goes with the file of the key that it must prove. */
#include "config.h"

#include "discovery/find.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "common/clock.h"
#include "common/conf/coordinators.h"
#include "common/fs.h"
#include "common/process/spawn.h"
#include "keys/identity.h"
#include "keys/succession.h"

#define FILE_NAME "found"
#define LOCK_NAME "found.lock"
#define LOCK_FD 3
#define SPARE_MS 5000 /* for a start, beside the look itself */

bool
find_is_auto(const char *coordinator)
{
	return coordinator && streq(coordinator, COORDINATORS_AUTO);
}

int
find_fingerprint(const char *key_file, const char *dir, char ret[KEYS_FINGERPRINT_SIZE])
{
	_cleanup_(identity_done) struct identity id = { .has_secret = false };
	int r = successor_load(key_file, dir, (uint64_t)time(NULL), &id, NULL, NULL);

	if (r == 0)
		keys_fingerprint(id.curve_public, ret);
	return r;
}

/* ---- the file */

/* Since then, by the clock on the wall, which files go by: the future is long ago. */
static uint64_t
age_of(const struct stat *st)
{
	uint64_t then = (uint64_t)st->st_mtim.tv_sec * 1000 +
			(uint64_t)st->st_mtim.tv_nsec / 1000000,
		 now = clock_wall_ms();

	return now >= then ? now - then : UINT64_MAX;
}

int
find_read(const char *dir, struct found *ret, uint64_t *ret_age_ms)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *path = dir && *dir ? path_join(dir, FILE_NAME) : NULL;
	struct stat st;
	int r;

	memset(ret, 0, sizeof(*ret));
	if (!path || stat(path, &st) < 0)
		return -ENOENT;
	*ret_age_ms = age_of(&st);
	if (*ret_age_ms > FIND_OLD_MS)
		return -ENOENT;
	r = fs_read_file(path, FOUND_TEXT_MAX, &b);
	return r < 0 ? r : found_parse(b.n ? (const char *)b.p : "", b.n, ret);
}

/* ---- the helper */

/* The lock, if it is time: it goes with the helper, and its file's time says when one began. -1. */
static int
take_turn(const char *dir, uint64_t older_ms)
{
	_cleanup_(freep) char *path = path_join(dir, LOCK_NAME);
	_cleanup_(closep) int fd = -1;
	const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	struct stat st;
	bool first = false;

	if (!path)
		return -1;
	fd = open(path, flags);
	if (fd < 0 && errno == ENOENT) {
		first = true;
		fd = open(path, flags | O_CREAT | O_EXCL, 0600);
	}
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
		(!first && age_of(&st) < older_ms) || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -1;
	/* another one may have had its turn meanwhile */
	if (fstat(fd, &st) < 0 || (!first && age_of(&st) < older_ms) || futimens(fd, NULL) < 0)
		return -1;
	return steal_fd(&fd);
}

static int
start(const char *program, const char *dir, int lock, pid_t *ret)
{
	_cleanup_(freep) char *file = path_join(dir, FILE_NAME), *own = strdup(program);
	_cleanup_(closep) int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	char browse[] = "browse", option[] = "--file";
	char *argv[] = { own, browse, option, file, NULL };

	if (!file || !own)
		return -ENOMEM;
	if (null < 0)
		return -errno;
	return spawn_start(&(struct spawn){ .path = program,
				   .argv = argv,
				   .cwd = "/",
				   .fds = (struct spawn_fd[]){ { null, 0 }, { null, 1 },
					   { null, 2 }, { lock, LOCK_FD } },
				   .n_fds = 4,
				   .new_group = true,
				   .only_fds = true },
		ret);
}

bool
find_again(const char *dir, uint64_t older_ms, pid_t *pid)
{
	_cleanup_(closep) int lock = -1;
	_cleanup_(freep) char *program = NULL;
	pid_t started = 0;

	if (pid && *pid > 0 && waitpid(*pid, NULL, WNOHANG) != 0)
		*pid = 0;
	if (!dir || !*dir || (pid && *pid > 0))
		return false;
	lock = take_turn(dir, older_ms);
	if (lock < 0)
		return false;
	program = spawn_find_program("dray-avahi");
	if (!program || start(program, dir, lock, &started) < 0)
		return false;
	if (pid)
		*pid = started;
	return true;
}

int
find_look(unsigned wait_ms, struct found *ret)
{
	_cleanup_(freep) char *program = spawn_find_program("dray-avahi");
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char browse[] = "browse", option[] = "--wait", wait[16];
	char *argv[] = { program, browse, option, wait, NULL };
	int r, status;

	memset(ret, 0, sizeof(*ret));
	if (!program)
		return -ENOENT;
	snprintf(wait, sizeof(wait), "%u", MAX2(wait_ms, 1u));
	r = spawn_capture(argv, NULL, wait_ms + SPARE_MS, FOUND_TEXT_MAX, &b, &status);
	if (r < 0)
		return r;
	return status != 0 ? -EIO : found_parse(b.n ? (const char *)b.p : "", b.n, ret);
}

/* ---- whose they are */

static const struct found_one *
one_of(const struct found *f, const char *fingerprint, size_t skip)
{
	for (size_t i = 0; i < f->n; i++)
		if (streq(f->v[i].fingerprint, fingerprint) && skip-- == 0)
			return &f->v[i];
	return NULL;
}

bool
find_has(const struct found *f, const char *fingerprint, const char *at)
{
	const struct found_one *o;

	for (size_t i = 0; (o = one_of(f, fingerprint, i)) != NULL; i++)
		if (streq(o->endpoint, at))
			return true;
	return false;
}

const char *
find_next(const struct found *f, const char *fingerprint, const char *at)
{
	const struct found_one *first = one_of(f, fingerprint, 0), *o;
	bool passed = false;

	for (size_t i = 0; (o = one_of(f, fingerprint, i)) != NULL; i++) {
		if (passed)
			return o->endpoint;
		passed = streq(o->endpoint, at);
	}
	return first ? first->endpoint : NULL;
}

static int
add_item(struct buf *b, const char *item)
{
	return buf_addf(b, "%s%s", b->n ? ", " : "", item);
}

static bool
is_taken(const struct strv *endpoints, const char *endpoint)
{
	return strv_has(endpoints, endpoint);
}

/* Of each key the first that was found, then of each the second, …: what is announced with one
 * key's fingerprint takes no place from another's. */
static int
choose(const struct found *f, const struct strv *keys, const char *dir, struct buf *endpoints,
	struct buf *files)
{
	_cleanup_(strv_done) struct strv taken = STRV_INIT;
	int r = 0;

	for (size_t turn = 0; turn < FOUND_SAME_MAX; turn++) {
		for (size_t k = 0; r == 0 && k < keys->n && taken.n < COORDINATORS_MAX; k++) {
			char finger[KEYS_FINGERPRINT_SIZE];
			const struct found_one *o = find_fingerprint(keys->v[k], dir, finger) == 0
							    ? one_of(f, finger, turn)
							    : NULL;

			if (!o || is_taken(&taken, o->endpoint))
				continue;
			r = strv_add(&taken, o->endpoint);
			if (r == 0)
				r = add_item(endpoints, o->endpoint);
			if (r == 0)
				r = add_item(files, keys->v[k]);
		}
	}
	return r;
}

static int
resolve(struct conf *c)
{
	_cleanup_(buf_done) struct buf endpoints = BUF_INIT, files = BUF_INIT;
	_cleanup_(strv_done) struct strv keys = STRV_INIT;
	_cleanup_(freep) struct found *f = calloc(1, sizeof(*f));
	uint64_t age;
	int r = f ? coordinators_split(c->client.coordinator_key, true, &keys) : -ENOMEM;

	if (r == 0 && find_read(c->client.cache_dir, f, &age) == 0)
		r = choose(f, &keys, c->client.cache_dir, &endpoints, &files);
	if (r < 0)
		return r;
	free(steal_ptr(c->client.coordinator));
	c->client.discovers = DISCOVERS;
	if (!endpoints.n)
		return 0;
	free(c->client.coordinator_key);
	c->client.coordinator = (char *)steal_ptr(endpoints.p);
	c->client.coordinator_key = (char *)steal_ptr(files.p);
	return 0;
}

int
find_conf_load(struct conf **ret, char **ret_error)
{
	_cleanup_(conf_freep) struct conf *c = NULL;
	int r = conf_load(&c, ret_error);

	if (r == 0 && find_is_auto(c->client.coordinator))
		r = resolve(c);
	if (r == 0)
		*ret = steal_ptr(c);
	else if (!*ret_error)
		*ret_error = strdup("The configuration cannot be read: out of memory.");
	return r;
}
