/* Sends a job's outputs.
 *
 * Everything in the out-dir was written by untrusted code. Invariant: only regular files directly
 * in it are sent, opened without following links; what the store takes has the digest that was made
 * of it as it was sent, when nothing of the job was left to change it; an output that was announced
 * while the compiler ran is the same at its end, or the job has failed. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/fs.h"
#include "common/log/log.h"
#include "store/disk.h"
#include "worker/job/capture.h"
#include "worker/job/lead.h"
#include "worker/sandbox/sandbox.h"

/* Directories within each other that are looked through. No compile makes any. */
#define OUT_DEPTH_MAX 64

static int
fault(struct job *j, int err, const char *what)
{
	if (err == -ECANCELED)
		return err;
	return job_fail(
		j, err, DRAY__VERDICT__VERDICT_WORKER_FAULT, "%s: %s", what, strerror(-err));
}

/* The job made what no compile makes. Another worker would fare no better. */
static int
odd(struct job *j, const char *what, const char *name)
{
	return job_fail(j, -EINVAL, DRAY__VERDICT__VERDICT_BAD_UNIT, "%s: %.100s", what, name);
}

/* Something in the out-dir that the job has made so that it cannot be read: the same, unless the
 * worker itself lacks what it needs. */
static int
unreadable(struct job *j, int err, const char *what, const char *name)
{
	if (err == -ECANCELED)
		return err;
	return job_fail(j, err, job_blame(err), "%s: %.100s: %s", what, name, strerror(-err));
}

/* A file of the job that cannot be opened as a plain file. */
static int
cannot_open(struct job *j, int err, const char *name)
{
	if (err == -ENOENT || err == -ELOOP || err == -EINVAL || err == -ENXIO || err == -EACCES)
		return odd(j, "an output is no regular file", name);
	return unreadable(j, err, "an output", name);
}

/* It may be so at once, or at the end. */
static int
gone(struct job *j, const char *name)
{
	return odd(j, "an output that was announced is gone", name);
}

/* Sizes are added up before content is read: a sparse file is large at no cost. */
static int
count_bytes(struct job *j, uint64_t size)
{
	uint64_t max = j->conf->worker.job_disk_max;

	if (size > max || j->output_bytes > max - size)
		return job_fail(j, -EFBIG, DRAY__VERDICT__VERDICT_LIMIT,
			"has outputs of more than %llu bytes (worker.job_disk_max)",
			(unsigned long long)max);
	j->output_bytes += size;
	return 0;
}

int
results_send_known(struct job *j, const char *name, Dray__OutputKind kind, unsigned mode,
	const struct digest *d, uint64_t size, int fd)
{
	struct parts parts;
	uint32_t output = 0;
	int r;

	pieces_in(&j->pieces, fd, size, &parts);
	r = content_begin(j, name, kind, mode, size, d, NULL, &output);
	if (r == 0)
		r = content_send(j, output, fd, size, &parts, NULL, NULL);
	if (r == 0 && ends_with(name, ".rmeta"))
		pieces_note_metadata(j, output, fd, size, d);
	return r < 0 ? fault(j, r, "sending an output") : 0;
}

/* It is in the store. The coordinator hears of it before the client, which may have another worker
 * use it at once. */
static int
note_made(struct job *j, const struct digest *d)
{
	struct digest copy = *d;
	ProtobufCBinaryData made = { DIGEST_SIZE, copy.b };
	Dray__WorkerHolds m = DRAY__WORKER_HOLDS__INIT;

	owners_add(j->shared->owners, NULL, d);
	if (!j->shared->seeker || j->sample)
		return 0;
	m.job = j->id;
	m.made = &made;
	m.n_made = 1;
	return job_send(j, WIRE_WORKER_HOLDS, &m.base, NULL);
}

/* One whose content is in the store. */
static int
send_file(struct job *j, const char *name, Dray__OutputKind kind, unsigned mode,
	const struct digest *d, uint64_t size)
{
	_cleanup_(closep) int fd = store_get_now(j->shared->store, STORE_BLOB, d, size, NULL);
	int r;

	if (fd < 0)
		return fault(j, fd, "output blob");
	r = note_made(j, d);
	if (r < 0)
		return fault(j, r, "an output");
	if (kind == DRAY__OUTPUT_KIND__OUTPUT_FILE)
		shares_output(j->share, name, mode, d, size);
	lead_note_output(j, name, kind, mode, d, size, fd);
	return results_send_known(j, name, kind, mode, d, size, fd);
}

