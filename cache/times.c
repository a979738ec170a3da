/* Invariant: a time is ignored only if it once differed by a second or more while nothing else did
 * and the bytes were the same, and if no comparison of this package showed the opposite. */
#include "config.h"

#include "cache/times.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "cache/attributes.h"
#include "cache/inputs_priv.h"
#include "common/fs.h"

#define LESSONS_MAX 1024

void
times_done(struct times *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->v[i].name);
	free(t->v);
	*t = (struct times)TIMES_INIT;
}

static struct times_lesson *
find(const struct times *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (streq(t->v[i].name, name))
			return &t->v[i];
	return NULL;
}

/* NULL: no memory, or too many. */
static struct times_lesson *
find_or_add(struct times *t, const char *name)
{
	struct times_lesson *l = find(t, name);
	char *copy;

	if (l || t->n == LESSONS_MAX)
		return l;
	if (t->n == t->cap) {
		size_t cap = MAX2((size_t)16, 2 * t->cap);
		struct times_lesson *v = reallocarray(t->v, cap, sizeof(*v));

		if (!v)
			return NULL;
		t->v = v;
		t->cap = cap;
	}
	copy = strdup(name);
	if (!copy)
		return NULL;
	t->v[t->n] = (struct times_lesson){ .name = copy };
	return &t->v[t->n++];
}

/* ---- as a note: each "ONCE TWICE MATTER STATE NAME" and a NUL, numbers in hex */

int
times_decode(const struct buf *b, struct times *ret)
{
	if (b->n == 0 || b->p[b->n - 1] != '\0')
		return 0;
	for (const char *p = (const char *)b->p, *end = p + b->n; p < end; p += strlen(p) + 1) {
		unsigned once, twice, matter;
		unsigned long long state;
		struct times_lesson *l;
		int at = 0;

		if (sscanf(p, "%x %x %x %llx %n", &once, &twice, &matter, &state, &at) != 4 ||
			!at || !p[at])
			return 0;
		l = find_or_add(ret, p + at);
		if (!l)
			return -ENOMEM;
		l->once = once & ATTRIBUTE_TIMES;
		l->twice = twice & ATTRIBUTE_TIMES;
		l->matter = matter & ATTRIBUTE_TIMES;
		l->state = state;
	}
	return 0;
}

int
times_encode(const struct times *t, struct buf *ret)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < t->n; i++) {
		const struct times_lesson *l = &t->v[i];

		r = buf_addf(ret, "%x %x %x %llx %s", l->once, l->twice, l->matter,
			(unsigned long long)l->state, l->name);
		if (r == 0)
			r = buf_add(ret, "", 1);
	}
	return r;
}

/* ---- comparing */

static bool
is_stat(const struct input *in)
{
	return in->kind == INPUT_STAT || in->kind == INPUT_LSTAT;
}

bool
times_matter_to(const struct result *r)
{
	for (size_t i = 0; i < r->inputs.n; i++)
		if (is_stat(&r->inputs.v[i]))
			return true;
	return false;
}

/* The compiler's temporary directory has another name each time. Returns the length of such a name
 * at p, or 0.
 */
static size_t
temporary_at(const uint8_t *p, size_t at, size_t n)
{
	static const char begin[] = "rustc";
	const size_t known = sizeof(begin) - 1, all = known + 6;

	if ((at > 0 && p[at - 1] != '/' && p[at - 1] != INPUT_OUT_DIR_MARK) || n - at < all ||
		memcmp(p + at, begin, known) != 0 ||
		(n - at > all && p[at + all] != '/' && p[at + all] != '\0'))
		return 0;
	for (size_t i = known; i < all; i++)
		if (!isalnum(p[at + i]))
			return 0;
	return all;
}

/* Where the first name begins in which both differ: what stands before it is the same, byte for
 * byte. */
static size_t
same_until(const uint8_t *x, const uint8_t *y, size_t n)
{
	size_t i = 0;

	while (i < n && x[i] == y[i])
		i++;
	while (i > 0 && x[i - 1] != '/' && x[i - 1] != INPUT_OUT_DIR_MARK)
		i--;
	return i;
}

/* Like memcmp, but all names of temporary directories are equal. */
static int
compare_text(const void *a, size_t a_n, const void *b, size_t b_n)
{
	const uint8_t *x = a, *y = b;
	size_t i = same_until(x, y, MIN2(a_n, b_n)), k = i;

	while (i < a_n && k < b_n) {
		size_t n = temporary_at(x, i, a_n), m = temporary_at(y, k, b_n);

		if (n == 0 || m == 0) {
			if (x[i] != y[k])
				return x[i] < y[k] ? -1 : 1;
			n = m = 1;
		}
		i += n;
		k += m;
	}
	return i < a_n ? 1 : k < b_n ? -1 : 0;
}

static int
compare_names(const char *a, const char *b)
{
	return compare_text(a, strlen(a), b, strlen(b));
}

/* Threads of a compiler may ask in any order. */
static int
compare_inputs(const void *a, const void *b)
{
	const struct input *x = *(const struct input *const *)a,
			   *y = *(const struct input *const *)b;
	int k = x->kind < y->kind ? -1 : x->kind > y->kind;

	return k ? k : compare_names(x->name, y->name);
}

static bool
buf_eq(const struct buf *a, const struct buf *b)
{
	return a->n == b->n && (a->n == 0 || memcmp(a->p, b->p, a->n) == 0);
}

/* Whether both are equal but for times. *ret_moved: the times that count and moved; *differ: set if
 * a time that counts differs. */
