/* dray verify: makes again what the local cache has, units and runs of build scripts, and compares.
 * What differs is dropped, so that the next build makes it. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "cache/text.h"
#include "client/cmd/cmd.h"
#include "client/wrap/local.h"
#include "client/incremental/prime.h"
#include "common/text/show.h"
#include "client/show/stats.h"
#include "client/cmd/verify/verify.h"
#include "common/process/child.h"
#include "common/fs.h"

struct checked {
	bool json, progress;
	struct depot *depot;
	struct digest *keys;
	size_t n_keys;
	uint64_t limit; /* compiled at most; 0: all */
	uint64_t looked_at, verified, runs, differ, skipped, outputs, bytes; /* runs: of verified */
	struct stats_groups why;
	json_t *producers; /* of what was made again: how many by which worker's key */
	json_t *list;	   /* of what differs */
};

static void
checked_done(struct checked *c)
{
	depot_close(c->depot);
	free(c->keys);
	json_decref(c->list);
	json_decref(c->producers);
}

/* ---- which */

/* In any order, each as likely. */
static int
shuffle(struct checked *c)
{
	for (size_t i = c->n_keys; i > 1; i--) {
		uint64_t random;
		struct digest k;

		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			return -errno;
		random %= i;
		k = c->keys[i - 1];
		c->keys[i - 1] = c->keys[random];
		c->keys[random] = k;
	}
	return 0;
}

/* ---- one after another */

static void
print_progress(const struct checked *c, const struct verify_said *s)
{
	_cleanup_(buf_done) struct buf name = BUF_INIT;

	if (!c->progress)
		return;
	if (s && show_text(&name, s->crate) < 0)
		return;
	fprintf(stderr, "\r\033[K");
	if (s)
		fprintf(stderr, "%" PRIu64 " of %zu, %" PRIu64 " made again; %s", c->looked_at,
			c->n_keys, c->verified + c->differ, name.p ? (char *)name.p : "");
	fflush(stderr);
}

static void
print_differs(const struct verify_said *s, bool dropped)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = show_text(&b, *s->package ? s->package : "?");

	if (r == 0)
		r = buf_adds(&b, " (");
	if (r == 0)
		r = show_text(&b, s->crate);
	if (r == 0)
		r = buf_adds(&b, ", ");
	if (r == 0)
		r = show_text(&b, s->kind);
	if (r == 0)
		r = buf_adds(&b, *s->output ? "): " : ")");
	if (r == 0)
		r = show_text(&b, s->output);
	if (r == 0)
		r = buf_adds(&b, ": ");
	if (r == 0)
		r = show_text(&b, s->why);
	if (r == 0 && *s->producer)
		r = buf_addf(
			&b, "; made by %s %s", result_producer_words(s->producer), s->producer);
	if (r == 0)
		printf("differs: %s; %s\n", (char *)b.p,
			dropped ? "dropped" : "it could not be dropped");
	fflush(stdout);
}

static void
note_differs(struct checked *c, const struct digest *key, const struct verify_said *s)
{
	bool dropped = depot_drop_entry(c->depot, key) == 0;
	char hex[DIGEST_HEX_SIZE];

	/* it would be linked to the same again */
	if (!digest_eq(&s->bundle, &(struct digest){ { 0 } }))
		depot_drop_entry(c->depot, &s->bundle);

	c->differ++;
	digest_hex(key, hex);
	print_progress(c, NULL);
	if (!c->json)
		print_differs(s, dropped);
	else
		json_array_append_new(
			c->list, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b}", "crate",
					 s->crate, "package", s->package, "kind", s->kind, "key",
					 hex, "output", s->output, "why", s->why, "producer",
					 s->producer, "dropped", dropped));
}

static void
note_producer(struct checked *c, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(c->producers, key));

	json_object_set_new(c->producers, key, json_integer(n + 1));
}

