/* The program:
 *
 *   another architecture? ─▶ allow
 *   a tree of comparisons of the call's number ─▶ a run of numbers ─▶ allow, or notify,
 *                                                  or the conditions of a call's rules
 *
 * Invariant: each jump leads forward to an instruction of the same part, so that a part can be
 * moved as a whole. */
#include "config.h"

#include "trace/bpf.h"

#include <endian.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#if defined(__x86_64__)
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define OWN_ARCH AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && __BYTE_ORDER == __LITTLE_ENDIAN
#define OWN_ARCH AUDIT_ARCH_PPC64LE
#elif defined(__powerpc64__)
#define OWN_ARCH AUDIT_ARCH_PPC64
#elif defined(__s390x__)
#define OWN_ARCH AUDIT_ARCH_S390X
#elif defined(__loongarch64) && defined(AUDIT_ARCH_LOONGARCH64)
#define OWN_ARCH AUDIT_ARCH_LOONGARCH64
#else
#define OWN_ARCH 0
#endif

#define LOW_AT (__BYTE_ORDER == __LITTLE_ENDIAN ? 0u : 4u)
#define HIGH_AT (4u - LOW_AT)
#define JUMP_MAX 255
#define TO_NEXT_RULE 0xff /* until the rule's length is known */

void
bpf_rules_done(struct bpf_rules *r)
{
	free(r->v);
	*r = (struct bpf_rules){ 0 };
}

int
bpf_rules_add(struct bpf_rules *r, int call, const struct bpf_when *when, unsigned n)
{
	if (n > BPF_WHEN_MAX)
		return -EINVAL;
	if (call < 0)
		return 0;
	if (r->n == r->cap) {
		size_t cap = MAX2((size_t)128, 2 * r->cap);
		struct bpf_rule *v = reallocarray(r->v, cap, sizeof(*v));

		if (!v)
			return -ENOMEM;
		r->v = v;
		r->cap = cap;
	}
	r->v[r->n] = (struct bpf_rule){ .call = call, .n = n };
	if (n)
		memcpy(r->v[r->n].when, when, n * sizeof(*when));
	r->n++;
	return 0;
}

/* ---- instructions */

struct program {
	struct sock_filter v[BPF_MAXINSNS];
	size_t n;
	bool full;
};

static void
add(struct program *p, unsigned code, uint32_t k, unsigned jt, unsigned jf)
{
	if (p->n == BPF_MAXINSNS)
		p->full = true;
	else
		p->v[p->n++] = (struct sock_filter){ (uint16_t)code, (uint8_t)jt, (uint8_t)jf, k };
}

static void
load(struct program *p, size_t at)
{
	add(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)at, 0, 0);
}

static void
load_half(struct program *p, unsigned arg, size_t half)
{
	load(p, offsetof(struct seccomp_data, args) + arg * sizeof(uint64_t) + half);
}

static void
jump(struct program *p, unsigned how, uint32_t k, unsigned jt, unsigned jf)
{
	add(p, BPF_JMP | how | BPF_K, k, jt, jf);
}

static void
end(struct program *p, uint32_t action)
{
	add(p, BPF_RET | BPF_K, action, 0, 0);
}

/* ---- conditions */

