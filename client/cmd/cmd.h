/* The user's commands. Each is one file and one entry here. */
#ifndef DRAY_CLIENT_CMD_CMD_H
#define DRAY_CLIENT_CMD_CMD_H

#include <limits.h>

#include "store/depot.h"
#include "client/show/jobs.h"
#include "common/buf.h"
#include "common/conf/conf.h"

struct cmd {
	const char *name;
	const char *usage;		   /* after "dray" */
	const char *summary;		   /* one line */
	const char *help;		   /* its options, a line each; may be "" */
	int (*run)(int argc, char **argv); /* argv[0]: the command; returns the exit status */
};

extern const struct cmd cmd_cache, cmd_clear, cmd_discover, cmd_doctor, cmd_env, cmd_explain,
	cmd_flush, cmd_gc, cmd_key, cmd_keygen, cmd_keys, cmd_login, cmd_prewarm, cmd_report,
	cmd_run, cmd_slot, cmd_stats, cmd_status, cmd_sweep, cmd_toolchain, cmd_up, cmd_verify;

/* What `dray cache` can do, by its word: "status", "gc", …, of which `run` is NULL; NULL: there is
 * no such. */
const struct cmd *cmd_cache_part(const char *word);

/* Exit statuses of dray's own commands. */
#define CMD_OK 0
#define CMD_FAILED 1
#define CMD_USAGE 2

/* Whether argv[1] of dray asks for a command rather than being a compiler. */
bool cmd_is_command(const char *word);
/* Runs it. argv: dray's own. Returns the exit status (SPAWN_SIGNALLED + signal: child_exit). */
int cmd_main(int argc, char **argv);

/* Prints "dray NAME: …" on stderr. */
void cmd_error(const struct cmd *c, const char *fmt, ...) _printf_(2, 3);
/* The same as an answer to a wrong command line, with its usage. CMD_USAGE. */
int cmd_usage_error(const struct cmd *c);
/* Prints its help on stdout. CMD_OK. */
int cmd_print_help(const struct cmd *c);

/* An option of a command; a row without a name ends a list. -h and --help need no row. */
struct cmd_option {
	const char *name;
	char letter;	   /* its short form, or 0 */
	bool *flag;	   /* an option without a value: set to true */
	const char **text; /* with a value, which lies in argv */
};
#define CMD_OPTIONS_MAX 8
#define CMD_ARGS_MAX INT_MAX
/* Reads the options, and checks that at least `least` and at most `most` arguments follow them.
 * True: they begin at argv[*ret_args]. False: the command ends with *ret_status; its help or what
 * is wrong has been said. */
bool cmd_options(const struct cmd *c, int argc, char **argv, const struct cmd_option *options,
	int least, int most, int *ret_args, int *ret_status);

/* Loads the configuration, or says what is wrong with it. */
int cmd_load_conf(const struct cmd *c, struct conf **ret);
/* This very program; NULL when /proc does not tell. */
char *cmd_self(void);
/* word in single quotes, for a shell. */
int cmd_add_quoted(struct buf *b, const char *word);
/* What `dray-dispatch --status --json --compiler COMPILER` says. compiler may be NULL. *ret_json is
 * the text. 0, or -errno when it could not be asked at all (an unreachable farm is an answer). */
int cmd_farm_status(const char *compiler, struct buf *ret_json);
/* Says that the time given with an option makes no sense. CMD_USAGE. */
int cmd_bad_time(const struct cmd *c, const char *option, const char *given);
/* jobs_each over the configured job log; says what is wrong when it cannot be read. */
int cmd_read_jobs(const struct cmd *c, const struct conf *conf, uint64_t since_ms, jobs_fn fn,
	void *arg, struct jobs_tally *ret);
/* The local cache as it is configured; says what is wrong when there can be none. memo may be NULL.
 * 0 or -errno. */
int cmd_open_depot(
	const struct cmd *c, const struct conf *conf, struct memo *memo, struct depot **ret);
/* A disk_progress_fn: says on stderr how far long work is, if it is a terminal and a second has
 * passed. begun_ms: clock_mono_ms() at its begin. */
struct cmd_progress {
	uint64_t begun_ms, said_ms;
};
void cmd_progress(void *arg, const char *what, uint64_t done, uint64_t of);
/* Takes the line away. */
void cmd_progress_done(struct cmd_progress *p);
/* depot_gc of it, and what went, in words or as JSON. An exit status. */
int cmd_shrink_cache(
	const struct cmd *c, const struct conf *conf, const struct disk_goal *goal, bool json);
/* How long a command waits for uploads, in seconds, if nothing is said. */
#define CMD_UPLOADS_S "600"
/* Such a time, in *ret_ms; false: it makes none, as was said. */
bool cmd_parse_timeout(const struct cmd *c, const char *s, uint64_t *ret_ms);
/* Whether anything is uploaded from here; false: it was said what that takes. */
bool cmd_check_uploads(const struct cmd *c, const struct conf *conf);
/* Waits until nothing waits for its upload, or until then (clock_mono_ms). An exit status; if not
 * all went, it was said how many are left. */
struct cmd_uploads {
	uint64_t waited, left; /* when it began, and now */
};
int cmd_wait_uploads(
	const struct cmd *c, const struct conf *conf, uint64_t until, struct cmd_uploads *ret);
/* Sets CARGO_BUILD_JOBS: to `jobs`, a number; where that is NULL, and the user has not set it, to
 * what the farm and this machine can take together. Says on stderr, as c, why it has not. False:
 * jobs is no number, as was said. */
bool cmd_set_jobs(const struct cmd *c, const struct conf *conf, const char *jobs);
/* Becomes the program argv[0], or says why not and returns 127 (not found) or 126. */
int cmd_exec(const struct cmd *c, char **argv);
/* Becomes `dray-dispatch WORD`, with argv behind its first word: what speaks to coordinators.
 * Likewise. */
int cmd_hand_over(const struct cmd *c, const char *word, int argc, char **argv);

#endif
