/* Invariant: what comes from a store is shown by show_text. */
#include "config.h"

#include "client/cmd/cache/tend_say.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/text/show.h"

static uint64_t
number(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

static const char *
text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

/* Of a word that gets an 's' for more. */
static void
say_count(uint64_t n, const char *word)
{
	printf("%" PRIu64 " %s%s", n, word, n == 1 ? "" : "s");
}

static void
say_shown(const char *before, const char *s, const char *after)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	if (show_text(&b, s) == 0 && b.n)
		printf("%s%s%s", before, (const char *)b.p, after);
}

/* "3 entries and 9 outputs, 4.0 MiB" */
static void
say_files(const json_t *o)
{
	char bytes[SHOW_SIZE];

	show_bytes(number(o, "bytes"), bytes);
	printf("%" PRIu64 " entr%s and ", number(o, "entries"),
		number(o, "entries") == 1 ? "y" : "ies");
	say_count(number(o, "outputs"), "output");
	printf(", %s", bytes);
}

/* A line of its own, of what there is. */
static void
say_some(const json_t *o, const char *key, const char *what)
{
	if (number(o, key))
		printf("  %" PRIu64 " %s\n", number(o, key), what);
}

static void
say_maker(const json_t *m)
{
	const char *producer = text(m, "producer");

	printf("  ");
	say_count(number(m, "results"), "result");
	if (!*producer)
		printf(" made here");
	else
		printf(" of the %s %s",
			streq(text(m, "kind"), "shared") ? "producer" : text(m, "kind"), producer);
	say_shown(" (", text(m, "name"), ")");
	say_shown(" in ", text(m, "namespace"), "");
	if (json_is_false(json_object_get(m, "believed")))
		printf(", not believed here: %s", text(m, "why"));
	putchar('\n');
}

/* With the budget, if there is one. */
static void
say_size(const json_t *o)
{
	char max[SHOW_SIZE];

	say_files(o);
	show_bytes(number(o, "max"), max);
	if (number(o, "max"))
		printf(" of at most %s", max);
}

/* A namespace of the coordinator's cache. */
static void
say_space(const json_t *space)
{
	printf("  ");
	if (*text(space, "namespace"))
		say_shown("in ", text(space, "namespace"), ": ");
	else
		printf("without a namespace: ");
	if (json_is_true(json_object_get(space, "open")))
		say_size(space);
	else
		printf("it is not open");
	putchar('\n');
}

static void
say_vouched(const json_t *k)
{
	printf("  vouches for the %s %s", text(k, "kind"), text(k, "key"));
	say_shown(" (", text(k, "name"), ")");
	puts(json_is_true(json_object_get(k, "revoked")) ? " no more: it is revoked" : "");
}

static void
say_status(const json_t *o)
{
	json_t *m;
	size_t i;

	say_size(o);
	putchar('\n');
	json_array_foreach(json_object_get(o, "spaces"), i, m)
	{
		say_space(m);
	}
	json_array_foreach(json_object_get(o, "vouched"), i, m)
	{
		say_vouched(m);
	}
	json_array_foreach(json_object_get(o, "makers"), i, m)
	{
		say_maker(m);
	}
	say_some(o, "forged", "with a wrong seal: nobody believes them");
	say_some(o, "damaged", "damaged");
	say_some(o, "later", "of a later version of dray");
	say_some(o, "lists", "lists of what a build asks for, beside these");
	say_some(o, "waiting", "wait for their upload: dray flush");
}

static void
say_gc(const json_t *o)
{
	const json_t *before = json_object_get(o, "before"), *after = json_object_get(o, "after");
	char bytes[SHOW_SIZE];

	show_bytes(number(before, "bytes") - MIN2(number(after, "bytes"), number(before, "bytes")),
		bytes);
	printf("%s removed; left: ", bytes);
	say_files(after);
	putchar('\n');
}

static void
say_verify(const json_t *o)
{
	printf("looked at ");
	say_files(o);
	printf(", with ");
	say_count(number(o, "results"), "result");
	putchar('\n');
	say_some(o, "damaged", "damaged");
	say_some(o, "forged", "with a wrong seal");
	say_some(o, "removed", "of what is wrong removed");
	say_some(o, "lacking", "lack outputs, and are misses");
	say_some(o, "untrusted", "of producers that are not believed here");
	say_some(o, "later", "of a later version of dray, not looked at");
}

static void
say_purge(const json_t *o)
{
	char bytes[SHOW_SIZE];

	show_bytes(number(o, "bytes"), bytes);
	printf("removed ");
	say_count(number(o, "results"), "result");
	if (json_object_get(o, "outputs") && number(o, "outputs")) {
		printf(", and ");
		say_count(number(o, "outputs"), "output");
		printf(", %s", bytes);
	}
	putchar('\n');
}

void
tend_say(enum tend_what what, const json_t *o)
{
	static void (*const say[TEND_N])(const json_t *) = { [TEND_STATUS] = say_status,
		[TEND_GC] = say_gc,
		[TEND_VERIFY] = say_verify,
		[TEND_PURGE] = say_purge };
	bool local = streq(text(o, "place"), "local");
	bool farm = streq(text(o, "place"), "coordinator");

	say_shown("", local ? text(o, "dir") : farm ? text(o, "endpoint") : text(o, "place"), "");
	printf(" (%s%s): ",
		local  ? "local cache, "
		: farm ? "the coordinator's cache, "
		       : "",
		text(o, "mode"));
	if (*text(o, "error"))
		say_shown("", text(o, "error"), "\n");
	if (!json_is_true(json_object_get(o, "cannot")) &&
		(!*text(o, "error") || what == TEND_VERIFY || what == TEND_PURGE))
		say[what](o);
	fflush(stdout);
}
