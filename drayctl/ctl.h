/* The admin's command. Each command is one file and one entry in the table of args.c; they share
 * what is here: options, the way to the coordinator, and how an answer is shown. */
#ifndef DRAY_DRAYCTL_CTL_H
#define DRAY_DRAYCTL_CTL_H

#include <jansson.h>

#include "common/buf.h"
#include "common/conf/conf.h"
#include "drayctl/link.h"
#include "keys/identity.h"

/* Exit statuses, as the manual has them. */
enum { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2, CTL_NO_COORDINATOR = 3 };

/* Options of all commands; a command takes those that its row names. */
enum ctl_option {
	CTL_JSON = 1,
	CTL_WAIT = 2,
	CTL_TIMEOUT = 4,
	CTL_NOW = 8,
	CTL_FOLLOW = 16,
	CTL_NAME = 32,
	CTL_NAMESPACE = 64,
	CTL_SIGN = 128,
	CTL_PRODUCER = 256,
	CTL_OLDER = 512,
	CTL_WORKER = 1024,
	CTL_ROLE = 2048,
	CTL_INTERVAL = 4096,
	CTL_TTL = 1 << 20,
	CTL_USES = 1 << 21,
	CTL_OVERLAP = 1 << 24,
	CTL_CANCEL = 1 << 25,
};

struct ctl {
	const struct ctl_command *command;
	struct conf *conf;
	struct link_where where;
	struct link *link; /* NULL until ctl_link is called */
	unsigned given;	   /* enum ctl_option */
	/* values, which lie in argv; NULL: not given */
	const char *timeout, *name, *namespace, *sign, *producer, *older, *worker, *role, *interval,
		*ttl, *uses, *overlap;
	int n_args;
	char **args; /* behind the command's words */
};

struct ctl_command {
	const char *name;  /* one or two words: "key add" */
	const char *usage; /* its arguments */
	const char *summary;
	const char *help; /* its options, a line each */
	unsigned options; /* enum ctl_option */
	int least, most;  /* arguments */
	int (*run)(struct ctl *c);
};

extern const struct ctl_command ctl_status, ctl_workers, ctl_jobs, ctl_clients, ctl_drain,
	ctl_resume, ctl_remove, ctl_key_list, ctl_key_add, ctl_key_revoke, ctl_key_rotate,
	ctl_toolchain_list, ctl_toolchain_pin, ctl_toolchain_unpin, ctl_toolchain_remove,
	ctl_cache_status, ctl_cache_purge, ctl_events, ctl_top, ctl_token_create, ctl_token_list,
	ctl_token_revoke;

/* Runs what the command line says; an exit status. (args.c) */
int ctl_main(int argc, char **argv);

/* "drayctl NAME: …" on stderr. Control characters in what is printed are replaced. */
void ctl_error(const struct ctl *c, const char *fmt, ...) _printf_(2, 3);
/* The way to the coordinator, welcomed there. CTL_OK; else what is wrong was said. */
int ctl_link(struct ctl *c);
/* Asks, and waits for the answer, which the caller frees (wire_msg_done). CTL_OK; else what is
 * wrong was said. */
int ctl_ask(struct ctl *c, enum wire_type type, const ProtobufCMessage *body, enum wire_type answer,
	struct wire_msg *ret);
/* The same, and waits so long. */
int ctl_ask_for(struct ctl *c, enum wire_type type, const ProtobufCMessage *body,
	enum wire_type answer, uint64_t wait_ms, struct wire_msg *ret);
/* What there is: the answer to an AdminLook. */
int ctl_look(struct ctl *c, const Dray__AdminLook *what, struct wire_msg *ret);
/* The same, and prints it; each function returns an exit status. */
typedef int ctl_print_fn(struct ctl *c, const Dray__AdminView *v);
int ctl_show(struct ctl *c, const Dray__AdminLook *what, ctl_print_fn *json, ctl_print_fn *text);
/* Has it done, and says what came of it, unless --json is given and it was done: then as an object.
 * ret_running may be NULL. */
int ctl_act(struct ctl *c, const Dray__AdminAct *m, unsigned *ret_running);
/* A number of seconds with a decimal fraction, in ms. False: it is none, as was said. */
bool ctl_seconds(const struct ctl *c, const char *option, const char *text, uint64_t *ret_ms);

/* 90s, 30m, 12h, 7d, in seconds. 0: it is none, as was said. */
uint64_t ctl_duration(const struct ctl *c, const char *option, const char *text);

/* The key that a node signs by, of 64 hex digits. False: it is none, as was said. */
bool ctl_sign_key(
	const struct ctl *c, const char *option, const char *text, uint8_t ret[SIGN_KEY_SIZE]);

/* ---- JSON; each takes the new value, and NULL for one is a lack of memory that is found at the
 * end */
/* A text of a peer, whatever bytes it has. */
json_t *ctl_json_text(const char *s);
json_t *ctl_json_number(uint64_t n);
/* Prints it, and its line end; it is freed. An exit status. */
int ctl_print_json(struct ctl *c, json_t *o);
/* The same on one line. */
int ctl_print_json_line(struct ctl *c, json_t *o);
/* What was printed has left. An exit status. */
int ctl_flush(struct ctl *c);
/* Prints the table, or `none` (if there is such a sentence) where it has no rows, and how many more
 * rows there would be; an exit status. NULL for a table that there was no memory for. */
struct grid;
int ctl_print_grid(struct ctl *c, const struct grid *g, const char *none, uint64_t more);

#endif
