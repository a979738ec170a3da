/* A filter of system calls, run here as the kernel runs it. */
#ifndef DRAY_TESTS_UNIT_BPF_FIXTURE_H
#define DRAY_TESTS_UNIT_BPF_FIXTURE_H

#include <linux/filter.h>
#include <linux/seccomp.h>

#include "common/buf.h"

/* What the program says of a call: the instructions that bpf.c and libseccomp use, and no other. */
static inline uint32_t
bpf_run(const struct buf *program, const struct seccomp_data *data)
{
	const struct sock_filter *v = (const struct sock_filter *)program->p;
	size_t n = program->n / sizeof(*v);
	uint32_t a = 0;

	for (size_t i = 0; i < n; i++) {
		const struct sock_filter *s = &v[i];
		bool holds = false;

		switch (s->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			assert_true(s->k + 4 <= sizeof(*data) && s->k % 4 == 0);
			memcpy(&a, (const char *)data + s->k, 4);
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= s->k;
			continue;
		case BPF_RET | BPF_K:
			return s->k;
		case BPF_JMP | BPF_JA:
			i += s->k;
			continue;
		case BPF_JMP | BPF_JEQ | BPF_K:
			holds = a == s->k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			holds = a > s->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			holds = a >= s->k;
			break;
		default:
			fail_msg("instruction %u", s->code);
		}
		i += holds ? s->jt : s->jf;
	}
	fail_msg("it has no end");
	return 0;
}

#endif