static int
check_all(struct checked *c, const struct verify_in *in)
{
	int r = 0;

	while (r == 0 && c->looked_at < c->n_keys &&
		(!c->limit || c->verified + c->differ < c->limit)) {
		const struct digest *key = &c->keys[c->looked_at++];
		struct verify_said s;

		if (child_signal())
			return -EINTR;
		r = verify_entry(in, key, &s);
		if (r < 0)
			return r;
		if (s.verdict != VERIFY_SKIPPED && *s.producer)
			note_producer(c, s.producer);
		if (s.verdict == VERIFY_DIFFERS) {
			note_differs(c, key, &s);
		} else if (s.verdict == VERIFY_SAME) {
			c->verified++;
			c->runs += s.run;
			c->outputs += s.outputs;
			c->bytes += s.bytes;
		} else {
			c->skipped++;
			stats_add_group(&c->why, s.why, 0);
		}
		print_progress(c, &s);
	}
	return r;
}

/* ---- what came out */

static int
print_json(const struct checked *c)
{
	_cleanup_(json_decrefp) json_t *why = json_array();
	_cleanup_(json_decrefp) json_t *o = NULL;

	for (size_t i = 0; i < c->why.n; i++)
		json_array_append_new(why, json_pack("{s:s, s:I}", "reason", c->why.g[i].name,
						   "entries", (json_int_t)c->why.g[i].sum.units));
	o = json_pack("{s:I, s:I, s:I, s:I, s:I, s:O, s:I, s:O, s:O, s:b}", "entries",
		(json_int_t)c->n_keys, "verified", (json_int_t)c->verified, "runs_verified",
		(json_int_t)c->runs, "outputs", (json_int_t)c->outputs, "bytes",
		(json_int_t)c->bytes, "differ", c->list, "skipped", (json_int_t)c->skipped,
		"skipped_why", why, "producers", c->producers, "interrupted", child_signal() != 0);
	if (!o || json_dumpf(o, stdout, JSON_INDENT(2)) < 0)
		return -ENOMEM;
	putchar('\n');
	return 0;
}

static void
print_text(const struct checked *c)
{
	char bytes[SHOW_SIZE];
	const char *key;
	json_t *count;

	show_bytes(c->bytes, bytes);
	if (c->n_keys == 0)
		puts("verified: nothing, since the local cache is empty");
	else if (!c->verified && !c->differ)
		printf("verified: nothing; of %zu entr%s none could be made again%s\n", c->n_keys,
			c->n_keys == 1 ? "y" : "ies", c->why.n ? ", since" : "");
	else
		printf("verified: %" PRIu64 " entr%s, %" PRIu64 " output%s, %s: each is what %s\n",
			c->verified, c->verified == 1 ? "y" : "ies", c->outputs,
			c->outputs == 1 ? "" : "s", bytes,
			c->runs ? "the compiler or the build script makes" : "the compiler makes");
	if (c->runs)
		printf("  of these %" PRIu64 " run%s of %s\n", c->runs, c->runs == 1 ? "" : "s",
			c->runs == 1 ? "a build script" : "build scripts");
	if (c->differ)
		printf("differ: %" PRIu64 "\n", c->differ);
	json_object_foreach(c->producers, key, count)
	{
		printf("by %s %s: %" PRIu64 "\n", result_producer_words(key), key,
			(uint64_t)json_integer_value(count));
	}
	if (c->skipped)
		printf("skipped: %" PRIu64 "\n", c->skipped);
	for (size_t i = 0; i < c->why.n; i++) {
		_cleanup_(buf_done) struct buf name = BUF_INIT;

		if (show_text(&name, c->why.g[i].name) == 0 && name.n)
			printf("  %7" PRIu64 "  %s\n", c->why.g[i].sum.units, (char *)name.p);
	}
	if (child_signal())
		printf("interrupted: %" PRIu64 " of %zu entries were looked at\n",
			c->looked_at ? c->looked_at - 1 : 0, c->n_keys);
}

