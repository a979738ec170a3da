/* Invariant: a result from result_decode names only plain files of an out-dir, or of rustc's
 * temporary directory in it, and each output is as long as the result says. Of a run it names only
 * what lies in the out-dir, in directories that the run made: never behind a link. */
#include "config.h"

#include "cache/result.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "common/fs.h"
#include "proto/entry.pb-c.h"
#include "proto/unpack.h"

/* ---- modes */

/* Whether a linker makes it. A program may have any name, one that begins with "lib" too. */
static bool
is_linked_name(const char *name)
{
	static const char *const compiled[] = { ".a", ".bc", ".d", ".dwo", ".dwp", ".lib", ".ll",
		".mir", ".o", ".rlib", ".rmeta", ".s" };

	for (size_t i = 0; i < ARRAY_LEN(compiled); i++)
		if (ends_with(name, compiled[i]))
			return false;
	return true;
}

unsigned
output_mode_kept(unsigned mode, unsigned umask, const char *name)
{
	bool linked = is_linked_name(name);

	/* a umask that takes all x bits away makes 0666 and 0777 alike */
	if (mode == (0777 & ~umask) && (linked || mode != (0666 & ~umask)))
		return 0777;
	return mode == (0666 & ~umask) ? 0666 : mode;
}

unsigned
output_mode_here(unsigned kept, unsigned umask)
{
	return kept & ~umask & 0777;
}

/* ---- in memory */

/* There is room for the next power of two. */
static struct output *
add_output(struct output **all, size_t *n, const char *name)
{
	struct output *v = *all;

	if ((*n & (*n - 1)) == 0)
		v = reallocarray(*all, MAX2(2 * *n, (size_t)1), sizeof(*v));
	if (!v)
		return NULL;
	*all = v;
	v += *n;
	memset(v, 0, sizeof(*v));
	v->name = strdup(name);
	if (!v->name)
		return NULL;
	++*n;
	return v;
}

struct output *
result_add_output(struct result *r, const char *name)
{
	return add_output(&r->outputs, &r->n_outputs, name);
}

struct output *
result_add_temporary(struct result *r, const char *name)
{
	return add_output(&r->temporaries, &r->n_temporaries, name);
}

const struct output *
result_next_blob(const struct result *r, size_t *at)
{
	/* the outputs twice */
	size_t end = 2 * r->n_outputs + r->n_temporaries;

	while (*at < end) {
		size_t i = (*at)++;
		bool first = i < r->n_outputs, last = i >= 2 * r->n_outputs;
		const struct output *o = last	 ? &r->temporaries[i - 2 * r->n_outputs]
					 : first ? &r->outputs[i]
						 : &r->outputs[i - r->n_outputs];

		if (o->is_blob && (last || ends_with(o->name, ".rmeta") == first))
			return o;
	}
	return NULL;
}

struct buf *
result_add_link(struct result *r)
{
	struct buf *v = reallocarray(r->links, r->n_links + 1, sizeof(*v));

	if (!v)
		return NULL;
	r->links = v;
	v += r->n_links++;
	*v = (struct buf)BUF_INIT;
	return v;
}

static void
outputs_done(struct output *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(v[i].name);
		buf_done(&v[i].text);
	}
	free(v);
}

void
result_done(struct result *r)
{
	inputs_done(&r->inputs);
	outputs_done(r->outputs, r->n_outputs);
	outputs_done(r->temporaries, r->n_temporaries);
	for (size_t i = 0; i < r->n_links; i++)
		buf_done(&r->links[i]);
	free(r->links);
	buf_done(&r->tail);
	buf_done(&r->out);
	buf_done(&r->err);
	free(r->from);
	free(r->rustc);
	strv_done(&r->argv);
	strv_done(&r->env);
	free(r->cwd);
	free(r->producer);
	*r = (struct result)RESULT_INIT;
}