/* One that nobody writes to any more: it is read once. */
static int
send_open(struct job *j, const char *name, Dray__OutputKind kind, const struct stat *st, int fd,
	struct digest *ret)
{
	struct parts parts;
	uint32_t output = 0;
	int r = content_begin(
		j, name, kind, st->st_mode, (uint64_t)st->st_size, NULL, NULL, &output);

	pieces_in(&j->pieces, fd, (uint64_t)st->st_size, &parts);
	if (r == 0)
		r = content_send(j, output, fd, (uint64_t)st->st_size, &parts, ret, NULL);
	if (r == 0)
		lead_note_output(j, name, kind, st->st_mode, ret, (uint64_t)st->st_size, fd);
	return r < 0 ? fault(j, r, "sending an output") : 0;
}

static struct job_output *
find_announced(struct job *j, const char *name)
{
	for (size_t i = 0; i < j->n_announced; i++)
		if (streq(j->announced[i].name, name))
			return &j->announced[i];
	return NULL;
}

int
results_open(struct job *j, const char *path, struct stat *ret_st)
{
	_cleanup_(closep) int out = -1;
	int r = fs_open_regular(path, ret_st);

	if (r != -EACCES || !j->user)
		return r;
	/* by its umask, which is the client's */
	out = open(j->stage.out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (out >= 0 && job_user_open_up(j->user, out) == 0)
		r = fs_open_regular(path, ret_st);
	return r;
}

int
results_send_announced(struct job *j, const char *name)
{
	_cleanup_(freep) char *path = path_join(j->stage.out, name);
	_cleanup_(closep) int fd = -1;
	struct job_output *v;
	struct digest d;
	struct stat st;
	uint64_t size;
	int r;

	if (!path)
		return fault(j, -ENOMEM, "output");
	if (find_announced(j, name))
		return 0;
	/* The line that announced it cannot be taken back. */
	r = job_check_toolchain(j);
	if (r < 0)
		return r;
	fd = results_open(j, path, &st);
	if (fd == -ENOENT)
		return gone(j, name);
	if (fd < 0)
		return cannot_open(j, fd, name);
	r = count_bytes(j, (uint64_t)st.st_size);
	if (r < 0)
		return r;
	/* A copy: the compiler still runs, and could write to the file itself. */
	r = store_put_fd_now(j->shared->store, fd, &d, &size);
	if (r < 0)
		return fault(j, r, "the worker's store");
	v = reallocarray(j->announced, j->n_announced + 1, sizeof(*v));
	if (!v)
		return fault(j, -ENOMEM, "output");
	j->announced = v;
	v[j->n_announced].name = strdup(name);
	if (!v[j->n_announced].name)
		return fault(j, -ENOMEM, "output");
	v[j->n_announced].there = false;
	v[j->n_announced++].digest = d;
	return send_file(j, name, DRAY__OUTPUT_KIND__OUTPUT_FILE, st.st_mode, &d, size);
}

/* dray-ld's file in the place of the linker's output is only there because rustc wants one. */
static bool
is_link_output(const struct captures *c, const char *name)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].output && streq(c->v[i].output, name))
			return true;
	return false;
}

static bool
was_given(const struct job *j, const char *name)
{
	char path[2 * PATH_MAX];

	return j->trace &&
	       snprintf(path, sizeof(path), "%s/%s", j->unit->out_dir, name) < PATH_MAX &&
	       trace_was_given(j->trace, path);
}

/* Checks that all in a directory came from the client's out-dir. A directory that the job made
 * would be an output, and no compile makes one. 0 or -errno. */
