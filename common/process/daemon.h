/* What the daemons' beginnings have in common. */
#ifndef DRAY_COMMON_PROCESS_DAEMON_H
#define DRAY_COMMON_PROCESS_DAEMON_H

#include "common/conf/conf.h"
#include "common/strv.h"

/* An option of a daemon's own; all have values but flags and what
 * has a value here. */
struct daemon_option {
	const char *name;  /* NULL: the list ends */
	const char *key;   /* it stands for this setting, "worker.slots"; or NULL */
	const char *value; /* of that setting: the option itself has none; or NULL */
	const char **text; /* gets the value, which lies in argv; or NULL */
	bool *flag;	   /* set to true; or NULL */
};
#define DAEMON_OPTIONS_MAX 16

struct daemon_program {
	const char *name, *usage;
	const struct daemon_option *options; /* beside --config, -o, --ready-fd, -h and -V */
};

/* Reads the command line, and the configuration with the command line's settings over it, in their
 * order. *ret_ready: the descriptor of --ready-fd, or as it was. False: the daemon ends with
 * *ret_status; its help or what is wrong has been said. */
bool daemon_begin(const struct daemon_program *p, int argc, char **argv, int *ret_ready,
	struct conf **ret, int *ret_status);

/* The same command line once more, with the files and the environment as they are now. -errno, and
 * a sentence in *ret_error (caller frees). */
int daemon_load_again(
	const struct daemon_program *p, int argc, char **argv, struct conf **ret, char **ret_error);

/* Blocks of more than 1 MiB go back to the system when they are freed. Smaller ones, as the copies
 * that are made of a chunk on its way (256 KiB), malloc keeps for the next: to map them anew each
 * time costs more, in page faults, than to encrypt them. */
void daemon_return_memory(void);
/* When the daemon has come to rest, what malloc keeps goes back as well. */
struct daemon_rest {
	uint64_t bytes, since_ms;
	bool owed;
};
/* Call it now and then. bytes: how many have come and gone so far; now: clock_mono_ms(). True:
 * there was work, has been none for two seconds, and memory went back. */
bool daemon_rest(struct daemon_rest *r, uint64_t bytes, uint64_t now);
/* Each connection is a descriptor, and the default limit is far below a farm's: raises it to the
 * hard one. 0 or -errno. */
int daemon_raise_limits(void);

/* The argument of --ready-fd: 0, or -EINVAL. */
int daemon_parse_fd(const char *text, int *ret);

/* Writes the endpoint, one line, to *fd, closes it, and leaves -1 there. Nothing for -1. 0 or
 * -errno. */
int daemon_say_ready(int *fd, const char *endpoint);

#endif
