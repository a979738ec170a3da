/* Invariant: an entry of a pack comes behind all of its blobs; and one that is imported has all of
 * them in the cache. */
#include "config.h"

#include "client/cmd/cache/packs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "cache/entry.h"
#include "client/cmd/cache/tend.h"
#include "client/cmd/cmd.h"
#include "common/text/show.h"
#include "client/wrap/target_dir.h"
#include "client/cached/together.h"
#include "common/fs.h"
#include "common/log/joblog.h"
#include "store/object.h"
#include "store/pack.h"

#define TRIM_FILES 65536

struct blob {
	struct digest name;
	uint64_t size;
	bool is_there;
};

struct packing {
	struct conf *conf;
	struct depot *depot;
	struct blob *blobs; /* of an export: sorted, each once */
	size_t n, cap;
	uint64_t results, outputs, bytes; /* that went, or came */
	uint64_t known;			  /* results that were here already */
	uint64_t lacking; /* results whose outputs are not in the cache, or in the pack */
};

static void
packing_done(struct packing *p)
{
	depot_close(p->depot);
	conf_freep(&p->conf);
	free(p->blobs);
}

static int
open_cache(struct packing *p)
{
	return cmd_load_conf(&cmd_cache, &p->conf) < 0
		       ? -EINVAL
		       : cmd_open_depot(&cmd_cache, p->conf, NULL, &p->depot);
}

static int
say(const struct packing *p, const char *file, bool export, bool json)
{
	const char *what = export ? "exported" : "imported";
	char size[SHOW_SIZE];
	int r = 0;

	if (json) {
		_cleanup_(json_decrefp) json_t *o = json_pack("{s:o, s:I, s:I, s:I, s:I, s:I}",
			"file", joblog_text(file, SIZE_MAX), "results", (json_int_t)p->results,
			"outputs", (json_int_t)p->outputs, "bytes", (json_int_t)p->bytes, "known",
			(json_int_t)p->known, "lacking", (json_int_t)p->lacking);

		r = o ? json_dumpf(o, stdout, JSON_INDENT(2)) : -1;
		putchar('\n');
	} else {
		show_bytes(p->bytes, size);
		printf("%s: %" PRIu64 " results, with %" PRIu64 " outputs, %s\n", what, p->results,
			p->outputs, size);
		if (p->known)
			printf("%" PRIu64 " were here already\n", p->known);
		if (p->lacking)
			printf("%" PRIu64 " lack outputs\n", p->lacking);
	}
	return fflush(stdout) == 0 && r == 0 ? CMD_OK : CMD_FAILED;
}

typedef int (*blob_fn)(struct packing *p, const struct output *o);

/* The first call other than 0 ends it, and is its result. */
static int
each_blob(struct packing *p, const struct result *r, blob_fn fn)
{
	int k = 0;

	for (size_t i = 0; k == 0 && i < r->n_outputs; i++)
		if (r->outputs[i].is_blob)
			k = fn(p, &r->outputs[i]);
	for (size_t i = 0; k == 0 && i < r->n_temporaries; i++)
		k = fn(p, &r->temporaries[i]);
	return k;
}

/* ---- export */

static int
compare_blobs(const void *a, const void *b)
{
	return memcmp(
		((const struct blob *)a)->name.b, ((const struct blob *)b)->name.b, DIGEST_SIZE);
}

static int
note_blob(struct packing *p, const struct output *o)
{
	if (p->n == p->cap) {
		size_t cap = p->cap ? 2 * p->cap : 256;
		struct blob *v = reallocarray(p->blobs, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		p->blobs = v;
		p->cap = cap;
	}
	p->blobs[p->n++] = (struct blob){ .name = o->digest, .size = o->size };
	return 0;
}

static int
lacks_blob(struct packing *p, const struct output *o)
{
	const struct blob wanted = { .name = o->digest };
	const struct blob *b = p->n ? bsearch(&wanted, p->blobs, p->n, sizeof(*b), compare_blobs)
				    : NULL;

	return !b || !b->is_there || b->size != o->size;
}

/* The latest used one: what this target directory was made of. -ENOENT: there is none any more. */
static int
read_result(struct packing *p, const struct digest *key, struct entry *e, struct result *ret)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = depot_read_entry(p->depot, key, &b);

	if (r == 0)
		r = entry_decode(b.p, b.n, key, e);
	if (r == 0)
		r = e->n_results ? entry_result(e, 0, ret) : -ENOENT;
	return r == -EBADMSG ? -ENOENT : r;
}

