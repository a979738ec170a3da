/* ticket_check with arbitrary bytes: as they come, with a signature that is part of them; and
 * signed by the coordinator, as a broken one could, so that the decoder behind the signature is
 * reached. */
#include "config.h"

#include "keys/ticket.h"

#define NOW 1700000000000u

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
check(struct ticket_book *b, const struct identity *id, const uint8_t *p, size_t n,
	const uint8_t *sig, size_t sig_n, bool may_hold)
{
	char *job = NULL, owner[CURVE_KEY_SIZE] = "";
	struct ticket_terms terms;
	int r = ticket_check(
		b, p, n, sig, sig_n, id->sign_public, "client", "worker", NOW, &job, &terms);

	if (r == 0 && (!may_hold || !job || strlen(job) != 32))
		abort();
	if (r != 0 && job)
		abort();
	if (r == 0 && (terms.twin && terms.sample))
		abort();
	free(job);
	/* it is good for one of both at most */
	if (ticket_check_blobs(p, n, sig, sig_n, id->sign_public, "client", "worker", NOW, owner) ==
			0 &&
		(!may_hold || r == 0 || strlen(owner) >= sizeof(owner)))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct ticket_book *book;
	static struct identity id;
	uint8_t sig[SIGNATURE_SIZE];
	size_t sig_n;

	if (!book && (ticket_book_new(&book) < 0 || identity_generate("fuzz", &id) < 0))
		abort();
	if (n < 1)
		return 0;
	sig_n = MIN2(n - 1, (size_t)(p[0] & 127));
	check(book, &id, p + 1 + sig_n, n - 1 - sig_n, p + 1, sig_n, false);
	if (identity_sign(&id, p, n, sig) < 0)
		return 0;
	check(book, &id, p, n, sig, sizeof(sig), true);
	return 0;
}