static void
compare_masked(struct program *p, unsigned arg, size_t half, uint32_t mask, uint32_t value)
{
	if (!mask)
		return;
	load_half(p, arg, half);
	if (mask != UINT32_MAX)
		add(p, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
	jump(p, BPF_JEQ, value, 0, TO_NEXT_RULE);
}

/* What holds goes on behind it. */
static void
add_when(struct program *p, const struct bpf_when *w)
{
	uint32_t high = (uint32_t)(w->value >> 32), low = (uint32_t)w->value;

	if (w->op == BPF_IS) {
		compare_masked(p, w->arg, HIGH_AT, (uint32_t)(w->mask >> 32), high);
		compare_masked(p, w->arg, LOW_AT, (uint32_t)w->mask, low);
		return;
	}
	load_half(p, w->arg, HIGH_AT);
	switch (w->op) {
	case BPF_IS_NOT:
		jump(p, BPF_JEQ, high, 0, 2);
		load_half(p, w->arg, LOW_AT);
		jump(p, BPF_JEQ, low, TO_NEXT_RULE, 0);
		break;
	case BPF_AT_LEAST:
		jump(p, BPF_JGT, high, 3, 0);
		jump(p, BPF_JEQ, high, 0, TO_NEXT_RULE);
		load_half(p, w->arg, LOW_AT);
		jump(p, BPF_JGE, low, 0, TO_NEXT_RULE);
		break;
	default:
		jump(p, BPF_JGT, high, TO_NEXT_RULE, 0);
		jump(p, BPF_JEQ, high, 0, 2);
		load_half(p, w->arg, LOW_AT);
		jump(p, BPF_JGE, low, TO_NEXT_RULE, 0);
	}
}

static void
add_rule(struct program *p, const struct bpf_rule *r)
{
	size_t from = p->n;

	for (unsigned i = 0; i < r->n; i++)
		add_when(p, &r->when[i]);
	end(p, SECCOMP_RET_USER_NOTIF);
	for (size_t i = from; i < p->n; i++) {
		unsigned left = (unsigned)(p->n - i - 1);

		if (BPF_CLASS(p->v[i].code) != BPF_JMP)
			continue;
		if (p->v[i].jt == TO_NEXT_RULE)
			p->v[i].jt = (uint8_t)left;
		if (p->v[i].jf == TO_NEXT_RULE)
			p->v[i].jf = (uint8_t)left;
	}
}

/* ---- the tree */

/* Numbers from `from` up to the next one's. */
struct run {
	uint32_t from;
	uint32_t action;	      /* where there is no rule with a condition */
	const struct bpf_rule *rules; /* all of one call; NULL: action */
	size_t n;
};

static void
add_run(struct program *p, const struct run *r)
{
	if (!r->rules) {
		end(p, r->action);
		return;
	}
	for (size_t i = 0; i < r->n; i++)
		add_rule(p, &r->rules[i]);
	end(p, SECCOMP_RET_ALLOW);
}

/* Depth is log n. */
static void
add_tree(struct program *p, const struct run *v, size_t n)
{
	size_t half = n / 2, at = p->n, len;

	if (n == 1) {
		add_run(p, v);
		return;
	}
	jump(p, BPF_JGE, v[half].from, 0, 0);
	add_tree(p, v, half);
	len = p->n - at - 1;
	if (len > JUMP_MAX && p->n < BPF_MAXINSNS) {
		/* too far for the comparison itself */
		memmove(p->v + at + 2, p->v + at + 1, len * sizeof(*p->v));
		p->v[at].jf = 1;
		p->v[at + 1] = (struct sock_filter){ BPF_JMP | BPF_JA, 0, 0, (uint32_t)len };
		p->n++;
	} else if (!p->full) {
		p->v[at].jt = (uint8_t)len;
	}
	add_tree(p, v + half, n - half);
}

static int
by_call(const void *a, const void *b)
{
	const struct bpf_rule *x = a, *y = b;

	return (x->call > y->call) - (x->call < y->call);
}

static void
put_run(struct run *v, size_t *n, struct run r)
{
	if (*n && v[*n - 1].from == r.from)
		--*n;
	if (*n == 0 || v[*n - 1].rules || r.rules || v[*n - 1].action != r.action)
		v[(*n)++] = r;
}

/* At most two a call, and the first. */
static size_t
find_runs(const struct bpf_rules *r, struct run *v)
{
	size_t n = 0, next;

	put_run(v, &n, (struct run){ .from = 0, .action = SECCOMP_RET_ALLOW });
	for (size_t i = 0; i < r->n; i = next) {
		struct run run = { .from = (uint32_t)r->v[i].call, .rules = &r->v[i] };

		for (next = i; next < r->n && r->v[next].call == r->v[i].call; next++)
			if (r->v[next].n == 0)
				run.action = SECCOMP_RET_USER_NOTIF;
		run.n = next - i;
		if (run.action)
			run.rules = NULL;
		put_run(v, &n, run);
		put_run(v, &n, (struct run){ .from = run.from + 1, .action = SECCOMP_RET_ALLOW });
	}
	return n;
}

int
bpf_rules_make(struct bpf_rules *r, struct buf *ret)
{
	_cleanup_(freep) struct run *runs = calloc(2 * r->n + 1, sizeof(*runs));
	_cleanup_(freep) struct program *p = malloc(sizeof(*p));

	if (!OWN_ARCH)
		return -ENOTSUP;
	if (!runs || !p)
		return -ENOMEM;
	if (r->n)
		qsort(r->v, r->n, sizeof(*r->v), by_call);
	p->n = 0;
	p->full = false;
	load(p, offsetof(struct seccomp_data, arch));
	jump(p, BPF_JEQ, OWN_ARCH, 1, 0);
	end(p, SECCOMP_RET_ALLOW);
	load(p, offsetof(struct seccomp_data, nr));
	add_tree(p, runs, find_runs(r, runs));
	return p->full ? -E2BIG : buf_add(ret, p->v, p->n * sizeof(*p->v));
}
