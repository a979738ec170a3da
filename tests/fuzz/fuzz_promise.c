/* promise_text on any stream, cut anywhere: a repetition of what was said is swallowed, and what
 * follows comes out unchanged; a stream that differs comes out whole. */
#include "config.h"

#include "client/wrap/promise.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
run(const uint8_t *said, size_t n_said, const uint8_t *p, size_t n, size_t piece)
{
	_cleanup_(promise_freep) struct promise *promise = NULL;
	_cleanup_(buf_done) struct buf out = BUF_INIT;
	size_t skip = n >= n_said && memcmp(said, p, n_said) == 0 ? n_said : 0;
	struct digest d;

	if (digest_bytes(said, n_said, &d) < 0 || promise_new(n_said, &d, &promise) < 0)
		return;
	for (size_t at = 0; at < n; at += piece)
		if (promise_text(promise, p + at, MIN2(piece, n - at), &out) < 0)
			return;
	if (promise_end(promise, &out) < 0)
		return;
	if (n < n_said ? out.n != 0 : out.n != n - skip)
		abort();
	if (out.n && memcmp(out.p, p + skip, out.n) != 0)
		abort();
}

/* First byte: size of the pieces. Second: how much of the rest was said. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	size_t piece, n_said;

	if (n < 3)
		return 0;
	piece = (size_t)p[0] + 1;
	n_said = (size_t)p[1] * (n - 2) / 255;
	run(p + 2, n_said, p + 2, n - 2, piece);		   /* repeated */
	run(p + 2, n_said, p + 2 + n_said, n - 2 - n_said, piece); /* something else, mostly */
	return 0;
}
