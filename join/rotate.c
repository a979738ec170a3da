/* A node has new keys, as a command. Invariant: the new identity is on the disk before a
 * coordinator hears of it, and in the place of the old one when all have taken it. */
#include "config.h"

#include "join/rotate.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/conf/conf.h"
#include "common/conf/coordinators.h"
#include "common/fs.h"
#include "common/log/log.h"
#include "common/text/show.h"
#include "join/ask.h"
#include "keys/rotation.h"
#include "keys/succession.h"

enum { ROTATE_OK = 0, ROTATE_FAILED = 1, ROTATE_USAGE = 2, ROTATE_NOBODY = 3 };

#define WAIT_S 15.0
#define WAIT_MAX_S 3600.0
#define MS_PER_S 1000.0

struct rotating {
	const struct rotate_program *program;
	const char *config, *wait, *overlap; /* as given */
	bool stolen, json, help;
	uint64_t wait_ms, overlap_s;
	struct conf *conf;
	struct coordinators all;
	char *path, *next; /* of the identity, and of the one that is to be; */
	char *other;	   /* and of one that was to be, where this is with --stolen, or was not */
	struct identity old, fresh;
	struct rotated done; /* by the last one; */
	bool revoked;	     /* by all of them */
};

/* Returns status. */
static int _printf_(3, 4) fail(const struct rotating *g, int status, const char *fmt, ...)
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
		fprintf(stderr, "%s: %s\n", g->program->name, (const char *)b.p);
	return status;
}

/* ---- the command line */

enum { OPT_OVERLAP = 256, OPT_STOLEN, OPT_CONFIG, OPT_WAIT, OPT_JSON };

static bool
take_option(struct rotating *g, int o)
{
	switch (o) {
	case OPT_OVERLAP:
		g->overlap = optarg;
		return true;
	case OPT_STOLEN:
		g->stolen = true;
		return true;
	case OPT_CONFIG:
		g->config = optarg;
		return true;
	case OPT_WAIT:
		g->wait = optarg;
		return true;
	case OPT_JSON:
		g->json = true;
		return true;
	case 'h':
		g->help = true;
		return true;
	default:
		return false;
	}
}

static int
take_seconds(const struct rotating *g, const char *option, const char *given, double preset,
	double most, double *ret)
{
	char *end;

	*ret = preset;
	if (!given)
		return ROTATE_OK;
	*ret = strtod(given, &end);
	if (end == given || *end || !isfinite(*ret) || *ret < 0 || *ret > most)
		return fail(g, ROTATE_USAGE, "%s: \"%s\" is no number of seconds up to %.0f",
			option, given, most);
	return ROTATE_OK;
}