static bool
same_but_times(const struct input *a, const struct input *b, unsigned *ret_moved, bool *differ)
{
	struct attributes x, y;
	uint64_t ignored;

	*ret_moved = 0;
	if (a->kind != b->kind || compare_names(a->name, b->name) != 0)
		return false;
	if (!is_stat(a))
		return buf_eq(&a->value, &b->value);
	if (attributes_decode(&a->value, &x) < 0 || attributes_decode(&b->value, &y) < 0)
		return false;
	ignored = x.ignored | y.ignored;
	*ret_moved = attributes_moved(&x, &y) & ~(unsigned)ignored;
	for (unsigned i = ATTRIBUTE_MODIFIED; i < ATTRIBUTES; i++)
		*differ |= x.v[i] != y.v[i] && !(ignored & (1u << i));
	x.ignored = ATTRIBUTE_TIMES;
	return attributes_difference(&x, &y) == NULL;
}

static bool
same_outputs(const struct output *a, const struct output *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (compare_names(a[i].name, b[i].name) != 0 || a[i].mode != b[i].mode ||
			a[i].size != b[i].size || a[i].is_blob != b[i].is_blob ||
			(a[i].is_blob ? !digest_eq(&a[i].digest, &b[i].digest)
				      : !buf_eq(&a[i].text, &b[i].text)))
			return false;
	return true;
}

static bool
same_made(const struct result *a, const struct result *b)
{
	if (a->status != b->status || a->n_outputs != b->n_outputs ||
		a->n_temporaries != b->n_temporaries || a->n_links != b->n_links ||
		!same_outputs(a->outputs, b->outputs, a->n_outputs) ||
		!same_outputs(a->temporaries, b->temporaries, a->n_temporaries) ||
		!buf_eq(&a->tail, &b->tail) || !buf_eq(&a->out, &b->out) ||
		!buf_eq(&a->err, &b->err))
		return false;
	for (size_t i = 0; i < a->n_links; i++)
		if (compare_text(a->links[i].p, a->links[i].n, b->links[i].p, b->links[i].n) != 0)
			return false;
	return true;
}

/* A hash of all that was read, without times. */
static uint64_t
state_of(const struct input *const *v, size_t n)
{
	struct hasher *h = hasher_new();
	struct digest d = { { 0 } };
	uint64_t state = 0;

	if (!h)
		return 0;
	for (size_t i = 0; i < n; i++) {
		/* an absent file says little of a state, and its name may be random */
		if (!is_stat(v[i]) && v[i]->value.n > 0)
			hasher_field(h, v[i]->name, strlen(v[i]->name));
		if (!is_stat(v[i]))
			hasher_field(h, v[i]->value.p, v[i]->value.n);
	}
	hasher_final(h, &d);
	hasher_free(h);
	memcpy(&state, d.b, sizeof(state));
	return state;
}

static int
set_ignored(struct input *in, uint64_t add, uint64_t not )
{
	struct attributes a;
	struct buf b = BUF_INIT;

	if (attributes_decode(&in->value, &a) < 0)
		return 0;
	a.ignored = (a.ignored | add) & ~not ;
	if (attributes_encode(&a, &b) < 0)
		return -ENOMEM;
	buf_done(&in->value);
	in->value = b;
	return 0;
}

static int
learn(struct times *t, const struct input *in, unsigned moved, bool idle, uint64_t state)
{
	struct times_lesson *l = moved ? find_or_add(t, in->name) : NULL;

	if (!moved)
		return 0;
	if (!l)
		return t->n == LESSONS_MAX ? 0 : -ENOMEM;
	if (!idle) {
		l->matter |= moved;
	} else {
		if (l->once && l->state != state)
			l->twice |= l->once & moved;
		if (!l->once)
			l->state = state;
		l->once |= moved;
	}
	return 0;
}

static int
take(const struct input *const *a, struct input *const *b, size_t n, struct times *t, bool idle)
{
	uint64_t state = state_of((const struct input *const *)b, n);
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		struct attributes kept;
		unsigned moved;
		bool differ = false;

		if (!is_stat(b[i]) || !same_but_times(a[i], b[i], &moved, &differ))
			continue;
		r = learn(t, b[i], moved, idle, state);
		if (r == 0 && idle && attributes_decode(&a[i]->value, &kept) == 0)
			r = set_ignored(b[i], moved | kept.ignored, 0);
	}
	return r;
}

int
times_compare(
	const struct result *kept, struct result *now, struct times *t, enum times_verdict *ret)
{
	size_t n = now->inputs.n;
	_cleanup_(freep) const struct input **a = NULL;
	_cleanup_(freep) const struct input **b = NULL;
	bool differ = false, idle;
	unsigned moved;

	*ret = TIMES_OTHER;
	if (kept->inputs.n != n)
		return 0;
	a = inputs_sorted(&kept->inputs, compare_inputs);
	b = inputs_sorted(&now->inputs, compare_inputs);
	if (!a || !b)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (!same_but_times(a[i], b[i], &moved, &differ))
			return 0;
	if (!differ)
		return 0;
	idle = same_made(kept, now);
	*ret = idle ? TIMES_IDLE : TIMES_MATTER;
	return take(a, (struct input *const *)b, n, t, idle);
}

/* Files that derives check for changes before they read them again. */
static bool
is_manifest(const char *name)
{
	const char *base = path_basename(name);

	return streq(base, "Cargo.toml") || streq(base, "Cargo.lock");
}

int
times_apply(const struct times *t, struct result *now)
{
	int r = 0;

	for (size_t i = 0; r == 0 && t->n > 0 && i < now->inputs.n; i++) {
		struct input *in = &now->inputs.v[i];
		const struct times_lesson *l = is_stat(in) ? find(t, in->name) : NULL;

		if (l)
			r = set_ignored(in, is_manifest(in->name) ? l->once : l->twice, l->matter);
	}
	return r;
}
