#include "config.h"

#include "tests/authorisation/table.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/buf.h"
#include "common/fs.h"
#include "proto/admit.h"

#define TYPES 1024
#define FILE_MAX (64u * 1024)

/* Those that a key can have; ROLE_NONE: a key that is in no list, where one may join. */
static const enum role roles[] = { ROLE_CLIENT, ROLE_READER, ROLE_PUBLISHER, ROLE_WORKER,
	ROLE_ADMIN, ROLE_NONE };

/* In some state. */
static bool
may(enum admit_at at, enum role role, enum wire_type type)
{
	for (unsigned s = 0; s < ADMIT_STATES - 1; s++)
		if (admit_look(at, (enum admit_state)(1u << s), role, type) == ADMIT_YES)
			return true;
	return false;
}

static bool
is_heard(enum admit_at at, enum wire_type type)
{
	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		if (may(at, roles[i], type))
			return true;
	return false;
}

static void
print_states(enum admit_at at, enum wire_type type)
{
	static const struct {
		enum admit_state state;
		const char *word;
	} states[] = { { ADMIT_NEW, "before Hello" }, { ADMIT_GREETED, "after Hello" },
		{ ADMIT_REGISTERED, "registered" }, { ADMIT_OPENING, "its job is opened" },
		{ ADMIT_FEEDING, "is fed" }, { ADMIT_RUNNING, "runs" } };
	const char *sep = " ";

	for (size_t s = 0; s < ARRAY_LEN(states); s++) {
		bool any = false;

		for (size_t i = 0; i < ARRAY_LEN(roles); i++)
			any |= admit_look(at, states[s].state, roles[i], type) == ADMIT_YES;
		if (any) {
			printf("%s%s", sep, states[s].word);
			sep = ", ";
		}
	}
	puts(" |");
}

static void
print_head(const char *first, const char *last)
{
	printf("| %s |", first);
	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		printf(" %s |", roles[i] == ROLE_NONE ? "guest" : role_name(roles[i]));
	printf(" %s |\n|---|", last);
	for (size_t i = 0; i <= ARRAY_LEN(roles); i++)
		fputs("---|", stdout);
	puts("");
}

static void
print_side(enum admit_at at)
{
	print_head("message", "when");
	for (unsigned type = 0; type < TYPES; type++) {
		if (!wire_info(type) || !is_heard(at, type))
			continue;
		printf("| %s |", wire_info(type)->name);
		for (size_t i = 0; i < ARRAY_LEN(roles); i++)
			fputs(may(at, roles[i], type) ? " yes |" : " – |", stdout);
		print_states(at, type);
	}
}

static unsigned
type_named(const char *name)
{
	for (unsigned type = 0; type < TYPES; type++)
		if (wire_info(type) && streq(wire_info(type)->name, name))
			return type;
	return 0;
}

/* A command may be used by those that may send all that it says. */
static int
print_command(char *line)
{
	char *words = strchr(line, ':'), *word;
	bool ok[ARRAY_LEN(roles)], any = false;

	if (!words)
		return -1;
	*words++ = '\0';
	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		ok[i] = true;
	printf("| `%s` |", line);
	for (char *rest = words; (word = strsep(&rest, " "));) {
		unsigned type = *word && !streq(word, "-") ? type_named(word) : 0;

		if (*word && !type && !streq(word, "-"))
			return -1;
		for (size_t i = 0; type && i < ARRAY_LEN(roles); i++)
			ok[i] = ok[i] && may(ADMIT_COORDINATOR, roles[i], (enum wire_type)type);
		any = any || type;
	}
	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		printf(" %s |", !any ? "" : ok[i] ? "yes" : "–");
	printf("%s |\n", any ? words : " nothing");
	return 0;
}

static int
print_commands(const char *path)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char *rest, *line;

	if (fs_read_file(path, FILE_MAX, &b) < 0 || buf_add(&b, "", 1) < 0)
		return -1;
	print_head("command", "what it says");
	rest = (char *)b.p;
	while ((line = strsep(&rest, "\n"))) {
		line[strcspn(line, "#")] = '\0';
		if (*line && print_command(line) < 0) {
			fprintf(stderr, "%s: what is this: %s\n", path, line);
			return -1;
		}
	}
	return 0;
}

int
table_print(const char *commands)
{
	puts("# Who may say what\n\n"
	     "Made by `tests/authorisation/authorise table` from proto/admit.c, and held against "
	     "a coordinator and a worker that\nrun, message by message and role by role "
	     "(`tests/scenario/1052-authorisation.bats`, `test_admit`). What is not in it is\n"
	     "refused, and its peer is heard no more; an admin's message of another role is in "
	     "`refused.log` as well.\n\n"
	     "A *guest* is a key that is in no list, or whose time is over (`until=`, or let in by "
	     "OpenID Connect for a while), as long\nas there is a token, or runs of a CI may join. "
	     "Otherwise such a key has no connection; one that is revoked, and who has no\nkey, "
	     "never. On the coordinator's own socket its user and root are admins; another user "
	     "has "
	     "no connection there. The page\nanswers nothing without its token, where it has one, "
	     "but `/healthz`, `/readyz` and the form for the token.\n\n"
	     "## To a coordinator\n");
	print_side(ADMIT_COORDINATOR);
	puts("\n## To a worker\n\nA worker lets in those keys alone that its coordinator has named "
	     "to it for a job.\n");
	print_side(ADMIT_WORKER);
	puts("\n## Commands\n\nBy what each says to a coordinator (from afar), in each case or in "
	     "some: with a key of which role it works.\n");
	return print_commands(commands) < 0 ? 2 : 0;
}