bool
result_is_producer(const char *s)
{
	static const char z85[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  ".-:+=^!/*?&<>()[]{}@%$#";
	struct digest d;

	return digest_parse(s, &d) == 0 || (strlen(s) == 40 && !s[strspn(s, z85)]);
}

const char *
result_producer_words(const char *key)
{
	return strlen(key) == PRODUCER_SIZE - 1 ? "the producer" : "the worker";
}

/* ---- from bytes */

/* A string of our own from bytes that may hold anything. */
static int
take_string(const ProtobufCBinaryData *d, char **ret)
{
	if (d->len == 0 || memchr(d->data, '\0', d->len))
		return -EBADMSG;
	*ret = strndup((const char *)d->data, d->len);
	return *ret ? 0 : -ENOMEM;
}

static int
take_strings(const ProtobufCBinaryData *v, size_t n, struct strv *to)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		if (v[i].len && memchr(v[i].data, '\0', v[i].len))
			return -EBADMSG;
		r = strv_addn(to, (const char *)v[i].data, v[i].len);
	}
	return r;
}

static int
take_input(const Dray__CacheInput *m, struct inputs *to)
{
	_cleanup_(freep) char *name = NULL;
	int r = take_string(&m->name, &name);

	if (r < 0)
		return r;
	if (m->kind == 0 || m->kind >= INPUT_KINDS)
		return -EBADMSG;
	return inputs_add(to, (enum input_kind)m->kind, name, m->value.data, m->value.len);
}

/* The first of two parts is rustc's own temporary directory. */
static bool
is_temporary_name(const char *name)
{
	const char *slash = strchr(name, '/');

	return path_is_name(name) ||
	       (slash && starts_with(name, "rustc") && path_is_name(slash + 1));
}

/* A relative path without "." and "..", each part a name. */
static bool
is_run_name(const char *name)
{
	char part[NAME_MAX + 1];

	for (const char *p = name;; p++) {
		size_t n = strcspn(p, "/");

		if (n == 0 || n > NAME_MAX)
			return false;
		memcpy(part, p, n);
		part[n] = '\0';
		if (!path_is_name(part))
			return false;
		p += n;
		if (!*p)
			return p - name < PATH_MAX;
	}
}

static bool
is_output_name(const struct result *to, const char *name, bool temporary)
{
	if (temporary)
		return is_temporary_name(name);
	return to->run ? is_run_name(name) : path_is_name(name);
}

static int
compare_output(const void *name, const void *o)
{
	return strcmp(name, ((const struct output *)o)->name);
}

/* Outputs of a run are sorted, none is there twice, and what is below another output is below a
 * directory. */
static bool
is_tree(const struct result *r)
{
	for (size_t i = 0; i < r->n_outputs; i++) {
		_cleanup_(freep) char *dir = NULL;
		const struct output *above;
		const char *name = r->outputs[i].name, *slash = strrchr(name, '/');

		if (i > 0 && strcmp(r->outputs[i - 1].name, name) >= 0)
			return false;
		if (!slash)
			continue;
		dir = strndup(name, (size_t)(slash - name));
		above = dir ? bsearch(dir, r->outputs, i, sizeof(*above), compare_output) : NULL;
		if (!above || above->kind != OUTPUT_DIR)
			return false;
	}
	return true;
}

static int
take_output(const Dray__CacheOutput *m, struct result *to, bool temporary)
{
	_cleanup_(freep) char *name = NULL;
	struct output *o;
	int r = take_string(&m->name, &name);

	if (r < 0)
		return r;
	if (!is_output_name(to, name, temporary) || m->kind >= OUTPUT_KINDS ||
		(m->kind != OUTPUT_FILE && (!to->run || m->digest.len)) ||
		(m->kind == OUTPUT_DIR && m->text.len) ||
		(m->kind == OUTPUT_LINK &&
			(m->text.len == 0 || memchr(m->text.data, '\0', m->text.len))) ||
		(m->digest.len != 0 && m->digest.len != DIGEST_SIZE) || (m->mode & ~0777u) ||
		m->mtime < 0 || (m->mtime && !to->run) || (m->digest.len && m->text.len) ||
		(temporary && !m->digest.len))
		return -EBADMSG;
	o = temporary ? result_add_temporary(to, name) : result_add_output(to, name);
	if (!o)
		return -ENOMEM;
	o->kind = (enum output_kind)m->kind;
	o->mode = m->mode;
	o->mtime = m->mtime;
	o->size = m->size;
	o->is_blob = m->digest.len > 0;
	if (o->is_blob)
		memcpy(o->digest.b, m->digest.data, DIGEST_SIZE);
	return m->text.len ? buf_add(&o->text, m->text.data, m->text.len) : 0;
}

