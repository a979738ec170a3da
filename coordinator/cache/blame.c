/* Invariant: what one client's key brings about concerns its own units alone. */
#include "config.h"

#include "coordinator/cache/blame.h"

/* What counts of notes: of this worker; client: of its units alone; NULL: of all whose client is
 * known. alike: only those where another one of its kind made something else. */
struct filter {
	const char *worker, *client;
	bool alike;
};

static bool
takes(const struct filter *f, const struct judged_note *n)
{
	return streq(n->worker, f->worker) && (!f->alike || n->alike) &&
	       (f->client ? streq(n->client, f->client) : *n->client);
}

/* Whether one before it is of the same crate, or of the same source. */
static bool
is_told(const struct judged *j, const struct filter *f, size_t at)
{
	const struct judged_package *p = &j->notes[at].of;

	for (size_t i = 0; i < at; i++)
		if (takes(f, &j->notes[i]) && (streq(j->notes[i].of.crate, p->crate) ||
						      streq(j->notes[i].of.source, p->source)))
			return true;
	return false;
}

/* Packages that count for that client, each once in all that f takes. */
static size_t
count_of(const struct judged *j, const struct filter *f, const char *client)
{
	size_t n = 0;

	for (size_t i = 0; i < j->n_notes; i++)
		n += takes(f, &j->notes[i]) && streq(j->notes[i].client, client) &&
		     !is_told(j, f, i);
	return n;
}

static bool
is_first_of(const struct judged *j, const struct filter *f, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (takes(f, &j->notes[i]) && streq(j->notes[i].client, j->notes[at].client))
			return false;
	return true;
}

/* Keys of clients that have enough packages of their own. */
static size_t
clients_of(const struct judged *j, const struct filter *f)
{
	size_t n = 0;

	for (size_t i = 0; i < j->n_notes; i++)
		n += takes(f, &j->notes[i]) && is_first_of(j, f, i) &&
		     count_of(j, f, j->notes[i].client) >= BLAME_PACKAGES;
	return n;
}

enum blame
blame_of(const struct judged *j, const char *worker)
{
	const struct filter alike = { worker, NULL, true }, any = { worker, NULL, false };

	return clients_of(j, &alike) >= BLAME_CLIENTS ? BLAME_SHUNNED
	       : clients_of(j, &any) >= BLAME_CLIENTS ? BLAME_UNLIKE
						      : BLAME_NONE;
}

bool
blame_is_withheld(const struct judged *j, const char *worker, const char *client)
{
	const struct filter f = { worker, client, false };

	return count_of(j, &f, client) >= BLAME_PACKAGES;
}

size_t
blame_packages(const struct judged *j, const struct judged_package **ret)
{
	size_t n = 0;

	for (size_t i = 0; i < j->n_packages; i++)
		ret[n++] = &j->packages[i];
	for (size_t i = 0; i < j->n_notes; i++)
		if (!judged_find(j, j->notes[i].worker) &&
			!blame_is_withheld(j, j->notes[i].worker, j->notes[i].client))
			ret[n++] = &j->notes[i].of;
	return n;
}
