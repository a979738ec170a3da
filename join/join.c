/* Joining, as a command. Invariant: nothing of the configuration is changed before the coordinator
 * has let the key in. */
#include "config.h"

#include "join/join.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <math.h>
#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/fs.h"
#include "common/log/joblog.h"
#include "common/log/log.h"
#include "common/text/show.h"
#include "discovery/find.h"
#include "discovery/list.h"
#include "join/ask.h"
#include "join/settle.h"

enum { JOIN_OK = 0, JOIN_FAILED = 1, JOIN_USAGE = 2, JOIN_NOBODY = 3 };

#define WAIT_S 15.0
#define WAIT_MAX_S 3600.0
#define MS_PER_S 1000.0
#define ID_TOKEN_MAX (16u * 1024) /* as a coordinator takes it */

struct joining {
	const struct join_program *program;
	const char *name, *identity, *config, *wait, *id_file; /* as given */
	struct buf id_token;
	bool only, print, json, help;
	const char *endpoint; /* NULL: it is looked for on the network, by the key */
	struct found *found;  /* then */
	bool look_only;	      /* what is there is listed, and that is all */
	struct join_word word;
	uint64_t wait_ms;
	struct conf *conf;
	struct settle settle;
	struct identity id;
	struct joined joined;
	struct settle_line lines[SETTLE_LINES];
};

/* Returns status. */
static int _printf_(3, 4) fail(const struct joining *j, int status, const char *fmt, ...)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *text = NULL;
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (r < 0)
		text = NULL;
	if (text && show_text(&b, text) == 0 && buf_add(&b, "", 1) == 0)
		fprintf(stderr, "%s: %s\n", j->program->name, (const char *)b.p);
	return status;
}

static int
usage_error(const struct joining *j)
{
	fprintf(stderr, "usage: %s " JOIN_ARGS "\n", j->program->name);
	return JOIN_USAGE;
}

/* ---- the command line */

enum {
	OPT_NAME = 256,
	OPT_IDENTITY,
	OPT_CONFIG,
	OPT_WAIT,
	OPT_ID_TOKEN,
	OPT_ONLY,
	OPT_PRINT,
	OPT_JSON
};

static bool
take_option(struct joining *j, int o)
{
	switch (o) {
	case OPT_NAME:
		j->name = optarg;
		return true;
	case OPT_IDENTITY:
		j->identity = optarg;
		return true;
	case OPT_CONFIG:
		j->config = optarg;
		return true;
	case OPT_WAIT:
		j->wait = optarg;
		return true;
	case OPT_ID_TOKEN:
		j->id_file = optarg;
		return true;
	case OPT_ONLY:
		j->only = true;
		return true;
	case OPT_PRINT:
		j->print = true;
		return true;
	case OPT_JSON:
		j->json = true;
		return true;
	case 'h':
		j->help = true;
		return true;
	default:
		return false;
	}
}

static int
take_wait(struct joining *j)
{
	double s = WAIT_S;
	char *end;

	if (j->wait) {
		s = strtod(j->wait, &end);
		if (end == j->wait || *end || !isfinite(s) || s < 0 || s > WAIT_MAX_S)
			return fail(
				j, JOIN_USAGE, "--wait: \"%s\" is no number of seconds", j->wait);
	}
	j->wait_ms = (uint64_t)(s * MS_PER_S);
	return JOIN_OK;
}

/* "-": it is a line of standard input, where no other user of this machine sees it. */
static int
take_token(struct joining *j, const char *text)
{
	char line[JOIN_WORD_SIZE + 2] = "";
	int r;

	if (streq(text, "-")) {
		if (!fgets(line, sizeof(line), stdin))
			line[0] = '\0';
		line[strcspn(line, "\r\n")] = '\0';
		text = line;
	}
	r = join_word_parse(text, &j->word);
	OPENSSL_cleanse(line, sizeof(line));
	if (r == -EPROTONOSUPPORT)
		return fail(j, JOIN_USAGE, "that token is of a later dray; use that one here, too");
	if (r < 0)
		return fail(j, JOIN_USAGE,
			"that is no token, or not a whole one: drayctl token create prints it, %d "
			"characters that begin with dray1-",
			JOIN_WORD_SIZE - 1);
	return JOIN_OK;
}

