/* Invariant: where what was announced and what was made differ, neither is there after the unit's
 * end, and at no time are they in one build but for the time that the compiler takes to say so. */
#include "config.h"

#include "client/wrap/rmeta.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/wrap/distrust.h"
#include "client/wrap/local_only.h"
#include "common/process/child.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/outdir/left.h"
#include "rustc/depinfo.h"

/* rustc puts a new rmeta in place by rename, so a second name keeps the one that was promised. */
int
rmeta_keep(struct rmeta *r, const struct ledger *said)
{
	_cleanup_(freep) char *dir = NULL;
	char name[LEFT_NAME_SIZE];

	if (!said || !*said->rmeta)
		return 0;
	r->said = said;
	dir = path_dirname(said->rmeta);
	left_name(LEFT_KEPT, getpid(), name);
	r->kept = dir ? path_join(dir, name) : NULL;
	if (!r->kept)
		return -ENOMEM;
	unlink(r->kept);
	if (link(said->rmeta, r->kept) < 0) {
		free(r->kept);
		r->kept = NULL;
	}
	return 0;
}

void
rmeta_done(struct rmeta *r)
{
	if (r->kept)
		unlink(r->kept);
	free(r->kept);
	r->kept = NULL;
}

size_t
rmeta_announced_end(const void *p, size_t n)
{
	static const char announced[] = "\"emit\":\"metadata\"";
	const char *text = p, *at = n ? memmem(p, n, announced, sizeof(announced) - 1) : NULL;
	const char *end = at ? memchr(at, '\n', n - (size_t)(at - text)) : NULL;

	return end ? (size_t)(end + 1 - text) : at ? n : 0;
}

bool
rmeta_is_announced(const void *p, size_t n)
{
	return rmeta_announced_end(p, n) > 0;
}

int
rmeta_digest(const struct rmeta *r, struct digest *ret)
{
	return digest_file(r->said->rmeta, ret, NULL);
}

/* The one that was announced is as it was then. */
static bool
is_kept(const struct rmeta *r)
{
	struct digest d;

	return r->kept && digest_file(r->kept, &d, NULL) == 0 &&
	       digest_eq(&d, &r->said->rmeta_digest);
}

static bool
put_back(struct rmeta *r)
{
	if (!is_kept(r) || rename(r->kept, r->said->rmeta) < 0)
		return false;
	free(r->kept);
	r->kept = NULL;
	return true;
}

bool
rmeta_look(struct rmeta *r)
{
	if (!r->said || r->equal || r->differs || rmeta_digest(r, &r->made) < 0)
		return !r->differs;
	r->equal = digest_eq(&r->made, &r->said->rmeta_digest);
	r->differs = !r->equal;
	put_back(r);
	return r->equal;
}

/* Removes libNAME.* of a unit whose promise was broken: cargo must build it again. */
static void
remove_outputs(const char *rmeta)
{
	static const char *const suffixes[] = { ".rmeta", ".rlib", ".d" };
	_cleanup_(freep) char *dir = path_dirname(rmeta);
	const char *base = path_basename(rmeta);
	size_t n = strlen(base);

	unlink(rmeta);
	if (!dir || !ends_with(base, ".rmeta") || !starts_with(base, "lib"))
		return;
	n -= strlen(".rmeta");
	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		/* the .d is named after the crate, without "lib" */
		size_t skip = streq(suffixes[i], ".d") ? 3 : 0;
		char *path;

		if (asprintf(&path, "%s/%.*s%s", dir, (int)(n - skip), base + skip, suffixes[i]) <
			0)
			return;
		unlink(path);
		free(path);
	}
}

bool
rmeta_stands(struct rmeta *r, int status)
{
	struct digest d;
	bool same;

	if (!r->said || status < 0)
		return true;
	if (!r->differs) {
		same = rmeta_digest(r, &d) == 0 && digest_eq(&d, &r->said->rmeta_digest);
		/* equal, or a failed run that made none: the promised one stands */
		if ((same || status != 0) && (put_back(r) || same))
			return true;
		if (status != 0)
			return true;
	}
	return false;
}

void
rmeta_remove(struct rmeta *r)
{
	remove_outputs(r->said->rmeta);
}

