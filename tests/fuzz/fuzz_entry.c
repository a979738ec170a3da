/* entry_decode and entry_result over arbitrary bytes, with the digest put right so that they get
 * past it. */
#include "config.h"

#include <stdint.h>

#include "cache/entry.h"
#include "common/fs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of one part, or of two, the first being rustc's own directory. */
static bool
is_temporary(const char *name)
{
	const char *slash = strchr(name, '/');

	return path_is_name(name) ||
	       (slash && starts_with(name, "rustc") && path_is_name(slash + 1));
}

static void
look_at_bundle(const struct result *r)
{
	if (r->n_links > RESULT_LINKS_MAX || (!r->n_links && (r->n_temporaries || r->tail.n)))
		abort();
	for (size_t k = 0; k < r->n_temporaries; k++)
		if (!is_temporary(r->temporaries[k].name) || (r->temporaries[k].mode & ~0777u) ||
			!r->temporaries[k].is_blob)
			abort();
}

/* It lies in the out-dir, in a directory that comes before it, and behind no link. */
static void
look_at_run(const struct result *r)
{
	if (r->n_links || r->status)
		abort();
	for (size_t k = 0; k < r->n_outputs; k++) {
		const struct output *o = &r->outputs[k];
		const char *slash = strrchr(o->name, '/');
		bool found = !slash;

		if (o->kind >= OUTPUT_KINDS || (o->kind != OUTPUT_FILE && o->is_blob) ||
			(o->kind == OUTPUT_LINK && !o->text.n) ||
			!path_is_name(slash ? slash + 1 : o->name))
			abort();
		for (size_t i = 0; i < r->n_outputs; i++) {
			const struct output *p = &r->outputs[i];

			if (i != k && streq(p->name, o->name))
				abort();
			found |= i < k && slash && p->kind == OUTPUT_DIR &&
				 strlen(p->name) == (size_t)(slash - o->name) &&
				 starts_with(o->name, p->name);
		}
		if (!found)
			abort();
	}
}

static void
look_at_names(const struct result *r)
{
	for (size_t k = 0; k < r->n_outputs; k++)
		if ((r->outputs[k].mode & ~0777u) ||
			(!r->run && (!path_is_name(r->outputs[k].name) ||
					    r->outputs[k].kind != OUTPUT_FILE)))
			abort();
}

static void
look_at(const struct entry *e)
{
	for (size_t i = 0; i < e->n_results; i++) {
		struct result r = RESULT_INIT;

		if (entry_result(e, i, &r) < 0)
			continue;
		if (r.n_outputs == 0 && !r.run)
			abort();
		look_at_names(&r);
		if (r.run)
			look_at_run(&r);
		look_at_bundle(&r);
		result_done(&r);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char magic[] = "drayent4";
	struct digest key, d;
	struct entry e = ENTRY_INIT;
	struct buf b = BUF_INIT;

	if (size < DIGEST_SIZE || size > (1u << 20))
		return 0;
	/* the key is what the message says it is */
	memcpy(key.b, size > 2 + DIGEST_SIZE ? data + 2 : data, DIGEST_SIZE);
	if (buf_add(&b, magic, 8) < 0 || buf_add(&b, data, size) < 0 ||
		digest_bytes(b.p, b.n, &d) < 0 || buf_add(&b, d.b, DIGEST_SIZE) < 0)
		abort();
	if (entry_decode(b.p, b.n, &key, &e) == 0)
		look_at(&e);
	entry_done(&e);
	/* as it is */
	if (entry_decode(data, size, &key, &e) == 0)
		look_at(&e);
	entry_done(&e);
	buf_done(&b);
	return 0;
}