static int
take_bundle(const Dray__CacheResult *m, struct result *to)
{
	int r = 0;

	if (m->n_links > RESULT_LINKS_MAX || (m->n_links && m->status) ||
		(!m->n_links && (m->n_temporaries || m->tail.len)))
		return -EBADMSG;
	for (size_t i = 0; r == 0 && i < m->n_links; i++) {
		struct buf *b = result_add_link(to);

		r = b ? buf_add(b, m->links[i].data, m->links[i].len) : -ENOMEM;
	}
	for (size_t i = 0; r == 0 && i < m->n_temporaries; i++)
		r = take_output(m->temporaries[i], to, true);
	return r == 0 && m->tail.len ? buf_add(&to->tail, m->tail.data, m->tail.len) : r;
}

static int
take_result(const Dray__CacheResult *m, struct result *to)
{
	int r = 0;

	to->run = m->run;
	for (size_t i = 0; r == 0 && i < m->n_inputs; i++)
		r = take_input(m->inputs[i], &to->inputs);
	for (size_t i = 0; r == 0 && i < m->n_outputs; i++)
		r = take_output(m->outputs[i], to, false);
	if (r == 0 && to->run && (!is_tree(to) || m->n_links || m->status))
		r = -EBADMSG;
	if (r == 0)
		r = take_bundle(m, to);
	if (r == 0 && m->out.len)
		r = buf_add(&to->out, m->out.data, m->out.len);
	if (r == 0 && m->err.len)
		r = buf_add(&to->err, m->err.data, m->err.len);
	if (r < 0)
		return r;
	if (m->status > 255)
		return -EBADMSG;
	to->status = m->status;
	to->compile_us = m->compile_us;
	to->time_s = m->time_s;
	r = take_strings(m->argv, m->n_argv, &to->argv);
	if (r == 0)
		r = take_strings(m->env, m->n_env, &to->env);
	if (r == 0 && m->cwd.len)
		r = take_string(&m->cwd, &to->cwd);
	if (r == 0 && *m->producer && !result_is_producer(m->producer))
		r = -EBADMSG;
	if (r < 0)
		return r;
	if (*m->producer) {
		to->producer = strdup(m->producer);
		if (!to->producer)
			return -ENOMEM;
	}
	to->from = strdup(m->from);
	to->rustc = strdup(m->rustc);
	return to->from && to->rustc ? 0 : -ENOMEM;
}

int
result_decode(const void *p, size_t n, struct result *ret)
{
	ProtobufCMessage *body = NULL;
	Dray__CacheResult *m;
	int r;

	/* it may be anybody's */
	if (unpack_within(&dray__cache_result__descriptor, p, n, unpack_most(n), &body) < 0)
		return -EBADMSG;
	m = (Dray__CacheResult *)body;
	r = take_result(m, ret);
	/* a result without outputs or inputs is none; a script may only print */
	if (r == 0 && ((ret->n_outputs == 0 && !ret->run) || ret->inputs.n == 0))
		r = -EBADMSG;
	dray__cache_result__free_unpacked(m, NULL);
	if (r < 0)
		result_done(ret);
	return r;
}

/* ---- to bytes */

struct packing {
	Dray__CacheResult m;
	Dray__CacheInput *inputs, **inputs_p;
	Dray__CacheOutput *outputs, **outputs_p;
	Dray__CacheOutput *temporaries, **temporaries_p;
	ProtobufCBinaryData *links, *argv, *env;
};

static void
packing_done(struct packing *p)
{
	free(p->inputs);
	free(p->inputs_p);
	free(p->outputs);
	free(p->outputs_p);
	free(p->temporaries);
	free(p->temporaries_p);
	free(p->links);
	free(p->argv);
	free(p->env);
}

static ProtobufCBinaryData
data_of(const struct buf *b)
{
	return (ProtobufCBinaryData){ b->n, b->p };
}