/* The token of OpenID Connect, which is all that the file has. */
static int
take_id_token(struct joining *j)
{
	struct buf *b = &j->id_token;
	int r = fs_read_file(j->id_file, ID_TOKEN_MAX, b);

	if (r < 0)
		return fail(j, JOIN_USAGE, "%s: %s", j->id_file, strerror(-r));
	while (b->n > 0 && strchr("\r\n \t", (char)b->p[b->n - 1]))
		b->p[--b->n] = '\0';
	if (b->n == 0 || strcspn((const char *)b->p, "\r\n \t") != b->n)
		return fail(j, JOIN_USAGE, "%s: there is no token, or more than one", j->id_file);
	return JOIN_OK;
}

/* The coordinator is known by its key then. */
static int
take_key(struct joining *j, const char *text)
{
	_cleanup_(identity_done) struct identity id = { .has_secret = false };
	uint8_t raw[32];
	unsigned line = 0;
	int r = 0;

	if (strlen(text) != CURVE_KEY_SIZE - 1 || z85_decode32(text, raw) < 0)
		r = identity_load(text, &id, &line);
	else
		snprintf(id.curve_public, sizeof(id.curve_public), "%s", text);
	if (r < 0)
		return fail(j, JOIN_USAGE,
			"\"%s\" is no public key of 40 characters, and no file of one: %s", text,
			r == -EBADMSG ? "it says something else" : strerror(-r));
	memcpy(j->word.curve_public, id.curve_public, sizeof(j->word.curve_public));
	return take_id_token(j);
}

static int
take_words(struct joining *j, int argc, char **argv)
{
	const char *word = argc > 0 ? argv[argc - 1] : NULL;

	if (argc > 2 || (argc == 0 && j->id_file)) {
		(void)fail(j, JOIN_USAGE, "%s",
			argc < 2 ? "an argument is missing" : "there are too many arguments");
		return usage_error(j);
	}
	j->look_only = argc == 0;
	if (j->look_only)
		return JOIN_OK;
	j->endpoint = argc == 2 ? argv[0] : NULL;
	if (starts_with(word, "tcp://") || starts_with(word, "ipc://")) {
		(void)fail(j, JOIN_USAGE, "a token is missing");
		return usage_error(j);
	}
	if (j->endpoint && !starts_with(j->endpoint, "tcp://"))
		return fail(j, JOIN_USAGE, "\"%s\" is no endpoint like tcp://build.example:7420",
			j->endpoint);
	if (j->id_file && streq(j->program->section, "worker"))
		return fail(j, JOIN_USAGE,
			"--id-token is for users: a worker needs a token of an "
			"admin's (drayctl token create)");
	return j->id_file ? take_key(j, word) : take_token(j, word);
}

static int
parse(struct joining *j, int argc, char **argv)
{
	static const struct option longs[] = { { "name", required_argument, NULL, OPT_NAME },
		{ "identity", required_argument, NULL, OPT_IDENTITY },
		{ "config", required_argument, NULL, OPT_CONFIG },
		{ "wait", required_argument, NULL, OPT_WAIT },
		{ "id-token", required_argument, NULL, OPT_ID_TOKEN },
		{ "only", no_argument, NULL, OPT_ONLY }, { "print", no_argument, NULL, OPT_PRINT },
		{ "json", no_argument, NULL, OPT_JSON }, { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 } };
	int o, status;

	while ((o = getopt_long(argc, argv, "h", longs, NULL)) != -1)
		if (!take_option(j, o))
			return usage_error(j);
	if (j->help)
		return JOIN_OK;
	status = take_wait(j);
	return status == JOIN_OK ? take_words(j, argc - optind, argv + optind) : status;
}

