/* dray keys: lists of whose results count in a shared cache (keys/trust.h): signs one, so that it
 * may lie in the store itself, and shows one.
 *
 * Invariant: a signed list is replaced only by one of the same admin with a higher serial number.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "client/cmd/cmd.h"
#include "common/fs.h"
#include "common/log/joblog.h"
#include "common/process/spawn.h"
#include "keys/trust.h"

#define DAYS 30
#define DAYS_MAX 3650
#define DAY_S 86400

/* Their keys are shown in hex. */
static void
hex_of(const uint8_t key[SIGN_KEY_SIZE], char ret[DIGEST_HEX_SIZE])
{
	struct digest d;

	memcpy(d.b, key, DIGEST_SIZE);
	digest_hex(&d, ret);
}

static void
time_of(uint64_t s, char *ret, size_t n)
{
	time_t t = (time_t)s;
	struct tm tm;

	if (s > INT64_MAX || !gmtime_r(&t, &tm) || strftime(ret, n, "%F %TZ", &tm) == 0)
		snprintf(ret, n, "second %" PRIu64, s);
}

static const char *
why_none(int err)
{
	switch (err) {
	case -EBADMSG:
		return "it is no signed list of keys";
	case -EPROTONOSUPPORT:
		return "it is of a later format; use a later dray";
	case -EKEYREJECTED:
		return "its signature is wrong: it was changed";
	default:
		return strerror(-err);
	}
}

static int
read_file(const char *path, struct buf *ret)
{
	int r = fs_read_file(path, KEYS_OBJECT_MAX, ret);

	if (r < 0)
		cmd_error(&cmd_keys, "%s: %s", path, strerror(-r));
	return r;
}

/* ---- showing */

static json_t *
json_of_keys(const struct trust_keys *k)
{
	json_t *all = json_array();

	for (size_t i = 0; all && i < k->n; i++) {
		const struct trust_key *v = &k->v[i];
		char hex[DIGEST_HEX_SIZE];

		hex_of(v->key, hex);
		json_array_append_new(
			all, json_pack("{s:s, s:s, s:s, s:s, s:b}", "kind",
				     trust_kind_name(v->kind), "key", hex, "name", v->name,
				     "namespace", v->namespace, "revoked", v->revoked));
	}
	return all;
}

static void
print_keys(const struct trust_keys *k)
{
	for (size_t i = 0; i < k->n; i++) {
		const struct trust_key *v = &k->v[i];
		char hex[DIGEST_HEX_SIZE];

		hex_of(v->key, hex);
		printf("%-9s %s%s%s%s%s%s\n", trust_kind_name(v->kind), hex, *v->name ? " " : "",
			v->name, *v->namespace ? " namespace=" : "", v->namespace,
			v->revoked ? " revoked" : "");
	}
}

static int
print_json(json_t *o)
{
	int r = o && json_dumpf(o, stdout, JSON_INDENT(2)) == 0 ? CMD_OK : CMD_FAILED;

	json_decref(o);
	putchar('\n');
	return fflush(stdout) == 0 ? r : CMD_FAILED;
}

static int
print_object(const char *path, const struct keys_object *o, bool json)
{
	uint64_t now = (uint64_t)time(NULL);
	char hex[DIGEST_HEX_SIZE], until[40];

	hex_of(o->admin, hex);
	if (json)
		return print_json(json_pack("{s:o, s:I, s:I, s:b, s:s, s:o}", "file",
			joblog_text(path, SIZE_MAX), "serial", (json_int_t)o->serial, "expires_s",
			(json_int_t)o->expires_s, "expired", o->expires_s <= now, "admin", hex,
			"keys", json_of_keys(&o->keys)));
	time_of(o->expires_s, until, sizeof(until));
	printf("serial %" PRIu64 ", signed by %s, %s %s\n", o->serial, hex,
		o->expires_s <= now ? "EXPIRED" : "until", until);
	print_keys(&o->keys);
	return fflush(stdout) == 0 ? CMD_OK : CMD_FAILED;
}