static int
all_given(struct job *j, const char *name, unsigned depth)
{
	_cleanup_(freep) char *path = path_join(j->stage.out, name);
	_cleanup_(closedirp) DIR *d = path ? opendir(path) : NULL;
	bool empty = !was_given(j, name);
	struct dirent *e;
	int r = 0;

	if (!d)
		return unreadable(j, path ? -errno : -ENOMEM, "a directory", name);
	if (depth > OUT_DEPTH_MAX)
		return odd(j, "directories in the out-dir, too deep", name);
	while (r == 0 && (e = readdir(d)) != NULL) {
		_cleanup_(freep) char *inner = NULL;
		struct stat st;

		if (streq(e->d_name, ".") || streq(e->d_name, ".."))
			continue;
		empty = false;
		inner = path_join(name, e->d_name);
		if (!inner || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return unreadable(j, inner ? -errno : -ENOMEM, "an output", name);
		if (S_ISDIR(st.st_mode))
			r = all_given(j, inner, depth + 1);
		else if (!was_given(j, inner))
			r = odd(j, "an output below the out-dir", inner);
	}
	return r == 0 && empty ? odd(j, "an output is no regular file", name) : r;
}

/* That an announced output is what was sent. 1: it is; 0; -errno. */
static int
is_as_announced(struct job *j, int fd, uint64_t size, const struct digest *d)
{
	uint64_t is = 0;
	_cleanup_(closep) int blob = store_get_now(j->shared->store, STORE_BLOB, d, size, &is);
	_cleanup_(freep) uint8_t *p = malloc(2 * (size_t)WIRE_CHUNK_MAX);
	uint8_t *q = p + WIRE_CHUNK_MAX;
	struct digest got;
	int r = 0;

	if (!p)
		return -ENOMEM;
	if (blob == -EFBIG)
		return 0;
	if (blob == -ENOENT) {
		r = digest_fd(fd, &got, NULL);
		return r < 0 ? r : digest_eq(&got, d);
	}
	if (blob < 0 || is != size)
		return blob < 0 ? blob : 0;
	for (uint64_t at = 0; at < size;) {
		size_t n = (size_t)MIN2(size - at, (uint64_t)WIRE_CHUNK_MAX);

		if (fs_read_at(fd, p, n, at) != (ssize_t)n ||
			fs_read_at(blob, q, n, at) != (ssize_t)n)
			return -EIO;
		if (memcmp(p, q, n) != 0)
			return 0;
		at += n;
	}
	return 1;
}

/* For a client that has every digest before the content. */
static int
send_hashed(struct job *j, const char *name, const char *path, unsigned mode)
{
	struct digest d;
	uint64_t size;
	int r = disk_adopt(j->shared->store, path, &d, &size);

	if (r == -EACCES)
		return cannot_open(j, r, name);
	if (r < 0)
		return fault(j, r, "the worker's store");
	return send_file(j, name, DRAY__OUTPUT_KIND__OUTPUT_FILE, mode, &d, size);
}

static int
send_left(struct job *j, const char *name)
{
	_cleanup_(freep) char *path = path_join(j->stage.out, name);
	_cleanup_(closep) int fd = -1;
	struct job_output *before = find_announced(j, name);
	struct digest d;
	struct stat st;
	int r;

	if (!path)
		return fault(j, -ENOMEM, "output");
	if (lstat(path, &st) < 0)
		return unreadable(j, -errno, "an output", name);
	/* Where rustc keeps temporaries. */
	if (S_ISDIR(st.st_mode) && starts_with(name, "rustc"))
		return 0;
	if (S_ISREG(st.st_mode) && was_given(j, name))
		return 0;
	if (S_ISDIR(st.st_mode) && j->trace)
		return all_given(j, name, 0);
	if (!S_ISREG(st.st_mode))
		return odd(j, "an output is no regular file", name);
	r = before ? 0 : count_bytes(j, (uint64_t)st.st_size);
	if (r < 0)
		return r;
	if (!before && !j->request->pieces)
		return send_hashed(j, name, path, st.st_mode);
	fd = fs_open_regular(path, &st);
	if (fd < 0)
		return cannot_open(j, fd, name);
	if (before) {
		r = is_as_announced(j, fd, (uint64_t)st.st_size, &before->digest);
		if (r == 0)
			return odd(j, "an output changed after it was announced", name);
		before->there = true;
		return r < 0 ? fault(j, r, "the worker's store") : 0;
	}
	r = send_open(j, name, DRAY__OUTPUT_KIND__OUTPUT_FILE, &st, fd, &d);
	if (r < 0)
		return r;
	r = disk_adopt_as(j->shared->store, path, fd, &d, (uint64_t)st.st_size);
	if (r < 0)
		return fault(j, r, "the worker's store");
	r = note_made(j, &d);
	if (r < 0)
		return fault(j, r, "an output");
	shares_output(j->share, name, st.st_mode, &d, (uint64_t)st.st_size);
	return 0;
}

static int
list_out(struct job *j, struct strv *ret)
{
	DIR *d = opendir(j->stage.out);
	struct dirent *e;
	int r = 0;

	if (!d)
		return unreadable(j, -errno, "the out-dir", "");
	while (r == 0 && (e = readdir(d)) != NULL) {
		if (streq(e->d_name, ".") || streq(e->d_name, "..") ||
			streq(e->d_name, CAPTURE_DIR))
			continue;
		if (ret->n >= JOB_OUTPUTS_MAX)
			r = job_fail(j, -E2BIG, DRAY__VERDICT__VERDICT_LIMIT, "too many outputs");
		else
			r = strv_add(ret, e->d_name);
	}
	closedir(d);
	strv_sort_unique(ret);
	return r;
}

static int
send_outputs(struct job *j, const struct captures *c)
{
	_cleanup_(strv_done) struct strv names = STRV_INIT;
	int r = list_out(j, &names);

	for (size_t i = 0; r == 0 && i < names.n; i++)
		if (!is_link_output(c, names.v[i]))
			r = send_left(j, names.v[i]);
	for (size_t i = 0; r == 0 && i < j->n_announced; i++)
		if (!j->announced[i].there)
			r = gone(j, j->announced[i].name);
	return r;
}

/* No other job reads it, so it is in no store. */
static int
send_link_piece(struct job *j, const char *name, const struct stat *st, int fd)
{
	const struct piece *piece = pieces_take(j, name, st);
	struct digest d;
	int r;

	if (!piece)
		return send_open(j, name, DRAY__OUTPUT_KIND__OUTPUT_LINK_INPUT, st, fd, &d);
	lead_note_output(j, name, DRAY__OUTPUT_KIND__OUTPUT_LINK_INPUT, 0644, &piece->digest,
		piece->size, fd);
	r = content_begin(j, name, DRAY__OUTPUT_KIND__OUTPUT_LINK_INPUT, 0644, piece->size,
		&piece->digest, piece, NULL);
	return r < 0 ? fault(j, r, "sending an output") : 0;
}

static int
send_link_input(struct job *j, const struct capture *c, size_t i)
{
	_cleanup_(closep) int fd = capture_open(c, i);
	struct digest d;
	struct stat st;
	uint64_t size;
	int r;

	if (fd < 0)
		return fd == -EBADMSG || fd == -ENOENT
			       ? odd(j, "a link input is no regular file", c->files.v[i])
			       : unreadable(j, fd, "a captured link input", c->files.v[i]);
	if (fstat(fd, &st) < 0)
		return fault(j, -errno, "a captured link input");
	r = count_bytes(j, (uint64_t)st.st_size);
	if (r < 0)
		return r;
	/* All processes of the job have ended, so the file does not change any more. */
	if (j->request->pieces)
		return send_link_piece(j, c->files.v[i], &st, fd);
	/* It is copied, since a descriptor cannot be renamed into the store. */
	r = store_put_fd_now(j->shared->store, fd, &d, &size);
	if (r < 0)
		return fault(j, r, "the worker's store");
	return send_file(j, c->files.v[i], DRAY__OUTPUT_KIND__OUTPUT_LINK_INPUT, 0644, &d, size);
}

/* The client's link finds the files that are in its own out-dir. */
static int
send_link_inputs(struct job *j, const struct captures *c)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->n; i++)
		for (size_t f = 0; r == 0 && f < c->v[i].files.n; f++)
			if (!was_given(j, c->v[i].files.v[f]))
				r = send_link_input(j, &c->v[i], f);
	return r;
}

