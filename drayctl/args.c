/* drayctl's command line: what is asked for, and of which coordinator. */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>

#include "common/log/log.h"
#include "discovery/find.h"
#include "drayctl/ctl.h"

static const struct ctl_command *const commands[] = { &ctl_status, &ctl_workers, &ctl_jobs,
	&ctl_clients, &ctl_drain, &ctl_resume, &ctl_remove, &ctl_key_list, &ctl_key_add,
	&ctl_key_revoke, &ctl_key_rotate, &ctl_token_create, &ctl_token_list, &ctl_token_revoke,
	&ctl_toolchain_list, &ctl_toolchain_pin, &ctl_toolchain_unpin, &ctl_toolchain_remove,
	&ctl_cache_status, &ctl_cache_purge, &ctl_events, &ctl_top };

/* ---- help */

static void
print_usage(const struct ctl_command *c, FILE *to)
{
	fprintf(to, "usage: drayctl [OPTION]... %s%s%s\n", c->name, *c->usage ? " " : "", c->usage);
}

static int
usage_error(const struct ctl *c)
{
	if (c->command)
		print_usage(c->command, stderr);
	else
		fputs("see drayctl --help\n", stderr);
	return CTL_USAGE;
}

static const char common_help[] =
	"      --socket PATH        the coordinator's Unix socket\n"
	"      --remote             the coordinator of [client] coordinator, by an admin's key\n"
	"      --coordinator ENDPOINT  that one of several there\n"
	"      --config FILE        read this configuration file instead of the default ones\n"
	"  -o, --option S.K=VALUE   set key K of section S of the configuration\n"
	"  -h, --help               show this, and exit\n"
	"  -V, --version            show the version, and exit\n";

static int
print_help(const struct ctl *c)
{
	if (c->command) {
		print_usage(c->command, stdout);
		printf("%s.\n\n%s%s", c->command->summary, c->command->help, common_help);
	} else {
		puts("usage: drayctl [OPTION]... COMMAND [ARGUMENT]...\n"
		     "Shows what a dray farm does, and tells its coordinator what to do.\n");
		for (size_t i = 0; i < ARRAY_LEN(commands); i++)
			printf("  %s%s%s\n      %s\n", commands[i]->name,
				*commands[i]->usage ? " " : "", commands[i]->usage,
				commands[i]->summary);
		printf("\n      --json               as JSON\n%s", common_help);
		puts("\nExit status: 0 done, 1 refused or failed, 2 usage, 3 no coordinator. See "
		     "drayctl(1).");
	}
	return fflush(stdout) == 0 ? CTL_OK : CTL_FAILED;
}

/* ---- options */

enum { OPT_SOCKET = 256, OPT_REMOTE, OPT_COORDINATOR, OPT_CONFIG, OPT_FIRST };

static const struct {
	const char *name;
	enum ctl_option bit;
	size_t value; /* offset in struct ctl of its text; 0: it has none */
} own_options[] = {
	{ "json", CTL_JSON, 0 },
	{ "wait", CTL_WAIT, 0 },
	{ "timeout", CTL_TIMEOUT, offsetof(struct ctl, timeout) },
	{ "now", CTL_NOW, 0 },
	{ "follow", CTL_FOLLOW, 0 },
	{ "name", CTL_NAME, offsetof(struct ctl, name) },
	{ "namespace", CTL_NAMESPACE, offsetof(struct ctl, namespace) },
	{ "sign", CTL_SIGN, offsetof(struct ctl, sign) },
	{ "producer", CTL_PRODUCER, offsetof(struct ctl, producer) },
	{ "older-than", CTL_OLDER, offsetof(struct ctl, older) },
	{ "worker", CTL_WORKER, offsetof(struct ctl, worker) },
	{ "role", CTL_ROLE, offsetof(struct ctl, role) },
	{ "interval", CTL_INTERVAL, offsetof(struct ctl, interval) },
	{ "ttl", CTL_TTL, offsetof(struct ctl, ttl) },
	{ "uses", CTL_USES, offsetof(struct ctl, uses) },
	{ "overlap", CTL_OVERLAP, offsetof(struct ctl, overlap) },
	{ "cancel", CTL_CANCEL, 0 },
};
#define N_OWN ARRAY_LEN(own_options)

struct settings {
	const char *v[32];
	size_t n;
	const char *config;
	bool help, version;
};

static void
list_options(struct option to[N_OWN + 8])
{
	size_t n = 0;

	for (size_t i = 0; i < N_OWN; i++)
		to[n++] = (struct option){ own_options[i].name,
			own_options[i].value ? required_argument : no_argument, NULL,
			OPT_FIRST + (int)i };
	to[n++] = (struct option){ "socket", required_argument, NULL, OPT_SOCKET };
	to[n++] = (struct option){ "remote", no_argument, NULL, OPT_REMOTE };
	to[n++] = (struct option){ "coordinator", required_argument, NULL, OPT_COORDINATOR };
	to[n++] = (struct option){ "config", required_argument, NULL, OPT_CONFIG };
	to[n++] = (struct option){ "option", required_argument, NULL, 'o' };
	to[n++] = (struct option){ "help", no_argument, NULL, 'h' };
	to[n++] = (struct option){ "version", no_argument, NULL, 'V' };
	to[n] = (struct option){ NULL, 0, NULL, 0 };
}

