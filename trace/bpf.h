/* Makes a seccomp filter that notifies of some calls and lets all others through.
 *
 * libseccomp can do it, too: in half a millisecond, and as a chain of comparisons that the kernel
 * goes through at each call, and for each number when the filter is installed. This is a search
 * tree. */
#ifndef DRAY_TRACE_BPF_H
#define DRAY_TRACE_BPF_H

#include "common/buf.h"

#define BPF_WHEN_MAX 3

/* What must be true of an argument, all 64 bits of it. */
enum bpf_op {
	BPF_IS, /* (argument & mask) == value */
	BPF_IS_NOT,
	BPF_AT_LEAST,
	BPF_BELOW,
};

struct bpf_when {
	unsigned arg; /* 0 to 5 */
	enum bpf_op op;
	uint64_t value, mask; /* mask: of BPF_IS */
};

/* A call is notified if one of its rules holds; a rule holds if all of `when` is true. */
struct bpf_rule {
	int call; /* below 0: this architecture has no such call, and the rule is left out */
	unsigned n;
	struct bpf_when when[BPF_WHEN_MAX];
};

struct bpf_rules {
	struct bpf_rule *v;
	size_t n, cap;
};

/* For `_cleanup_(bpf_rules_done) struct bpf_rules r = { 0 };`. */
void bpf_rules_done(struct bpf_rules *r);
/* 0, -EINVAL (too many conditions) or -ENOMEM. */
int bpf_rules_add(struct bpf_rules *r, int call, const struct bpf_when *when, unsigned n);
/* Adds the program (struct sock_filter[]) to *ret. Calls of programs of another architecture are
 * let through. Sorts the rules. 0; -ENOTSUP: this architecture's name is not known; -E2BIG;
 * -ENOMEM. */
int bpf_rules_make(struct bpf_rules *r, struct buf *ret);

#endif