static int
read_captures(struct job *j, struct captures *c)
{
	_cleanup_(closep) int fd = open(j->stage.out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? -errno : captures_read(fd, c);

	if (r == -EBADMSG)
		return odd(j, "a captured link makes no sense", CAPTURE_DIR);
	return r < 0 ? unreadable(j, r, "the captured link", CAPTURE_DIR) : 0;
}

/* argv is borrowed from the capture. */
static int
fill_call(const struct capture *c, Dray__LinkCall *m)
{
	dray__link_call__init(m);
	m->argv = calloc(MAX2(c->argv.n, (size_t)1), sizeof(*m->argv));
	if (!m->argv)
		return -ENOMEM;
	m->n_argv = c->argv.n;
	for (size_t i = 0; i < c->argv.n; i++) {
		m->argv[i].data = (uint8_t *)c->argv.v[i];
		m->argv[i].len = strlen(c->argv.v[i]);
	}
	/* rustc puts directories of its own before the PATH it was given. */
	m->path_prefix.data = (uint8_t *)c->path;
	if (ends_with(c->path, SANDBOX_BIN))
		m->path_prefix.len = strlen(c->path) - strlen(SANDBOX_BIN);
	m->dirs = c->dirs.v;
	m->n_dirs = c->dirs.n;
	return 0;
}

/* What the job read of the client's, with the digest of what was in place: the client's own files
 * may be other ones by now. */
static int
add_reads(struct job *j, Dray__Trace *m, Dray__FileRead **ret_all)
{
	Dray__FileRead *all = calloc(m->n_files + 1, sizeof(*all));

	*ret_all = all;
	m->read = calloc(m->n_files + 1, sizeof(*m->read));
	if (!all || !m->read)
		return -ENOMEM;
	fetch_sort(j);
	for (size_t i = 0; i < m->n_files; i++) {
		const uint8_t *digest = unit_index_digest(&j->index, m->files[i]);
		const struct digest *got = digest ? NULL : fetch_find(j, m->files[i]);
		Dray__FileRead *read = &all[m->n_read];

		if (!digest && !got)
			continue;
		dray__file_read__init(read);
		read->path = m->files[i];
		read->digest.data = (uint8_t *)(digest ? digest : got->b);
		read->digest.len = DIGEST_SIZE;
		m->read[m->n_read++] = read;
	}
	return 0;
}

/* Its client has its answer. */
static void
offer_to_share(struct job *j, const Dray__JobResult *m, const struct captures *c)
{
	const struct shares_made made = { .job = j->id,
		.open = j->request,
		.unit = j->unit,
		.index = &j->index,
		.result = m,
		.toolchain = &j->offer->toolchain,
		.sysroot = j->offer->sysroot,
		.stage = &j->stage,
		.captures = c,
		.trace = j->trace,
		.store = j->shared->store };

	if (j->sample && !j->refill)
		j->sampled = shares_sum(j->share, &made, &j->sum);
	else
		j->shares = shares_offer(j->share, &made);
}

static int
send_result(struct job *j, const struct captures *c)
{
	Dray__JobResult m = DRAY__JOB_RESULT__INIT;
	Dray__LinkCall calls[CAPTURE_CALLS_MAX], *list[CAPTURE_CALLS_MAX];
	Dray__Trace trace = DRAY__TRACE__INIT;
	_cleanup_(freep) Dray__FileRead *reads = NULL;
	size_t n = 0;
	int r = 0;

	for (; r == 0 && n < MIN2(c->n, (size_t)CAPTURE_CALLS_MAX); n++) {
		list[n] = &calls[n];
		r = fill_call(&c->v[n], &calls[n]);
	}
	m.status = j->status;
	m.text = j->text;
	m.outputs = j->n_outputs;
	m.link = list;
	m.n_link = n;
	m.compile_us = j->compile_us;
	m.cpu_us = j->cpu_us;
	m.peak_rss = j->peak_rss;
	m.text_bytes = j->text_bytes;
	m.key.data = j->key.b;
	m.key.len = DIGEST_SIZE;
	if (j->trace && trace_message(j->trace, &trace)) {
		if (r == 0)
			r = add_reads(j, &trace, &reads);
		m.trace = &trace;
		log_debug(
			"job=%s traced: calls=%u files=%zu absent=%zu dirs=%zu env=%zu fetched=%u "
			"wait_us=%llu",
			j->id, trace.calls, trace.n_files, trace.n_absent, trace.n_dirs,
			trace.n_env, trace.fetched, (unsigned long long)trace.wait_us);
	}
	log_debug("job=%s sent ahead: pieces=%zu bytes=%llu same=%zu", j->id, j->pieces.n,
		(unsigned long long)j->pieces.bytes, j->pieces.same);
	if (r == 0) {
		lead_note_result(j, &m);
		r = job_send(j, WIRE_JOB_RESULT, &m.base, NULL);
	}
	if (r == 0)
		offer_to_share(j, &m, c);
	trace_message_done(&trace);
	while (n > 0)
		free(calls[--n].argv);
	/* The job chose how much there is to tell. */
	return r < 0 ? unreadable(j, r, "what there is to tell of it", "") : 0;
}

int
results_finish(struct job *j)
{
	_cleanup_(captures_done) struct captures c = { NULL, 0 };
	int r = 0;

	/* A failed compile is done again at the client's: only its status is of use. */
	if (j->status == 0) {
		r = read_captures(j, &c);
		if (r == 0)
			r = send_outputs(j, &c);
		if (r == 0)
			r = send_link_inputs(j, &c);
	}
	return r < 0 ? r : send_result(j, &c);
}