static int
print_help(const struct joining *j)
{
	printf("usage: %s " JOIN_ARGS "\n"
	       "Joins a farm by a token of its admin (drayctl token create): makes keys if there "
	       "are none,\n"
	       "has the coordinator let them in, and names it in the "
	       "configuration.\n\n" JOIN_OPTIONS
	       "\nExit status: 0 joined, 1 refused or failed, 2 usage, 3 no such coordinator "
	       "answers.\n",
		j->program->name);
	return fflush(stdout) == 0 ? JOIN_OK : JOIN_FAILED;
}

/* ---- what is done */

/* The whole path of one that was given. NULL: no memory. */
static char *
whole_path(const char *given)
{
	_cleanup_(freep) char *cwd = getcwd(NULL, 0);

	return path_normalize(cwd ? cwd : "/", given);
}

/* A file that is named may be a new one, which says nothing yet. */
static int
load_conf(struct joining *j)
{
	_cleanup_(freep) char *error = NULL, *whole = j->config ? whole_path(j->config) : NULL;
	int r = j->config && !whole ? -ENOMEM : 0;

	if (r == 0 && whole)
		r = setenv("DRAY_CONFIG", fs_exists(whole) ? whole : "/dev/null", 1) < 0 ? -errno
											 : 0;
	if (r == 0)
		r = conf_load(&j->conf, &error);
	if (r == 0 && whole)
		r = setenv("DRAY_CONFIG", whole, 1) < 0 ? -errno : 0;
	return r < 0 ? fail(j, JOIN_USAGE, "%s", error ? error : strerror(-r)) : JOIN_OK;
}

/* It is checked as the configuration's is. */
static int
check_endpoint(struct joining *j)
{
	_cleanup_(freep) char *text = NULL, *error = NULL;
	_cleanup_(conf_freep) struct conf *scratch = NULL;
	int r = conf_parse("", 0, "none", &scratch, &error);

	if (r == 0 && asprintf(&text, "client.coordinator=%s", j->endpoint) < 0)
		text = NULL;
	if (r == 0)
		r = text ? conf_set_by(scratch, "the endpoint", text, &error) : -ENOMEM;
	return r < 0 ? fail(j, JOIN_USAGE, "%s", error ? error : strerror(-r)) : JOIN_OK;
}

static int
prepare(struct joining *j)
{
	_cleanup_(freep) char *why = NULL, *given = j->identity ? whole_path(j->identity) : NULL;
	char name[KEYS_NAME_MAX + 1];
	int r;

	j->settle.section = j->program->section;
	j->settle.identity = j->program->identity;
	j->settle.given_identity = given;
	j->settle.conf = j->conf;
	j->settle.only = j->only;
	if (j->identity && !given)
		return fail(j, JOIN_FAILED, "out of memory");
	identity_default_name(name);
	r = settle_begin(&j->settle, &why);
	if (r == 0)
		r = settle_identity(&j->settle, j->name ? j->name : name, &j->id, &why);
	return r < 0 ? fail(j, JOIN_FAILED, "%s", why ? why : strerror(-r)) : JOIN_OK;
}

static int
ask(struct joining *j)
{
	_cleanup_(freep) char *why = NULL;
	const struct join_in in = { .endpoint = j->endpoint,
		.word = &j->word,
		.id_token = j->id_file ? (const char *)j->id_token.p : NULL,
		.id = &j->id,
		.name = j->name ? j->name : j->id.name,
		.worker = streq(j->program->section, "worker"),
		.wait_ms = j->wait_ms };
	int r = join_ask(&in, &j->joined, &why);

	if (r == 0)
		return JOIN_OK;
	return fail(j, r == -ETIMEDOUT || r == -ENOTCONN ? JOIN_NOBODY : JOIN_FAILED, "%s",
		why ? why : strerror(-r));
}

