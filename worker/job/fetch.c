/* Files on demand: the tracer's question goes to the client, and the file is put into the job's
 * tree while the compiler waits. Only the client knows what is at a path. Content that is worth a
 * question comes from others first (peers/seek.h), as a job's inputs do. Invariant: one question at
 * a time; an answer is taken only for that question; content counts only once the store has
 * verified it; the tracer always gets its answer, or the job ends. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/fs.h"
#include "common/log/log.h"
#include "store/disk.h"
#include "worker/job/lead.h"
#include "worker/sandbox/out_dir.h"

/* Of one job. A unit that is sent whole, as most are, asks for none. */
#define FETCH_FILES_MAX 100000u
#define FETCH_BYTES_MAX (4ull * 1024 * 1024 * 1024)

static int
host_path(const struct job *j, char out[PATH_MAX])
{
	int n = snprintf(out, PATH_MAX, "%s%s", j->stage.root, j->fetch.path);

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

/* The name in the job's out-dir; NULL: it is elsewhere. */
static const char *
name_in_out(const struct job *j)
{
	const char *dir = j->unit->out_dir, *path = j->fetch.path;

	return path_is_below(path, dir) && path[strlen(dir)] ? path + strlen(dir) + 1 : NULL;
}

static int
open_out(const struct job *j)
{
	int fd = open(j->stage.out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int
too_much(struct job *j, const char *what)
{
	return job_fail(j, -EDQUOT, DRAY__VERDICT__VERDICT_LIMIT,
		"looks for more %s than a job may (%u files, %llu bytes)", what, FETCH_FILES_MAX,
		FETCH_BYTES_MAX);
}

static int
ask(struct job *j)
{
	Dray__FileNeed m = DRAY__FILE_NEED__INIT;

	if (j->ownerless)
		return job_fail(j, -ECANCELED, DRAY__VERDICT__VERDICT_CANCELLED,
			"its client is gone, and it needs a file of it");
	if (j->fetch.next_id >= FETCH_FILES_MAX)
		return too_much(j, "files that were not sent");
	m.id = j->fetch.next_id;
	m.path = j->fetch.path;
	j->fetch.waiting = true;
	job_owed(j, true);
	log_debug("job=%s asks for %s", j->id, m.path);
	return job_send(j, WIRE_FILE_NEED, &m.base, NULL);
}

static int
fetch_event(struct job *j)
{
	char text[PATH_MAX + 64];

	switch (trace_event(j->trace, text)) {
	case TRACE_ASKS:
		snprintf(j->fetch.path, sizeof(j->fetch.path), "%.*s", PATH_MAX - 1, text);
		return ask(j);
	case TRACE_REFUSES:
		return job_fail(j, -EPERM, DRAY__VERDICT__VERDICT_WITHHELD, "needs %.440s", text);
	default:
		return 0;
	}
}

static int
malformed(struct job *j, const char *what)
{
	return job_fail(j, -EBADMSG, DRAY__VERDICT__VERDICT_MALFORMED, "%s", what);
}

static int
place_failed(struct job *j, int err)
{
	return job_fail(j, err, job_blame(err), "cannot lay out a file: %s", strerror(-err));
}

static int
make_directory(struct job *j)
{
	const char *name = name_in_out(j);
	char host[PATH_MAX];
	int r;

	if (name) {
		_cleanup_(closep) int out = open_out(j);

		r = out < 0 ? out : out_dir_make(out, name);
	} else {
		r = host_path(j, host);
		if (r == 0)
			r = fs_mkdir_p(host, 0755);
	}
	if (r < 0)
		return place_failed(j, r);
	trace_answer(j->trace, true, NULL);
	return 0;
}

/* What is at the path now. */
static int
note_got(struct job *j)
{
	struct fetched *v = reallocarray(j->fetch.got, j->fetch.n_got + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	j->fetch.got = v;
	v[j->fetch.n_got].path = strdup(j->fetch.path);
	v[j->fetch.n_got].digest = j->fetch.in.digest;
	return v[j->fetch.n_got].path ? (j->fetch.n_got++, 0) : -ENOMEM;
}

static int
compare_got(const void *a, const void *b)
{
	const struct fetched *x = a, *y = b;

	return strcmp(x->path, y->path);
}

void
fetch_sort(struct job *j)
{
	if (j->fetch.n_got > 0)
		qsort(j->fetch.got, j->fetch.n_got, sizeof(*j->fetch.got), compare_got);
}

const struct digest *
fetch_find(const struct job *j, const char *path)
{
	const struct fetched what = { .path = (char *)path }, *found = NULL;

	if (j->fetch.n_got > 0)
		found = bsearch(&what, j->fetch.got, j->fetch.n_got, sizeof(*found), compare_got);
	return found ? &found->digest : NULL;
}

void
fetch_done(struct job *j)
{
	seek_end(j->fetch.seek);
	j->fetch.seek = NULL;
	blob_in_done(&j->fetch.in);
	while (j->fetch.n_got > 0)
		free(j->fetch.got[--j->fetch.n_got].path);
	free(j->fetch.got);
	j->fetch.got = NULL;
}

/* -ENOENT: the store does not have it. */
static int
copy_to_out(struct job *j, const char *name)
{
	_cleanup_(closep) int from = store_get_now(
		j->shared->store, STORE_BLOB, &j->fetch.in.digest, j->fetch.in.size, NULL);
	_cleanup_(closep) int out = -1;
	int r;

	if (from < 0)
		return from == -ENOENT ? from : place_failed(j, from);
	out = open_out(j);
	r = out < 0 ? out : out_dir_put(out, name, from, j->fetch.modified);
	if (r == 0)
		r = note_got(j);
	if (r < 0)
		return place_failed(j, r == -ENOENT ? -EIO : r);
	trace_answer(j->trace, true, NULL);
	return 0;
}

/* -ENOENT: the store does not have it. */
static int
link_file(struct job *j)
{
	const char *name = name_in_out(j);
	char host[PATH_MAX];
	int r;

	if (name)
		return copy_to_out(j, name);
	r = host_path(j, host);
	if (r == 0)
		r = fs_mkdir_parent(host, 0755);
	if (r < 0)
		return place_failed(j, r);
	r = disk_link(j->shared->store, &j->fetch.in.digest, host);
	if (r == -ENOENT)
		return r;
	if (r == 0 || r == -EEXIST)
		r = note_got(j);
	if (r < 0)
		return place_failed(j, r);
	trace_answer(j->trace, true, NULL);
	return 0;
}

/* ---- its content */

static bool
is_worth(const struct job *j)
{
	return !j->sample && *j->peer.curve &&
	       (seek_is_made(j->fetch.path) || j->fetch.in.size >= SEEK_LEAST_BYTES);
}

/* It has come. Others may have it from here. */
static int
tell_holds(struct job *j, const char *from)
{
	Dray__WorkerHolds m = DRAY__WORKER_HOLDS__INIT;
	ProtobufCBinaryData d = { DIGEST_SIZE, j->fetch.in.digest.b };

	log_debug("job=%s on demand: from=%s bytes=%llu ms=%llu path=%s", j->id, from,
		(unsigned long long)j->fetch.in.size,
		(unsigned long long)(clock_mono_ms() - j->fetch.begun_ms), j->fetch.path);
	m.job = j->id;
	m.sent = &d;
	m.n_sent = 1;
	return j->shared->seeker && is_worth(j) ? job_send(j, WIRE_WORKER_HOLDS, &m.base, NULL) : 0;
}

static int
ask_content(struct job *j)
{
	Dray__BlobNeed m = DRAY__BLOB_NEED__INIT;

	m.blob = &j->fetch.in.index;
	m.n_blob = 1;
	j->fetch.content = true;
	job_owed(j, true);
	return job_send(j, WIRE_BLOB_NEED, &m.base, NULL);
}

static int
seek_content(struct job *j)
{
	const struct seek_blob b = { j->fetch.in.digest, j->fetch.in.size,
		seek_is_made(j->fetch.path) };

	j->fetch.begun_ms = clock_mono_ms();
	if (is_worth(j))
		j->fetch.seek = seek_begin(j->shared->seeker, j->id, &b, 1);
	return j->fetch.seek ? 0 : ask_content(j);
}

/* Others have given it, or none of them has it. */
static int
fetch_found(struct job *j)
{
	bool here = false;
	size_t i;
	int r;

	if (!seek_next(j->fetch.seek, &i, &here))
		return 0;
	seek_end(j->fetch.seek);
	j->fetch.seek = NULL;
	if (!here)
		return ask_content(j);
	/* it came for this client's job, and is that one's from now on */
	owners_add(j->shared->owners, j->peer.curve, &j->fetch.in.digest);
	r = link_file(j);
	if (r == -ENOENT)
		return ask_content(j);
	return r < 0 ? r : tell_holds(j, "others");
}

static int
take_file(struct job *j, const Dray__Blob *b, const Dray__FileTimes *times)
{
	struct blob_in *in = &j->fetch.in;
	int r;

	if (!b || b->digest.len != DIGEST_SIZE)
		return malformed(j, "a file without a digest");
	if (b->size > FETCH_BYTES_MAX - j->fetch.bytes)
		return too_much(j, "bytes that were not sent");
	j->fetch.bytes += b->size;
	*in = (struct blob_in){ .index = (uint32_t)j->unit->n_blobs + j->fetch.files++,
		.size = b->size };
	memcpy(in->digest.b, b->digest.data, DIGEST_SIZE);
	j->fetch.modified = times ? times->modified : 0;
	if (times)
		trace_set_times(j->trace, j->fetch.path, times);
	r = owners_has(j->shared->owners, j->peer.curve, &in->digest) ? link_file(j) : -ENOENT;
	return r == -ENOENT ? seek_content(j) : r;
}

static int
fetch_answer(struct job *j, const Dray__FileAnswer *m)
{
	char text[PATH_MAX + 64];

	if (!j->fetch.waiting || m->id != j->fetch.next_id)
		return malformed(j, "an answer to no question");
	j->fetch.waiting = false;
	job_owed(j, false);
	j->fetch.next_id++;
	lead_note_answer(j, m);
	shares_answer(j->share, j->fetch.path, m);
	switch (m->kind) {
	case DRAY__FILE_KIND__FILE_ABSENT:
		trace_answer(j->trace, false, NULL);
		return 0;
	case DRAY__FILE_KIND__FILE_DIRECTORY:
		if (m->times)
			trace_set_times(j->trace, j->fetch.path, m->times);
		return make_directory(j);
	case DRAY__FILE_KIND__FILE_REGULAR:
		return take_file(j, m->blob, m->times);
	default:
		if (m->text && *m->text)
			snprintf(text, sizeof(text), "%.300s", m->text);
		else
			snprintf(text, sizeof(text), "the file %s", j->fetch.path);
		trace_answer(j->trace, false, text);
		return 0;
	}
}

static int
fetch_chunk(struct job *j, struct wire_msg *m)
{
	Dray__Credit credit = DRAY__CREDIT__INIT;
	int r;

	if (!j->fetch.content)
		return malformed(j, "BlobChunk is not expected now");
	r = blob_in_take(j, &j->fetch.in, m);
	if (r < 0)
		return r;
	if (r == 1) {
		j->fetch.content = false;
		job_owed(j, false);
		r = link_file(j);
		if (r == -ENOENT)
			return place_failed(j, r);
		if (r == 0)
			r = tell_holds(j, "client");
	}
	credit.n = 1;
	return r < 0 ? r : job_send(j, WIRE_CREDIT, &credit.base, NULL);
}

static int
fetch_message(struct job *j, struct wire_msg *m)
{
	if (m->info->type == WIRE_FILE_ANSWER)
		return fetch_answer(j, (const Dray__FileAnswer *)m->body);
	return fetch_chunk(j, m);
}

const struct job_demand fetch_demand = {
	.event = fetch_event, .message = fetch_message, .found = fetch_found
};