static int
finish(struct checked *c, int r)
{
	print_progress(c, NULL);
	stats_sort_groups(&c->why);
	if (r < 0 && r != -EINTR)
		cmd_error(&cmd_verify, "%s", strerror(-r));
	if (!c->json)
		print_text(c);
	else if (print_json(c) < 0)
		cmd_error(&cmd_verify, "no memory");
	if (fflush(stdout) != 0)
		return CMD_FAILED;
	if (child_signal())
		return SPAWN_SIGNALLED + child_signal();
	return r < 0 || c->differ ? CMD_FAILED : CMD_OK;
}

/* Where texts can name it, so that they can be compared. */
static char *
tmp_dir(const struct conf *conf)
{
	_cleanup_(freep) char *dir = path_join(conf->client.cache_dir, "tmp");

	if (dir && text_can_hide(dir))
		return steal_ptr(dir);
	return dir ? strdup("/tmp") : NULL;
}

static int
verify(struct checked *c, const struct conf *conf)
{
	_cleanup_(memo_closep) struct memo *memo = NULL;
	_cleanup_(slots_closep) struct slots *slots = NULL;
	_cleanup_(freep) char *tmp = NULL;
	_cleanup_(freep) char *bwrap = fs_which("bwrap", getenv("PATH"));
	struct verify_in in;
	int r;

	if (conf->client.cache_dir && memo_open(conf->client.cache_dir, &memo) < 0)
		memo = NULL;
	if (cmd_open_depot(&cmd_verify, conf, memo, &c->depot) < 0)
		return CMD_FAILED;
	tmp = tmp_dir(conf);
	slots = local_open_slots(conf);
	in = (struct verify_in){ .depot = c->depot,
		.memo = memo,
		.slots = slots,
		.shared = conf->client.paths == PATHS_SHARED,
		.bwrap = bwrap && prime_binds_with(bwrap) ? bwrap : NULL,
		.tmp = tmp };
	r = tmp ? depot_list_entries(c->depot, &c->keys, &c->n_keys) : -ENOMEM;
	if (r == 0 && c->limit)
		r = shuffle(c);
	if (r == 0)
		r = check_all(c, &in);
	r = finish(c, r);
	/* before the memo, which it uses */
	depot_closep(&c->depot);
	return r;
}

static bool
parse_count(const char *text, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 10);
	return *text >= '1' && *text <= '9' && !*end && errno == 0;
}

static int
run(int argc, char **argv)
{
	_cleanup_(checked_done) struct checked c = { .progress = isatty(STDERR_FILENO) == 1 };
	_cleanup_(conf_freep) struct conf *conf = NULL;
	const char *sample = NULL;
	const struct cmd_option options[] = {
		{ .name = "json", .flag = &c.json },
		{ .name = "sample", .text = &sample },
		{ .name = NULL },
	};
	int args, status;

	if (!cmd_options(&cmd_verify, argc, argv, options, 0, 0, &args, &status))
		return status;
	if (sample && !parse_count(sample, &c.limit)) {
		cmd_error(&cmd_verify, "--sample %s: a number from 1 on", sample);
		return CMD_USAGE;
	}
	if (cmd_load_conf(&cmd_verify, &conf) < 0)
		return CMD_FAILED;
	c.list = json_array();
	c.producers = json_object();
	child_catch_signals();
	return verify(&c, conf);
}

const struct cmd cmd_verify = {
	.name = "verify",
	.usage = "verify [--json] [--sample N]",
	.summary = "Compile and run again what is in the local cache, and compare byte for byte",
	.help = "  --json      as one JSON object\n"
		"  --sample N  until N were made again, picked at random; all when not given\n"
		"  -h, --help  print this\n"
		"\n"
		"All is made again at its own place. So it is not found where a macro makes "
		"something\n"
		"else of its place than the path: a length or a hash, of Span::local_file() say.\n",
	.run = run,
};