static bool
is_older(const char *path, const struct timespec *then)
{
	struct stat st;

	return stat(path, &st) == 0 && clock_is_before(&st.st_mtim, then);
}

/* Of a source the ctime counts, too: an editor or git may put an old file in its place. */
static bool
source_is_older(const char *path, const struct timespec *then)
{
	struct stat st;

	return is_older(path, then) && stat(path, &st) == 0 && clock_is_before(&st.st_ctim, then);
}

bool
rmeta_inputs_are_older(
	const struct rmeta *r, const struct rustc_call *call, const struct timespec *then)
{
	_cleanup_(depinfo_done) struct depinfo d = DEPINFO_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *dir = path_dirname(r->said->rmeta), *path = NULL;
	bool older;

	if (!dir || asprintf(&path, "%s/%s%s.d", dir, call->crate_name,
			    call->extra_filename ? call->extra_filename : "") < 0) {
		path = NULL;
		return false;
	}
	older = fs_read_file(path, DEPINFO_MAX, &b) == 0 && depinfo_parse(b.p, b.n, &d) == 0 &&
		d.files.n > 0;
	for (size_t i = 0; older && i < d.files.n; i++)
		older = source_is_older(d.files.v[i], then);
	for (size_t i = 0; older && i < call->n_externs; i++)
		older = !call->externs[i].path || is_older(call->externs[i].path, then);
	return older;
}

static void
note(const struct conf *conf, const struct rustc_call *call, const struct ledger *said,
	enum rmeta_fault fault)
{
	static const char *const reasons[] = {
		[RMETA_UNKNOWN] = "the compiler here made other metadata than a worker",
		[RMETA_CRATE] = "its metadata comes out differently each time",
		[RMETA_WORKER] = "the compiler here made other metadata than a worker",
	};
	static const char stored[] = "the compiler here made other metadata than is in a store";
	const char *dir = conf->client.cache_dir;
	char text[DISTRUST_REASON_MAX];

	/* another worker might be asked otherwise, and the next build end as this one */
	local_only_add(dir, call->crate_name, clock_wall_ms() / 1000,
		said->rmeta_stored && fault != RMETA_CRATE ? stored : reasons[fault]);
	/* who put it there may have had other inputs that are not known */
	if (fault != RMETA_WORKER || said->rmeta_stored)
		return;
	snprintf(text, sizeof(text), "it made other metadata of %.100s than the compiler here",
		call->crate_name);
	distrust_add(dir, said->rmeta_key, said->rmeta_worker, DISTRUST_EVER, text);
}

/* The coordinator says the name. */
static void
plain_name(const struct ledger *said, char ret[sizeof(said->rmeta_worker)])
{
	size_t i;

	for (i = 0; said->rmeta_worker[i]; i++)
		ret[i] = said->rmeta_worker[i] > ' ' && said->rmeta_worker[i] <= '~'
				 ? said->rmeta_worker[i]
				 : '?';
	ret[i] = '\0';
}

void
rmeta_say(const struct conf *conf, const struct rustc_call *call, const struct ledger *said,
	enum rmeta_fault fault)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char worker[sizeof(said->rmeta_worker)];
	int r;

	plain_name(said, worker);
	note(conf, call, said, fault);
	r = buf_addf(&b,
		"error: dray: the compiler here made other metadata of %s than %s %s, %s; other "
		"crates may have used that already. It was removed: build again\n",
		call->crate_name, said->rmeta_stored ? "is in the store" : "the worker", worker,
		said->rmeta_stored ? "from which the rest did not come"
				   : "which failed afterwards");
	if (r == 0 && fault == RMETA_CRATE)
		r = buf_addf(&b,
			"  it comes out differently each time; it is compiled here from now on\n");
	if (r == 0 && fault == RMETA_WORKER && !said->rmeta_stored)
		r = buf_addf(&b,
			"  the compiler here makes the same each time: nothing goes to that worker "
			"any "
			"more, nor is taken of what it made before (%s/" DISTRUST_FILE
			", key %s)\n",
			conf->client.cache_dir, *said->rmeta_key ? said->rmeta_key : "none");
	if (r == 0)
		child_write(STDERR_FILENO, b.p, b.n);
}