static int
show(const char *path, bool json)
{
	_cleanup_(keys_object_done) struct keys_object o = { .serial = 0 };
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = read_file(path, &b);

	if (r < 0)
		return CMD_FAILED;
	r = keys_object_peek(b.p, b.n, &o);
	if (r < 0) {
		cmd_error(&cmd_keys, "%s: %s", path, why_none(r));
		return CMD_FAILED;
	}
	return print_object(path, &o, json);
}

/* ---- signing */

struct signing {
	const char *key, *serial, *days; /* as given */
	const char *list, *file;
	bool json;
};

/* What lies there is what it replaces. 0: there is none; the serial number of the last one. */
static int
last_serial(const struct signing *s, const struct identity *admin, uint64_t *ret)
{
	_cleanup_(keys_object_done) struct keys_object o = { .serial = 0 };
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r;

	*ret = 0;
	if (!fs_exists(s->file))
		return 0;
	r = read_file(s->file, &b);
	if (r < 0)
		return r;
	r = keys_object_peek(b.p, b.n, &o);
	if (r < 0) {
		cmd_error(&cmd_keys, "%s: %s; it is not replaced", s->file, why_none(r));
		return r;
	}
	if (memcmp(o.admin, admin->sign_public, SIGN_KEY_SIZE) != 0) {
		cmd_error(
			&cmd_keys, "%s: another admin has signed it; it is not replaced", s->file);
		return -EPERM;
	}
	*ret = o.serial;
	return 0;
}

/* -EINVAL: what was given is no number from least to most. */
static int
number(const char *option, const char *given, uint64_t least, uint64_t most, uint64_t *ret)
{
	unsigned long long v;
	char *end;

	errno = 0;
	v = strtoull(given, &end, 10);
	if (*given < '0' || *given > '9' || *end || errno || v < least || v > most) {
		cmd_error(&cmd_keys, "--%s %s: a number from %" PRIu64 " to %" PRIu64, option,
			given, least, most);
		return -EINVAL;
	}
	*ret = v;
	return 0;
}

static int
load_admin(const char *path, struct identity *ret)
{
	unsigned line = 0;
	int r = identity_load(path, ret, &line);

	if (r == -EPERM)
		cmd_error(&cmd_keys, "%s: others can read it: chmod 600 %s", path, path);
	else if (r == -EBADMSG)
		cmd_error(
			&cmd_keys, "%s:%u: it is no identity (dray keygen makes one)", path, line);
	else if (r < 0)
		cmd_error(&cmd_keys, "%s: %s", path, strerror(-r));
	else if (!ret->has_secret)
		cmd_error(&cmd_keys, "%s: the public file signs nothing", path);
	return r < 0 ? r : ret->has_secret ? 0 : -EINVAL;
}

static int
sign_list(const struct signing *s, const struct identity *admin, uint64_t serial, uint64_t days)
{
	_cleanup_(buf_done) struct buf list = BUF_INIT, b = BUF_INIT;
	struct keys_fault fault = { .line = 0 };
	int r = read_file(s->list, &list);

	if (r < 0)
		return CMD_FAILED;
	r = keys_object_sign(admin, list.n ? (const char *)list.p : "", list.n, serial,
		(uint64_t)time(NULL) + days * DAY_S, &b, &fault);
	if (r == -EBADMSG && fault.line)
		cmd_error(&cmd_keys,
			"%s:%u: %s; a line is \"worker|publisher KEY [NAME] "
			"[namespace=NAMESPACE] [revoked]\"",
			s->list, fault.line, fault.what);
	else if (r == -EBADMSG)
		cmd_error(&cmd_keys, "%s: an admin is named by trust_keys alone", s->list);
	else if (r < 0)
		cmd_error(&cmd_keys, "%s: %s", s->list, strerror(-r));
	if (r < 0)
		return CMD_FAILED;
	r = fs_write_atomic(s->file, b.p, b.n, 0644);
	if (r < 0) {
		cmd_error(&cmd_keys, "%s: %s", s->file, strerror(-r));
		return CMD_FAILED;
	}
	return show(s->file, s->json);
}