static int
parse(struct rotating *g, int argc, char **argv)
{
	static const struct option longs[] = { { "overlap", required_argument, NULL, OPT_OVERLAP },
		{ "stolen", no_argument, NULL, OPT_STOLEN },
		{ "config", required_argument, NULL, OPT_CONFIG },
		{ "wait", required_argument, NULL, OPT_WAIT },
		{ "json", no_argument, NULL, OPT_JSON }, { "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 } };
	double wait = 0, overlap = 0;
	bool known = true;
	int o, status;

	while (known && (o = getopt_long(argc, argv, "h", longs, NULL)) != -1)
		known = take_option(g, o);
	if (known && g->help)
		return ROTATE_OK;
	if (!known || optind != argc) {
		if (known)
			(void)fail(g, ROTATE_USAGE, "there are too many arguments");
		fprintf(stderr, "usage: %s " ROTATE_ARGS "\n", g->program->name);
		return ROTATE_USAGE;
	}
	status = take_seconds(g, "--wait", g->wait, WAIT_S, WAIT_MAX_S, &wait);
	if (status == ROTATE_OK)
		status = take_seconds(g, "--overlap", g->overlap, ROTATION_OVERLAP_S,
			ROTATION_OVERLAP_MAX_S, &overlap);
	g->wait_ms = (uint64_t)(wait * MS_PER_S);
	g->overlap_s = (uint64_t)overlap;
	return status;
}

static int
print_help(const struct rotating *g)
{
	printf("usage: %s " ROTATE_ARGS "\n"
	       "Makes new keys, has each coordinator of the configuration take them in the place "
	       "of the\n"
	       "old ones, with the same role and name, and then puts them in the identity's file. "
	       "What\n"
	       "runs by the old key goes on. If it is interrupted, or a coordinator is away: do it "
	       "again.\n\n" ROTATE_OPTIONS
	       "\nExit status: 0 done, 1 refused or failed, 2 usage, 3 a coordinator does not "
	       "answer.\n",
		g->program->name);
	return fflush(stdout) == 0 ? ROTATE_OK : ROTATE_FAILED;
}

/* ---- what is there */

static bool
is_worker(const struct rotating *g)
{
	return streq(g->program->section, "worker");
}

static int
load_conf(struct rotating *g)
{
	_cleanup_(freep) char *error = NULL;
	int r = 0;

	if (g->config && setenv("DRAY_CONFIG", g->config, 1) < 0)
		r = -errno;
	if (r == 0)
		r = conf_load(&g->conf, &error);
	if (r == 0)
		r = is_worker(g) ? coordinators_parse("worker", g->conf->worker.coordinator,
					   g->conf->worker.coordinator_key, &g->all, &error)
				 : coordinators_parse("client", g->conf->client.coordinator,
					   g->conf->client.coordinator_key, &g->all, &error);
	if (r < 0)
		return fail(g, ROTATE_USAGE, "%s", error ? error : strerror(-r));
	return ROTATE_OK;
}

static int
load_identity(const struct rotating *g, const char *path, struct identity *ret)
{
	unsigned line = 0;
	int r = identity_load(path, ret, &line);

	if (r == -EPERM)
		return fail(g, ROTATE_FAILED, "%s: others can read these secret keys (chmod 600)",
			path);
	if (r == -EBADMSG)
		return fail(
			g, ROTATE_FAILED, "%s: line %u: this is not an identity file", path, line);
	if (r < 0)
		return fail(g, ROTATE_FAILED, "%s: %s", path, strerror(-r));
	if (!ret->has_secret)
		return fail(g, ROTATE_FAILED,
			"%s: that is the public file; the one with the secrets is needed", path);
	return ROTATE_OK;
}

/* A link to it stays one. */
static int
find_files(struct rotating *g)
{
	const char *set = is_worker(g) ? g->conf->worker.identity : g->conf->client.identity;

	if (!set || !*set)
		return fail(g, ROTATE_FAILED, "[%s] identity is not set (dray.conf(5))",
			g->program->section);
	g->path = realpath(set, NULL);
	if (!g->path)
		return fail(g, ROTATE_FAILED, "%s: %s", set, strerror(errno));
	if (asprintf(&g->next, "%s.next%s", g->path, g->stolen ? "-stolen" : "") < 0)
		g->next = NULL;
	if (asprintf(&g->other, "%s.next%s", g->path, g->stolen ? "" : "-stolen") < 0)
		g->other = NULL;
	if (!g->next || !g->other)
		return fail(g, ROTATE_FAILED, "out of memory");
	return load_identity(g, g->path, &g->old);
}

/* One that lies there is of a rotation that has not come to its end. */
static int
make_next(struct rotating *g)
{
	int r;

	if (fs_exists(g->next))
		return load_identity(g, g->next, &g->fresh);
	r = identity_generate(g->old.name, &g->fresh);
	if (r == 0)
		r = identity_save(&g->fresh, g->next);
	return r < 0 ? fail(g, ROTATE_FAILED, "%s: cannot be made: %s", g->next, strerror(-r))
		     : ROTATE_OK;
}

/* ---- what is done */

static int
status_of(int err)
{
	return err == -ETIMEDOUT || err == -ENOTCONN ? ROTATE_NOBODY : ROTATE_FAILED;
}

static int
find_key(const struct rotating *g, const struct coordinator_at *at, struct identity *ret)
{
	int r;

	if (!starts_with(at->endpoint, "tcp://"))
		return fail(g, ROTATE_FAILED, "%s: a coordinator on a Unix socket has no keys",
			at->endpoint);
	if (!at->key)
		return fail(
			g, ROTATE_FAILED, "[%s] coordinator_key is not set", g->program->section);
	r = successor_load(at->key,
		is_worker(g) ? g->conf->worker.state_dir : g->conf->client.cache_dir,
		(uint64_t)time(NULL), ret, NULL, NULL);
	return r < 0 ? fail(g, ROTATE_FAILED, "%s: %s", at->key, strerror(-r)) : ROTATE_OK;
}

/* Whether that one has taken keys that lay beside the identity when that was stolen. */
static int
ask_of_other(
	const struct rotating *g, const struct coordinator_at *at, const struct identity *other)
{
	_cleanup_(freep) char *why = NULL;
	_cleanup_(identity_done) struct identity its = { .has_secret = false };
	const struct rotate_in in = { .endpoint = at->endpoint,
		.coordinator = &its,
		.old = &g->old,
		.fresh = other,
		.worker = is_worker(g),
		.wait_ms = g->wait_ms };
	int status = find_key(g, at, &its), r;

	if (status != ROTATE_OK)
		return status;
	r = rotate_is_done(&in, &why);
	if (r == -ENOKEY)
		return ROTATE_OK;
	if (r < 0)
		return fail(g, status_of(r), "%s", why ? why : strerror(-r));
	return fail(g, ROTATE_FAILED,
		"%s has taken the keys in %s in the place of the old ones, and who has stolen "
		"these may have those, too: have an admin revoke both (drayctl key revoke NAME), "
		"and join anew with other keys",
		at->endpoint, g->other);
}

/* Keys of a rotation that came to no end. */
static int
look_at_other(const struct rotating *g)
{
	_cleanup_(identity_done) struct identity other = { .has_secret = false };
	int status;

	if (!fs_exists(g->other))
		return ROTATE_OK;
	if (!g->stolen)
		return fail(g, ROTATE_FAILED,
			"%s: a rotation with --stolen has not come to its end: go on with "
			"--stolen",
			g->other);
	status = load_identity(g, g->other, &other);
	for (size_t i = 0; status == ROTATE_OK && i < g->all.n; i++)
		status = ask_of_other(g, &g->all.v[i], &other);
	return status;
}

static int
ask_one(struct rotating *g, const struct coordinator_at *at)
{
	_cleanup_(freep) char *why = NULL, *not_yet = NULL;
	_cleanup_(identity_done) struct identity its = { .has_secret = false };
	const struct rotate_in in = { .endpoint = at->endpoint,
		.coordinator = &its,
		.old = &g->old,
		.fresh = &g->fresh,
		.worker = is_worker(g),
		.overlap_s = g->overlap_s,
		.stolen = g->stolen,
		.wait_ms = g->wait_ms };
	int status = find_key(g, at, &its), r;

	if (status != ROTATE_OK)
		return status;
	r = rotate_ask(&in, &g->done, &why);
	/* the answer of an earlier try may have been lost, and the old key's time be over since */
	if (r == -ENOKEY && rotate_is_done(&in, &not_yet) == 0) {
		g->done.already = true;
		g->done.revoked = false;
		r = 0;
	}
	g->revoked &= r == 0 && g->done.revoked;
	return r < 0 ? fail(g, status_of(r), "%s", why ? why : strerror(-r)) : ROTATE_OK;
}

static int
ask_all(struct rotating *g)
{
	int status = ROTATE_OK;

	if (g->all.n == 0)
		return fail(g, ROTATE_FAILED, "[%s] coordinator is not set (dray.conf(5))",
			g->program->section);
	g->revoked = true;
	for (size_t i = 0; status == ROTATE_OK && i < g->all.n; i++)
		status = ask_one(g, &g->all.v[i]);
	if (status != ROTATE_OK)
		(void)fail(g, status,
			"%s is as it was; the new keys are in %s, and another try goes on with "
			"them",
			g->path, g->next);
	return status;
}

/* The name is durable before this returns. */
static int
sync_dir(const char *path)
{
	_cleanup_(freep) char *dir = path_dirname(path);
	_cleanup_(closep) int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int
put_in_place(struct rotating *g)
{
	_cleanup_(freep) char *pub = NULL, *next_pub = NULL, *other_pub = NULL;
	struct stat st;
	int r = 0;

	if (asprintf(&pub, "%s.pub", g->path) < 0)
		pub = NULL;
	if (asprintf(&next_pub, "%s.pub", g->next) < 0)
		next_pub = NULL;
	if (asprintf(&other_pub, "%s.pub", g->other) < 0)
		other_pub = NULL;
	if (!pub || !next_pub || !other_pub)
		return fail(g, ROTATE_FAILED, "out of memory");
	/* its owner is the other one's */
	if (geteuid() == 0 && stat(g->path, &st) == 0 && chown(g->next, st.st_uid, st.st_gid) < 0)
		r = -errno;
	if (r == 0 && rename(g->next, g->path) < 0)
		r = -errno;
	if (r == 0)
		r = sync_dir(g->path);
	if (r < 0)
		return fail(g, ROTATE_FAILED,
			"the new keys are let in, but cannot be put in the place of %s: %s; they "
			"are in %s",
			g->path, strerror(-r), g->next);
	(void)unlink(next_pub);
	(void)unlink(g->other);
	(void)unlink(other_pub);
	r = identity_save_public(&g->fresh, pub);
	if (r < 0)
		(void)fail(g, 0, "%s: cannot be written: %s", pub, strerror(-r));
	return ROTATE_OK;
}

static int
say(const struct rotating *g)
{
	const struct rotated *d = &g->done;
	char text[64] = "its time is over";
	time_t until = (time_t)d->until_s;
	struct tm tm;

	if (g->json) {
		json_t *o = json_pack("{s:b, s:b, s:s, s:s, s:s, s:s, s:I, s:b}", "rotated", true,
			"already", d->already, "role", role_name(d->role), "name", d->name,
			"namespace", d->namespace, "key", g->fresh.curve_public, "until",
			(json_int_t)d->until_s, "stolen", g->revoked);
		int r = o ? json_dumpf(o, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII) : -1;

		json_decref(o);
		putchar('\n');
		return r == 0 && fflush(stdout) == 0 ? ROTATE_OK : ROTATE_FAILED;
	}
	if (g->revoked)
		snprintf(text, sizeof(text), "it is revoked");
	else if (g->stolen)
		snprintf(text, sizeof(text), "no word that it is revoked: drayctl key list");
	else if (d->until_s > 0 && localtime_r(&until, &tm))
		strftime(text, sizeof(text), "it counts until %Y-%m-%d %H:%M:%S", &tm);
	printf("%s: new keys, as %s %s%s%s\nthe old key: %s\n", g->path, role_name(d->role),
		d->name, *d->namespace ? " of the namespace " : "", d->namespace, text);
	if (*g->program->note)
		printf("%s\n", g->program->note);
	return fflush(stdout) == 0 ? ROTATE_OK : ROTATE_FAILED;
}

static int
run(struct rotating *g, int argc, char **argv)
{
	int status = parse(g, argc, argv);

	if (status == ROTATE_OK && g->help)
		return print_help(g);
	if (status == ROTATE_OK)
		status = load_conf(g);
	if (status == ROTATE_OK)
		status = find_files(g);
	if (status == ROTATE_OK)
		status = look_at_other(g);
	if (status == ROTATE_OK)
		status = make_next(g);
	if (status == ROTATE_OK)
		status = ask_all(g);
	if (status == ROTATE_OK)
		status = put_in_place(g);
	return status == ROTATE_OK ? say(g) : status;
}

int
rotate_main(const struct rotate_program *p, int argc, char **argv)
{
	struct rotating g = { .program = p, .all = COORDINATORS_INIT };
	int status;

	log_init(p->name, LOG_LEVEL_NONE);
	status = run(&g, argc, argv);
	coordinators_done(&g.all);
	conf_free(g.conf);
	identity_done(&g.old);
	identity_done(&g.fresh);
	free(g.path);
	free(g.next);
	free(g.other);
	return status;
}
