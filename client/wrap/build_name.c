#include "config.h"

#include "client/wrap/build_name.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/wrap/trial.h"
#include "common/buf.h"
#include "common/fs.h"

#define DOMAIN "dray build list 1"
#define LINE_MAX_BYTES (256u << 10)
#define LOCK_FILE "/Cargo.lock"

/* Words of cargo's that say nothing of what it builds. */
static const struct {
	const char *word;
	bool value; /* one follows, where it is not in the word */
} beside[] = {
	{ "-j", true },
	{ "--jobs", true },
	{ "-q", false },
	{ "--quiet", false },
	{ "-v", false },
	{ "-vv", false },
	{ "--verbose", false },
	{ "--color", true },
	{ "--message-format", true },
	{ "--locked", false },
	{ "--offline", false },
	{ "--frozen", false },
	{ "--timings", false },
	{ "--keep-going", false },
};

/* 0: it counts; 1: it does not; 2: nor does the next word. */
static int
skips(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(beside); i++) {
		size_t n = strlen(beside[i].word);

		if (streq(word, beside[i].word))
			return beside[i].value ? 2 : 1;
		if (beside[i].value && strncmp(word, beside[i].word, n) == 0 &&
			(word[n] == '=' || n == 2))
			return 1;
	}
	return 0;
}

void
build_name_add_args(struct hasher *h, const char *line, size_t n)
{
	const char *end = line + n;
	int skip = 1; /* its own name */

	while (line < end) {
		size_t k = strnlen(line, (size_t)(end - line));

		if (skip > 0)
			skip--;
		else if (line + k < end && (skip = skips(line)) > 0)
			skip--;
		else
			hasher_field(h, line, k);
		line += k + 1;
	}
}

/* The lock file of the workspace that cargo was started in. */
static int
find_lock_file(const char *dir, char ret[PATH_MAX])
{
	char *slash;

	if (snprintf(ret, PATH_MAX, "%s" LOCK_FILE, dir) >= PATH_MAX)
		return -ENAMETOOLONG;
	while (!fs_exists(ret)) {
		ret[strlen(ret) - strlen(LOCK_FILE)] = '\0';
		slash = strrchr(ret, '/');
		if (!slash)
			return -ENOENT;
		memcpy(slash, LOCK_FILE, sizeof(LOCK_FILE));
	}
	return 0;
}

int
build_name(struct memo *memo, struct digest *ret)
{
	_cleanup_(hasher_freep) struct hasher *h = NULL;
	_cleanup_(buf_done) struct buf line = BUF_INIT;
	const char *toolchain = getenv("RUSTUP_TOOLCHAIN");
	char path[64], dir[PATH_MAX], lock[PATH_MAX];
	pid_t cargo = trial_cargo(getppid());
	struct digest d;
	ssize_t n;
	int r;

	if (cargo == 0)
		return -ENOENT;
	snprintf(path, sizeof(path), "/proc/%ld/cwd", (long)cargo);
	n = readlink(path, dir, sizeof(dir) - 1);
	if (n < 0)
		return -errno;
	dir[n] = '\0';
	snprintf(path, sizeof(path), "/proc/%ld/cmdline", (long)cargo);
	r = fs_read_file(path, LINE_MAX_BYTES, &line);
	if (r == 0)
		r = find_lock_file(dir, lock);
	if (r == 0)
		r = memo_digest_file(memo, lock, &d, NULL);
	if (r < 0)
		return r;
	h = hasher_new();
	if (!h)
		return -ENOMEM;
	hasher_field(h, DOMAIN, strlen(DOMAIN));
	hasher_field(h, d.b, DIGEST_SIZE);
	hasher_field(h, toolchain ? toolchain : "", toolchain ? strlen(toolchain) : 0);
	build_name_add_args(h, line.n ? (const char *)line.p : "", line.n);
	hasher_final(h, ret);
	return 0;
}