static int
pack_inputs(struct packing *p, const struct inputs *s)
{
	p->inputs = calloc(s->n + 1, sizeof(*p->inputs));
	p->inputs_p = calloc(s->n + 1, sizeof(*p->inputs_p));
	if (!p->inputs || !p->inputs_p)
		return -ENOMEM;
	for (size_t i = 0; i < s->n; i++) {
		Dray__CacheInput *m = p->inputs_p[i] = &p->inputs[i];

		dray__cache_input__init(m);
		m->kind = s->v[i].kind;
		m->name.data = (uint8_t *)s->v[i].name;
		m->name.len = strlen(s->v[i].name);
		m->value = data_of(&s->v[i].value);
	}
	p->m.inputs = p->inputs_p;
	p->m.n_inputs = s->n;
	return 0;
}

static int
pack_outputs(
	struct output *v, size_t n, Dray__CacheOutput **outputs, Dray__CacheOutput ***outputs_p)
{
	*outputs = calloc(n + 1, sizeof(**outputs));
	*outputs_p = calloc(n + 1, sizeof(**outputs_p));
	if (!*outputs || !*outputs_p)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		Dray__CacheOutput *m = (*outputs_p)[i] = &(*outputs)[i];
		struct output *o = &v[i];

		dray__cache_output__init(m);
		m->name.data = (uint8_t *)o->name;
		m->name.len = strlen(o->name);
		m->kind = o->kind;
		m->mode = o->mode;
		m->mtime = o->mtime;
		m->size = o->size;
		if (o->is_blob)
			m->digest = (ProtobufCBinaryData){ DIGEST_SIZE, o->digest.b };
		else
			m->text = data_of(&o->text);
	}
	return 0;
}

static int
pack_bundle(struct packing *p, const struct result *r)
{
	p->links = calloc(r->n_links + 1, sizeof(*p->links));
	if (!p->links)
		return -ENOMEM;
	for (size_t i = 0; i < r->n_links; i++)
		p->links[i] = data_of(&r->links[i]);
	p->m.links = p->links;
	p->m.n_links = r->n_links;
	p->m.temporaries = p->temporaries_p;
	p->m.n_temporaries = r->n_temporaries;
	p->m.tail = data_of(&r->tail);
	return 0;
}

static ProtobufCBinaryData
text_of(char *s)
{
	return (ProtobufCBinaryData){ strlen(s), (uint8_t *)s };
}

static int
pack_strings(const struct strv *s, ProtobufCBinaryData **v, size_t *n)
{
	*v = calloc(s->n + 1, sizeof(**v));
	if (!*v)
		return -ENOMEM;
	for (size_t i = 0; i < s->n; i++)
		(*v)[i] = text_of(s->v[i]);
	*n = s->n;
	return 0;
}

static int
pack_call(struct packing *p, const struct result *r)
{
	int k = pack_strings(&r->argv, &p->argv, &p->m.n_argv);

	if (k == 0)
		k = pack_strings(&r->env, &p->env, &p->m.n_env);
	p->m.argv = p->argv;
	p->m.env = p->env;
	if (r->cwd)
		p->m.cwd = text_of(r->cwd);
	return k;
}

int
result_encode(const struct result *r, struct buf *ret)
{
	_cleanup_(packing_done) struct packing p = { .inputs = NULL };
	int k;

	dray__cache_result__init(&p.m);
	p.m.out = data_of(&r->out);
	p.m.err = data_of(&r->err);
	p.m.compile_us = r->compile_us;
	p.m.time_s = r->time_s;
	p.m.status = r->status;
	p.m.run = r->run;
	if (r->from)
		p.m.from = r->from;
	if (r->rustc)
		p.m.rustc = r->rustc;
	if (r->producer)
		p.m.producer = r->producer;
	k = pack_inputs(&p, &r->inputs);
	if (k == 0)
		k = pack_outputs(r->outputs, r->n_outputs, &p.outputs, &p.outputs_p);
	if (k == 0)
		k = pack_outputs(
			r->temporaries, r->n_temporaries, &p.temporaries, &p.temporaries_p);
	p.m.outputs = p.outputs_p;
	p.m.n_outputs = r->n_outputs;
	if (k == 0)
		k = pack_bundle(&p, r);
	if (k == 0)
		k = pack_call(&p, r);
	if (k == 0)
		k = buf_reserve(ret, dray__cache_result__get_packed_size(&p.m));
	if (k == 0)
		ret->n += dray__cache_result__pack(&p.m, ret->p + ret->n);
	return k;
}