static int
find_blobs(struct packing *p, const struct together *t)
{
	size_t kept = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < t->n; i++) {
		_cleanup_(entry_done) struct entry e = ENTRY_INIT;
		_cleanup_(result_done) struct result res = RESULT_INIT;

		r = read_result(p, &t->v[i].key, &e, &res);
		r = r == -ENOENT ? 0 : r < 0 ? r : each_blob(p, &res, note_blob);
	}
	if (p->n)
		qsort(p->blobs, p->n, sizeof(*p->blobs), compare_blobs);
	for (size_t i = 0; i < p->n; i++)
		if (i == 0 || compare_blobs(&p->blobs[i], &p->blobs[kept - 1]) != 0)
			p->blobs[kept++] = p->blobs[i];
	p->n = kept;
	return r;
}

static int
put_blobs(struct packing *p, struct pack_writer *w)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < p->n; i++) {
		struct blob *b = &p->blobs[i];
		const struct pack_item item = { STORE_BLOB, b->name, b->size };
		_cleanup_(closep) int fd = depot_open_blob(p->depot, &b->name, b->size);

		/* its results are left out */
		if (fd < 0)
			continue;
		b->is_there = true;
		p->outputs++;
		p->bytes += b->size;
		r = pack_put_fd(w, &item, fd);
	}
	return r;
}

/* The entry with that result alone, without how it is made again. */
static int
put_entry(struct packing *p, struct pack_writer *w, struct entry *e, struct result *res)
{
	_cleanup_(entry_done) struct entry one = ENTRY_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct pack_item item = { .kind = STORE_ENTRY, .name = e->key };
	int r;

	strv_done(&res->argv);
	strv_done(&res->env);
	free(steal_ptr(res->cwd));
	one.key = e->key;
	one.recipe = e->recipe;
	e->recipe = (struct strv)STRV_INIT;
	r = entry_add_result(&one, res);
	if (r == 0)
		r = entry_encode(&one, &b);
	if (r < 0)
		return r;
	item.size = b.n;
	p->results++;
	return pack_put(w, &item, b.p);
}

static int
by_key(const void *a, const void *b)
{
	const struct together_unit *x = a, *y = b;

	return memcmp(x->key.b, y->key.b, DIGEST_SIZE);
}

static int
put_entries(struct packing *p, struct pack_writer *w, struct together *t)
{
	int r = 0;

	if (t->n)
		qsort(t->v, t->n, sizeof(*t->v), by_key);
	for (size_t i = 0; r == 0 && i < t->n; i++) {
		_cleanup_(entry_done) struct entry e = ENTRY_INIT;
		_cleanup_(result_done) struct result res = RESULT_INIT;

		/* of one entry several files may lie there */
		if (i > 0 && digest_eq(&t->v[i].key, &t->v[i - 1].key))
			continue;
		r = read_result(p, &t->v[i].key, &e, &res);
		if (r == -ENOENT || (r == 0 && each_blob(p, &res, lacks_blob) != 0)) {
			p->lacking++;
			r = 0;
		} else if (r == 0) {
			r = put_entry(p, w, &e, &res);
		}
	}
	return r;
}

static int
write_pack(struct packing *p, int fd, struct together *t)
{
	_cleanup_(pack_writer_freep) struct pack_writer *w = NULL;
	int r = pack_writer_new(fd, &w);

	if (r == 0)
		r = find_blobs(p, t);
	if (r == 0)
		r = put_blobs(p, w);
	if (r == 0)
		r = put_entries(p, w, t);
	return r < 0 ? r : pack_end(w);
}