/* On the network, the one with the key of the token: those that are announced with its fingerprint
 * are asked one after the other, and only the one that has the key learns of the token. */
static int
ask_found(struct joining *j)
{
	char finger[KEYS_FINGERPRINT_SIZE];
	const char *at, *first = NULL;
	int r, status = JOIN_NOBODY;

	j->found = calloc(1, sizeof(*j->found));
	if (!j->found)
		return fail(j, JOIN_FAILED, "out of memory");
	keys_fingerprint(j->word.curve_public, finger);
	r = find_look(FIND_LOOK_MS, j->found);
	at = find_next(j->found, finger, "");
	if (!at)
		return fail(j, JOIN_NOBODY,
			"no coordinator with the key of this token, fingerprint %s, is found on "
			"this network%s%s; name its endpoint before the token",
			finger, r < 0 || *j->found->why ? ": " : "",
			r == -ENOENT ? "dray-avahi is not installed"
			: r < 0	     ? strerror(-r)
				     : j->found->why);
	for (; at && status == JOIN_NOBODY && !(first && streq(at, first));
		at = find_next(j->found, finger, at)) {
		first = first ? first : at;
		j->endpoint = at;
		status = ask(j);
	}
	return status;
}

static int
look_only(struct joining *j)
{
	const bool worker = streq(j->program->section, "worker");
	const char *keys = worker ? j->conf->worker.coordinator_key
				  : j->conf->client.coordinator_key;
	const char *dir = worker ? j->conf->worker.state_dir : j->conf->client.cache_dir;
	int status = list_look(j->program->name, FIND_LOOK_MS, keys, dir, j->json);

	if (status == 0 && !j->json)
		printf("\nTo join one: compare its fingerprint with the one that its admin sees "
		       "(drayctl token create),\nand say `%s TOKEN`.\n",
			j->program->name);
	if (status != 0)
		return JOIN_NOBODY;
	return fflush(stdout) == 0 ? JOIN_OK : JOIN_FAILED;
}

static int
write_down(struct joining *j)
{
	_cleanup_(freep) char *why = NULL;
	int r = settle_name(&j->settle, &j->id, j->joined.name, &why);

	if (r == 0)
		r = settle_coordinator(&j->settle, &j->joined.coordinator, &why);
	if (r == 0)
		r = j->found ? settle_lines_found(&j->settle, j->endpoint, j->lines, &why)
			     : settle_lines(&j->settle, j->endpoint, j->lines, &why);
	if (r == 0 && !j->print)
		r = settle_write(&j->settle, j->lines, &why);
	return r < 0 ? fail(j, JOIN_FAILED, "the key is let in, but: %s", why ? why : strerror(-r))
		     : JOIN_OK;
}

/* ---- what is said */

/* What goes before the file: a variable of the environment. NULL: nothing does. */
static const char *
overridden(const struct joining *j, const struct settle_line *l)
{
	static const char *const client[SETTLE_LINES] = { "DRAY_COORDINATOR",
		"DRAY_COORDINATOR_KEY", "DRAY_IDENTITY" };
	static const char *const worker[SETTLE_LINES] = { "DRAY_WORKER_COORDINATOR",
		"DRAY_WORKER_COORDINATOR_KEY", "DRAY_WORKER_IDENTITY" };
	size_t i = (size_t)(l - j->lines);
	const char *name = streq(j->program->section, "worker") ? worker[i] : client[i];
	const char *value = getenv(name);

	return value && *value && !streq(value, l->value) ? name : NULL;
}

static json_t *
json_lines(const struct joining *j)
{
	json_t *o = json_object();

	for (size_t i = 0; o && i < SETTLE_LINES; i++)
		if (json_object_set_new(
			    o, j->lines[i].key, joblog_text(j->lines[i].value, SIZE_MAX)) < 0) {
			json_decref(o);
			o = NULL;
		}
	return o;
}