static bool
take_option(struct ctl *c, struct settings *s, int o)
{
	switch (o) {
	case OPT_SOCKET:
		c->where.socket = optarg;
		return true;
	case OPT_REMOTE:
		c->where.remote = true;
		return true;
	case OPT_COORDINATOR:
		c->where.coordinator = optarg;
		return true;
	case OPT_CONFIG:
		s->config = optarg;
		return true;
	case 'o':
		if (s->n == ARRAY_LEN(s->v))
			return false;
		s->v[s->n++] = optarg;
		return true;
	case 'h':
		s->help = true;
		return true;
	case 'V':
		s->version = true;
		return true;
	default:
		break;
	}
	if (o < OPT_FIRST)
		return false;
	c->given |= own_options[o - OPT_FIRST].bit;
	if (own_options[o - OPT_FIRST].value)
		*(const char **)((char *)c + own_options[o - OPT_FIRST].value) = optarg;
	return true;
}

/* How many of the words name the command; 0: they do not. */
static int
names(const struct ctl_command *c, char **words, int n)
{
	const char *space = strchr(c->name, ' ');
	size_t first = space ? (size_t)(space - c->name) : strlen(c->name);

	if (n < 1 || strlen(words[0]) != first || memcmp(words[0], c->name, first) != 0)
		return 0;
	if (!space)
		return 1;
	return n > 1 && streq(words[1], space + 1) ? 2 : 0;
}

static const struct ctl_command *
find_command(char **words, int n, int *ret_used)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if ((*ret_used = names(commands[i], words, n)) > 0)
			return commands[i];
	return NULL;
}

/* CTL_OK: c->command is to be run; else the exit status, and what is wrong was said. */
static int
check_words(struct ctl *c, char **words, int n)
{
	int used = 0;

	c->command = find_command(words, n, &used);
	if (!c->command) {
		if (n == 0)
			ctl_error(c, "which command?");
		else
			ctl_error(c, "there is no command \"%s%s%s\"", words[0], n > 1 ? " " : "",
				n > 1 ? words[1] : "");
		return usage_error(c);
	}
	c->args = words + used;
	c->n_args = n - used;
	return CTL_OK;
}

static int
check_use(const struct ctl *c)
{
	for (size_t i = 0; i < N_OWN; i++)
		if (c->given & own_options[i].bit & ~c->command->options) {
			ctl_error(c, "it has no option --%s", own_options[i].name);
			return usage_error(c);
		}
	if (c->n_args < c->command->least || c->n_args > c->command->most) {
		if (c->n_args > c->command->most)
			ctl_error(c, "unexpected argument: %s", c->args[c->command->most]);
		else
			ctl_error(c, "an argument is missing");
		return usage_error(c);
	}
	return CTL_OK;
}

static int
load_conf(struct ctl *c, const struct settings *s)
{
	_cleanup_(freep) char *error = NULL;
	int r = 0;

	if (s->config && setenv("DRAY_CONFIG", s->config, 1) < 0)
		r = -errno;
	if (r == 0)
		r = find_conf_load(&c->conf, &error);
	for (size_t i = 0; r == 0 && i < s->n; i++)
		r = conf_set(c->conf, s->v[i], &error);
	if (r < 0)
		ctl_error(c, "%s", error ? error : strerror(-r));
	return r < 0 ? CTL_USAGE : CTL_OK;
}

static int
run(struct ctl *c, int argc, char **argv)
{
	struct option longs[N_OWN + 8];
	struct settings s = { .n = 0 };
	int o, status;

	list_options(longs);
	while ((o = getopt_long(argc, argv, "o:hV", longs, NULL)) != -1)
		if (!take_option(c, &s, o))
			return usage_error(c);
	if (s.version) {
		puts("drayctl " PACKAGE_VERSION);
		return ctl_flush(c);
	}
	if (s.help && optind == argc)
		return print_help(c);
	status = check_words(c, argv + optind, argc - optind);
	if (status != CTL_OK)
		return status;
	if (s.help)
		return print_help(c);
	status = check_use(c);
	if (status == CTL_OK)
		status = load_conf(c, &s);
	return status == CTL_OK ? c->command->run(c) : status;
}

int
ctl_main(int argc, char **argv)
{
	struct ctl c = { .command = NULL };
	int status;

	log_init("drayctl", LOG_LEVEL_NONE);
	status = run(&c, argc, argv);
	link_free(c.link);
	conf_free(c.conf);
	return status;
}