/* Whole, or as it was. */
static int
write_file(struct packing *p, const char *path, struct together *t)
{
	_cleanup_(freep) char *tmp = NULL;
	_cleanup_(closep) int fd = -1;
	int r;

	if (asprintf(&tmp, "%s.%ld", path, (long)getpid()) < 0) {
		tmp = NULL;
		return -ENOMEM;
	}
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = write_pack(p, fd, t);
	if (close(steal_fd(&fd)) < 0 && r == 0)
		r = -errno;
	if (r == 0 && rename(tmp, path) < 0)
		r = -errno;
	if (r < 0)
		unlink(tmp);
	return r;
}

/* Where cargo puts what it makes, as far as it says so by its environment. */
static char *
find_target_dir(const char *given)
{
	const char *dir = given ? given : getenv("CARGO_TARGET_DIR");
	char cwd[PATH_MAX];

	return getcwd(cwd, sizeof(cwd)) ? path_normalize(cwd, dir && *dir ? dir : "target") : NULL;
}

static int
export_pack(const char *given, const char *file, bool json)
{
	_cleanup_(packing_done) struct packing p = { .depot = NULL };
	_cleanup_(together_done) struct together t = { NULL, 0, 0 };
	_cleanup_(freep) char *target_dir = find_target_dir(given);
	int r;

	if (!target_dir || open_cache(&p) < 0)
		return CMD_FAILED;
	r = together_read(p.conf->client.cache_dir, target_dir, &t);
	if (r == -ENOENT || (r == 0 && t.n == 0)) {
		cmd_error(&cmd_cache,
			"nothing of %s was built with this cache; --target-dir names another one",
			target_dir);
		return CMD_FAILED;
	}
	if (r == 0)
		r = write_file(&p, file, &t);
	if (r < 0) {
		cmd_error(&cmd_cache, "%s: %s", file, strerror(-r));
		return CMD_FAILED;
	}
	return say(&p, file, true, json);
}

/* ---- import */

static int
lacks_here(struct packing *p, const struct output *o)
{
	return !depot_has(p->depot, &o->digest, o->size);
}

static int
get_blob(struct packing *p, struct pack_reader *r, const struct pack_item *item)
{
	_cleanup_(closep) int fd = -1;
	int k;

	if (depot_has(p->depot, &item->name, item->size))
		return 0;
	fd = object_temp(p->conf->client.store_dir);
	if (fd < 0)
		return fd;
	k = pack_get_fd(r, fd);
	if (k == 0 && lseek(fd, 0, SEEK_SET) < 0)
		k = -errno;
	if (k == 0)
		k = depot_take(p->depot, fd, &item->name, item->size);
	if (k == 0) {
		p->outputs++;
		p->bytes += item->size;
	}
	return k;
}

static bool
has_equal(const struct entry *e, const struct result *res)
{
	for (size_t i = 0; i < e->n_results; i++) {
		_cleanup_(result_done) struct result r = RESULT_INIT;

		if (entry_result(e, i, &r) == 0 && inputs_equal(&r.inputs, &res->inputs))
			return true;
	}
	return false;
}

/* What is here stays, and comes first: it is how this machine made it. */
static int
merge(struct packing *p, struct entry *from)
{
	_cleanup_(closep) int lock = depot_lock_entry(p->depot, &from->key);
	_cleanup_(entry_done) struct entry e = ENTRY_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT, out = BUF_INIT;
	bool changed = false;
	int r = depot_read_entry(p->depot, &from->key, &b);

	(void)lock; /* held to the end */
	if (r == 0 && entry_decode(b.p, b.n, &from->key, &e) == -ENOMEM)
		return -ENOMEM;
	e.key = from->key;
	if (e.recipe.n == 0) {
		strv_done(&e.recipe);
		e.recipe = from->recipe;
		from->recipe = (struct strv)STRV_INIT;
	}
	r = 0;
	for (size_t i = from->n_results; r == 0 && i-- > 0;) {
		_cleanup_(result_done) struct result res = RESULT_INIT;

		if (entry_result(from, i, &res) < 0 || each_blob(p, &res, lacks_here) != 0) {
			p->lacking++;
		} else if (has_equal(&e, &res)) {
			p->known++;
		} else {
			r = entry_add_result(&e, &res);
			p->results++;
			changed = true;
		}
	}
	if (r == 0 && changed)
		r = entry_encode(&e, &out);
	return r < 0 || !changed ? r : depot_write_entry(p->depot, &e.key, out.p, out.n);
}