static int
print_json(const struct joining *j, const char *finger)
{
	const struct joined *d = &j->joined;
	json_t *o = json_pack("{s:b, s:b, s:s, s:s, s:s, s:{s:s, s:s, s:s}, s:b, s:o, s:b, s:o}",
		"joined", true, "already", d->already, "role", role_name(d->role), "name", d->name,
		"namespace", d->namespace, "coordinator", "name", d->coordinator.name, "key",
		d->coordinator.curve_public, "fingerprint", finger, "identity_made", j->settle.made,
		"config", joblog_text(j->settle.config, SIZE_MAX), "config_set", !j->print, "lines",
		json_lines(j));
	int r = o ? json_dumpf(o, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII) : -1;

	json_decref(o);
	putchar('\n');
	return r == 0 && fflush(stdout) == 0 ? JOIN_OK : JOIN_FAILED;
}

static void
print_lines(const struct joining *j)
{
	printf("[%s]\n", j->program->section);
	for (size_t i = 0; i < SETTLE_LINES; i++)
		printf("%s = %s\n", j->lines[i].key, j->lines[i].value);
}

static void
print_set(const struct joining *j)
{
	for (size_t i = 0; i < SETTLE_LINES; i++) {
		const struct settle_line *l = &j->lines[i];

		if (l->changed)
			printf("%s: [%s] %s = %s%s%s%s\n", j->settle.config, j->program->section,
				l->key, l->value, *l->was ? " (it was " : "", l->was,
				*l->was ? ")" : "");
	}
}

static int
say(const struct joining *j)
{
	const struct joined *d = &j->joined;
	char finger[KEYS_FINGERPRINT_SIZE];

	keys_fingerprint(d->coordinator.curve_public, finger);
	for (size_t i = 0; i < SETTLE_LINES; i++)
		if (overridden(j, &j->lines[i]))
			(void)fail(j, 0, "%s is set, and goes before the configuration file",
				overridden(j, &j->lines[i]));
	if (j->json)
		return print_json(j, finger);
	if (j->print) {
		print_lines(j);
		return fflush(stdout) == 0 ? JOIN_OK : JOIN_FAILED;
	}
	printf("%s as %s %s%s%s\n",
		d->already ? "this key had joined before, and no token was spent:" : "joined",
		role_name(d->role), d->name, *d->namespace ? " of the namespace " : "",
		d->namespace);
	printf("coordinator %s at %s, fingerprint %s\n", d->coordinator.name, j->endpoint, finger);
	printf("%s: %s\n", j->settle.identity_path,
		j->settle.made ? "made, readable by you alone" : "was there");
	print_set(j);
	if (*j->program->note)
		printf("%s\n", j->program->note);
	return fflush(stdout) == 0 ? JOIN_OK : JOIN_FAILED;
}

static int
run(struct joining *j, int argc, char **argv)
{
	int status = parse(j, argc, argv);

	if (status == JOIN_OK && j->help)
		return print_help(j);
	if (status == JOIN_OK && j->endpoint)
		status = check_endpoint(j);
	if (status == JOIN_OK)
		status = load_conf(j);
	if (status == JOIN_OK && j->look_only)
		return look_only(j);
	if (status == JOIN_OK)
		status = prepare(j);
	if (status == JOIN_OK)
		status = j->endpoint ? ask(j) : ask_found(j);
	if (status == JOIN_OK)
		status = write_down(j);
	return status == JOIN_OK ? say(j) : status;
}

int
join_main(const struct join_program *p, int argc, char **argv)
{
	struct joining j = { .program = p };
	int status;

	log_init(p->name, LOG_LEVEL_NONE);
	status = run(&j, argc, argv);
	settle_done(&j.settle);
	identity_done(&j.id);
	join_word_done(&j.word);
	buf_done(&j.id_token);
	conf_free(j.conf);
	free(j.found);
	return status;
}