static int
sign(const struct signing *s)
{
	_cleanup_(identity_done) struct identity admin = { .has_secret = false };
	uint64_t last, serial, days = DAYS;

	if (!s->key) {
		cmd_error(&cmd_keys, "--key FILE is missing: the admin's identity");
		return cmd_usage_error(&cmd_keys);
	}
	if (s->days && number("days", s->days, 1, DAYS_MAX, &days) < 0)
		return CMD_USAGE;
	if (load_admin(s->key, &admin) < 0 || last_serial(s, &admin, &last) < 0)
		return CMD_FAILED;
	if (last == INT64_MAX) {
		cmd_error(&cmd_keys, "%s: its serial number is the last one there is", s->file);
		return CMD_FAILED;
	}
	serial = last + 1;
	if (s->serial && number("serial", s->serial, last + 1, INT64_MAX, &serial) < 0)
		return CMD_USAGE;
	return sign_list(s, &admin, serial, days);
}

static int
run_sign(int argc, char **argv)
{
	struct signing s = { .json = false };
	const struct cmd_option options[] = { { .name = "json", .flag = &s.json },
		{ .name = "key", .text = &s.key }, { .name = "serial", .text = &s.serial },
		{ .name = "days", .text = &s.days }, { .name = NULL } };
	int args, status;

	if (!cmd_options(&cmd_keys, argc, argv, options, 2, 2, &args, &status))
		return status;
	s.list = argv[args];
	s.file = argv[args + 1];
	return sign(&s);
}

static int
run_show(int argc, char **argv)
{
	bool json = false;
	const struct cmd_option options[] = { { .name = "json", .flag = &json }, { .name = NULL } };
	int args, status;

	return cmd_options(&cmd_keys, argc, argv, options, 1, 1, &args, &status)
		       ? show(argv[args], json)
		       : status;
}

/* dray-dispatch does it, which alone speaks to stores. */
static int
run_put(int argc, char **argv)
{
	const struct cmd_option none[] = { { .name = NULL } };
	_cleanup_(freep) char *program = NULL;
	char word[] = "put-keys";
	char *words[] = { NULL, word, NULL, NULL };
	int args, status;

	if (!cmd_options(&cmd_keys, argc, argv, none, 1, 1, &args, &status))
		return status;
	program = spawn_find_program("dray-dispatch");
	if (!program) {
		cmd_error(&cmd_keys, "dray-dispatch is not beside dray, nor in PATH");
		return CMD_FAILED;
	}
	words[0] = program;
	words[2] = argv[args];
	return cmd_exec(&cmd_keys, words);
}

static int
run(int argc, char **argv)
{
	const struct cmd_option none[] = { { .name = NULL } };
	const char *word;
	int args, status;

	if (!cmd_options(&cmd_keys, argc, argv, none, 1, CMD_ARGS_MAX, &args, &status))
		return status;
	word = argv[args];
	/* options begin anew, and are the command's as before */
	optind = 0;
	argv[args] = argv[0];
	if (streq(word, "sign"))
		return run_sign(argc - args, argv + args);
	if (streq(word, "show"))
		return run_show(argc - args, argv + args);
	if (streq(word, "put"))
		return run_put(argc - args, argv + args);
	cmd_error(&cmd_keys, "none of sign, show and put: %s", word);
	return cmd_usage_error(&cmd_keys);
}

const struct cmd cmd_keys = {
	.name = "keys",
	.usage = "keys sign --key IDENTITY [--days N] [--serial N] [--json] LIST FILE\n"
		 "       dray keys show [--json] FILE\n"
		 "       dray keys put FILE",
	.summary = "A signed list of whose results count in a shared cache",
	.help = "  sign            make FILE of LIST, for the store: signed, with the next serial "
		"number\n"
		"  --key IDENTITY  the admin's identity (dray keygen), whose key trust_keys names\n"
		"  --days N        for how long it counts; 30\n"
		"  --serial N      another number, which must be higher than that of FILE\n"
		"  show            what a signed FILE says\n"
		"  put             put a signed FILE into the stores that are written to\n"
		"  --json          the same as one JSON object\n"
		"  -h, --help      print this\n",
	.run = run,
};