static int
get_entry(struct packing *p, struct pack_reader *r, const struct pack_item *item)
{
	_cleanup_(entry_done) struct entry e = ENTRY_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int k = pack_get(r, &b);

	if (k == 0)
		k = entry_decode(b.p, b.n, &item->name, &e);
	if (k == -EBADMSG && b.n == item->size) {
		/* whole, and of another version */
		p->lacking++;
		return 0;
	}
	return k < 0 ? k : merge(p, &e);
}

static int
read_pack(struct packing *p, int fd)
{
	_cleanup_(pack_reader_freep) struct pack_reader *r = NULL;
	struct pack_item item;
	int k = pack_reader_new(fd, &r);

	if (k < 0)
		return k;
	while ((k = pack_next(r, &item)) > 0) {
		k = item.kind == STORE_BLOB ? get_blob(p, r, &item) : get_entry(p, r, &item);
		if (k < 0)
			break;
	}
	return k;
}

/* Believed is what nobody else can have written. A descriptor, or -1 and said why. */
static int
open_own(const char *path)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		cmd_error(&cmd_cache, "%s: %s", path, strerror(errno));
		return -1;
	}
	if (!S_ISREG(st.st_mode)) {
		cmd_error(&cmd_cache, "%s: is no file", path);
		return -1;
	}
	if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)) || fs_has_acl(fd)) {
		cmd_error(&cmd_cache,
			"%s: %s: what is in it would be believed as your own; if you trust who "
			"made "
			"it, copy it, and chmod go-w the copy",
			path, st.st_uid != geteuid() ? "is another user's" : "others may write it");
		return -1;
	}
	return steal_fd(&fd);
}

static int
import_pack(const char *file, bool json)
{
	_cleanup_(packing_done) struct packing p = { .depot = NULL };
	_cleanup_(closep) int fd = open_own(file);
	int r;

	if (fd < 0 || open_cache(&p) < 0)
		return CMD_FAILED;
	if (p.conf->client.cache != CACHE_ON) {
		cmd_error(&cmd_cache, "the cache is only read here (cache = read)");
		return CMD_FAILED;
	}
	r = fs_mkdir_p(p.conf->client.store_dir, 0700);
	if (r == 0)
		r = read_pack(&p, fd);
	depot_trim(p.depot, TRIM_FILES);
	if (r < 0)
		cmd_error(&cmd_cache, "%s: %s", file,
			r == -EBADMSG		? "is no pack, or is cut or damaged"
			: r == -EPROTONOSUPPORT ? "is of a later form; use a later dray"
						: strerror(-r));
	/* what came before the damage is right, and stays */
	return say(&p, file, false, json) == CMD_OK && r == 0 ? CMD_OK : CMD_FAILED;
}

/* ---- */

int
packs_main(int argc, char **argv)
{
	const char *target_dir = NULL, *word = argc > 1 ? argv[1] : "";
	bool json = false, export = streq(word, "export");
	const struct cmd_option options[] = { { .name = "json", .flag = &json },
		{ .name = export ? "target-dir" : NULL, .text = &target_dir }, { .name = NULL } };
	static char name[32];
	int args, status;

	if (argc < 2) {
		cmd_error(&cmd_cache, "an argument is missing");
		return cmd_usage_error(&cmd_cache);
	}
	if (tend_is_command(word))
		return tend_main(argc - 1, argv + 1);
	if (!export && !streq(word, "import")) {
		cmd_error(&cmd_cache, "neither status, gc, verify, purge, export nor import: %s",
			word);
		return cmd_usage_error(&cmd_cache);
	}
	/* what getopt's own messages begin with */
	snprintf(name, sizeof(name), "dray cache %s", word);
	argv[1] = name;
	if (!cmd_options(cmd_cache_part(word), argc - 1, argv + 1, options, 1, 1, &args, &status))
		return status;
	return export ? export_pack(target_dir, argv[1 + args], json)
		      : import_pack(argv[1 + args], json);
}
