/* dray-avahi: all that dray has to do with Avahi, in a process of its own. It has no keys, and what
 * the network says ends here, checked and bounded (found.h). */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "common/fs.h"
#include "common/log/log.h"
#include "discovery/browse.h"
#include "discovery/publish.h"

enum { STATUS_FAILED = 1, STATUS_USAGE = 2 };

#define WAIT_MS 2500
#define WAIT_MAX_MS 60000
/* libdbus waits for a bus that does not answer as long as it takes. */
#define STUCK_S 30
#define WANTED_MAX 64

static const char usage[] =
	"usage: dray-avahi browse [--wait MS] [--file FILE] [FINGERPRINT]...\n"
	"       dray-avahi publish --name NAME --address ADDRESS --port PORT [--host LABEL] "
	"[KEY=VALUE]...\n"
	"Finds coordinators on the network by Avahi, and has one announced. The other programs of "
	"dray start it.\n"
	"\n"
	"      --wait MS          how long to look, at most (2500)\n"
	"      --file FILE        put the answer there, instead of printing it\n"
	"      --name NAME        as what it is announced\n"
	"      --address ADDRESS  where it listens: a number; 0.0.0.0 is all of them\n"
	"      --port PORT        likewise\n"
	"      --host LABEL       a name for that address alone\n"
	"  -h, --help             show this, and exit\n"
	"  -V, --version          show the version, and exit\n"
	"\n"
	"browse prints what was found within that time, of these fingerprints or all; publish "
	"ends when its standard input does. See dray-avahi(1).\n";

struct args {
	const char *file;
	unsigned wait_ms;
	struct publish p;
	bool done;
};

enum { OPT_WAIT = 256, OPT_FILE, OPT_NAME, OPT_ADDRESS, OPT_PORT, OPT_HOST };

static bool
take_number(const char *option, unsigned max, unsigned *ret)
{
	char *end;
	unsigned long n = strtoul(optarg, &end, 10);

	if (*optarg >= '0' && *optarg <= '9' && !*end && n > 0 && n <= max) {
		*ret = (unsigned)n;
		return true;
	}
	fprintf(stderr, "dray-avahi: %s: \"%s\" is no number up to %u\n", option, optarg, max);
	return false;
}

static bool
take_option(struct args *a, int o)
{
	switch (o) {
	case OPT_WAIT:
		return take_number("--wait", WAIT_MAX_MS, &a->wait_ms);
	case OPT_FILE:
		a->file = optarg;
		return true;
	case OPT_NAME:
		a->p.name = optarg;
		return true;
	case OPT_ADDRESS:
		a->p.address = optarg;
		return true;
	case OPT_PORT:
		return take_number("--port", UINT16_MAX, &a->p.port);
	case OPT_HOST:
		a->p.host = optarg;
		return true;
	case 'h':
		fputs(usage, stdout);
		a->done = true;
		return true;
	case 'V':
		printf("dray-avahi " PACKAGE_VERSION "\n");
		a->done = true;
		return true;
	default:
		fputs("Try `dray-avahi --help`.\n", stderr);
		return false;
	}
}

static bool
parse(struct args *a, int argc, char **argv)
{
	static const struct option longs[] = { { "wait", required_argument, NULL, OPT_WAIT },
		{ "file", required_argument, NULL, OPT_FILE },
		{ "name", required_argument, NULL, OPT_NAME },
		{ "address", required_argument, NULL, OPT_ADDRESS },
		{ "port", required_argument, NULL, OPT_PORT },
		{ "host", required_argument, NULL, OPT_HOST }, { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' }, { NULL, 0, NULL, 0 } };
	int o;

	while (!a->done && (o = getopt_long(argc, argv, "hV", longs, NULL)) != -1)
		if (!take_option(a, o))
			return false;
	return true;
}

static int
usage_error(void)
{
	fputs("dray-avahi: that is neither browse nor publish; try `dray-avahi --help`\n", stderr);
	return STATUS_USAGE;
}

static int
run_browse(const struct args *a, char **wanted, size_t n)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) struct found *found = calloc(1, sizeof(*found));
	int r;

	if (!found || n > WANTED_MAX)
		return STATUS_FAILED;
	/* what starts it has taken the lock, which ends with this process */
	alarm(STUCK_S + a->wait_ms / 1000);
	browse(a->wait_ms, wanted, n, found);
	r = found_format(found, &b);
	if (r == 0)
		r = a->file ? fs_write_atomic(a->file, b.p, b.n, 0600)
			    : fs_write_all(STDOUT_FILENO, b.p, b.n);
	if (r < 0)
		fprintf(stderr, "dray-avahi: %s: %s\n", a->file ? a->file : "standard output",
			strerror(-r));
	return r < 0 ? STATUS_FAILED : EXIT_SUCCESS;
}

static int
run_publish(struct args *a, char **txt, size_t n)
{
	_cleanup_(strv_done) struct strv strings = STRV_INIT;
	int r = 0;

	if (!a->p.name || !a->p.address || !a->p.port)
		return usage_error();
	for (size_t i = 0; r == 0 && i < n; i++)
		r = strv_add(&strings, txt[i]);
	a->p.txt = &strings;
	if (r == 0)
		r = publish(&a->p);
	if (r < 0)
		log_error_errno(r, "discovery: cannot announce \"%s\"", a->p.name);
	return r < 0 ? STATUS_FAILED : EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
	struct args a = { .wait_ms = WAIT_MS };
	const struct rlimit none = { 0, 0 };
	char **words;
	size_t n;

	log_init("dray-avahi", LOG_LEVEL_INFO);
	if (!parse(&a, argc, argv))
		return STATUS_USAGE;
	if (a.done)
		return fflush(stdout) == 0 ? EXIT_SUCCESS : STATUS_FAILED;
	if (optind == argc)
		return usage_error();
	words = argv + optind + 1;
	n = (size_t)(argc - optind - 1);
	(void)setrlimit(RLIMIT_CORE, &none);
	if (streq(argv[optind], "browse"))
		return run_browse(&a, words, n);
	return streq(argv[optind], "publish") ? run_publish(&a, words, n) : usage_error();
}
