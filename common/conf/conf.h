/* Configuration: one format, one table of keys, for every program.
 *
 * Read in this order, later over earlier: built-in defaults, SYSCONFDIR/dray/dray.conf,
 * ~/.config/dray/dray.conf ($XDG_CONFIG_HOME), the file named by DRAY_CONFIG (instead of both),
 * then the environment. The variable for [client] key `local_slots` is DRAY_LOCAL_SLOTS; for the
 * other sections, DRAY_WORKER_… and DRAY_COORDINATOR_…, except where the table in conf.c gives
 * another name (DRAY_COORDINATOR is [client] coordinator).
 *
 * An unknown section or key, or a bad value, is an error that names file (or variable), line and
 * what is allowed. man/dray.conf.5 describes every key; a test holds the two together. */
#ifndef DRAY_COMMON_CONF_CONF_H
#define DRAY_COMMON_CONF_CONF_H

#include "common/conf/ci.h"
#include "common/base.h"
#include "common/strv.h"

enum discovers { DISCOVERS_NOT, DISCOVERS };
enum offload { OFFLOAD_AUTO, OFFLOAD_ALWAYS, OFFLOAD_NEVER };
enum cache_use { CACHE_ON, CACHE_READ, CACHE_OFF };
enum incremental_use { INCREMENTAL_AUTO, INCREMENTAL_ALWAYS, INCREMENTAL_NEVER };
enum scripts_use { SCRIPTS_ON, SCRIPTS_OFF };
enum paths_use { PATHS_EXACT, PATHS_SHARED };
enum trust_in { TRUST_IN_WORKERS, TRUST_IN_PUBLISHERS }; /* enum trust_level, keys/trust.h */
enum share_env { SHARE_ENV_CARGO, SHARE_ENV_ALL };
/* AUTO: by the CI's variables (common/conf/ci.h); conf_load leaves none. */
/* AUTO: not on battery; conf_load leaves none where remote_mode is set to off or read. */
enum refill_use { REFILL_AUTO, REFILL_ALWAYS, REFILL_NEVER };
enum toolchains_from { TOOLCHAINS_OFFERED, TOOLCHAINS_PUSH, TOOLCHAINS_AUTO };
enum remote_mode { REMOTE_OFF, REMOTE_READ, REMOTE_READWRITE, REMOTE_AUTO };
enum linker_choice { LINKER_AUTO, LINKER_MOLD, LINKER_LLD, LINKER_RUSTC };
enum compress {
	COMPRESS_AUTO,
	COMPRESS_ALWAYS,
	COMPRESS_NEVER
}; /* auto: not on this machine itself */

/* All strings are owned by the struct; NULL or "" means unset. */
struct conf {
	struct {
		/* tcp://host:port or ipc:///path, or a list of these; unset: no farm. Both are read
		 * by coordinators_parse. Or COORDINATORS_AUTO, in place of which find_conf_load
		 * (discovery/find.h) puts what was found, and sets discovers. */
		char *coordinator;
		char *coordinator_key; /* path of the coordinator's public identity file, of each;
					  needed for tcp */
		char *identity;	       /* path of this client's identity file */
		int offload;	       /* enum offload, auto */
		int linker;	       /* enum linker_choice, auto */
		uint64_t local_slots;  /* 0: this machine's cores */
		uint64_t local_memory; /* bytes that a compile here is thought to take, 512 MiB; 0:
					  not looked at */
		uint64_t small_unit;   /* source bytes up to which auto keeps a unit here; 16 KiB */
		char *pass_env;	       /* space-separated names that also travel */
		int cache;	       /* enum cache_use, on */
		uint64_t cache_max;    /* bytes of it; 0: a tenth of the disk, at most 20 GiB */
		int incremental;       /* enum incremental_use, auto */
		bool prime;	       /* make incremental states ready in the background; true */
		int scripts;	       /* enum scripts_use, on: runs of build scripts are kept */
		char *scripts_trust;   /* space-separated packages whose scripts may ask for the
					  time and random numbers */
		int paths;	       /* enum paths_use, exact */
		char *namespace;       /* part of every key */
		bool recache;	       /* look nothing up, and keep what is made */
		bool disable;	       /* run the compiler as if there were no dray */
		char *cache_group;     /* the Unix group that shares it, by name or number; unset,
					  or "none": it is this user's */
		/* cache_dir as it was set, and where results are: cache_dir, or what was set where
		   a group shares that; NULL */
		char *cache_set, *store_dir;
		char *cache_dir;      /* this user's own: what was set, else $XDG_CACHE_HOME/dray or
					 ~/.cache/dray; NULL where what comes before /dray is not
					 there. Where a group shares what was set it is the latter,
					 or without a home user-UID in what is shared; NULL until
					 that is there */
		char *job_log;	      /* <cache_dir>/jobs.jsonl */
		uint64_t job_log_max; /* bytes, 16 MiB */
		int compress;	      /* enum compress */
		bool farm_half;	      /* one process for all units that go to the farm; true */
		uint64_t farm_half_s; /* how long it stays when no unit needs it, 60 */
		uint64_t connect_ms;  /* longest wait for an unreachable farm, 500 */
		uint64_t silent_s;    /* a worker that says nothing for so long is given up, 2400 */
		uint64_t unit_s;      /* a worker may keep a unit for so long, 7200 */
		uint64_t retry_s;     /* how long an unreachable farm is left alone, 30 */
		uint64_t max_unit;    /* most source bytes sent for one unit, 512 MiB */
		char *store; /* stores that are shared, nearest first: "URL [ro|rw], …" */
		enum discovers discovers; /* DISCOVERS: coordinator was auto */
		enum ci_mode ci_mode;	  /* what remote_mode = auto has found; CI_MODE_OWN: only
					   * below `store` is written, not to the coordinator */
		int remote_mode;	  /* enum remote_mode, auto: what is done with them */
		char *trust_keys;	  /* whose results are taken from there: a list or its path
					     (keys/trust.h) */
		int trust;		  /* enum trust_in, publishers */
		int share_env; /* enum share_env, cargo: variables on which a result that is
				  uploaded may depend */
		uint64_t store_wait_ms; /* for a unit of which no compile is known, 500 */
		uint64_t upload_max;	/* most bytes of one result that are uploaded, 1 GiB */
		uint64_t upload_rate;	/* most bytes a second that are uploaded; 0: any */
		int refill;		/* enum refill_use, auto: what was compiled here is
					   compiled again by an idle worker, for the shared cache */
		int give;		/* enum refill_use: the toolchain is given to a farm that
					   asks for it; auto: not on battery */
	} client;
	struct {
		char *listen; /* tcp://127.0.0.1:7420 */
		char *identity;
		char *allowed_keys;
		uint64_t heartbeat_ms; /* 1000: a peer silent for 3 of these is gone */
		uint64_t max_queue;    /* jobs, 100000 */
		bool cache;	       /* keep a shared cache; true */
		char *cache_dir;       /* /var/lib/dray/coordinator, or
					  ~/.local/state/dray/coordinator */
		uint64_t cache_size;   /* bytes of each namespace, 20 GiB */
		char *cache_sizes;     /* NAMESPACE=SIZE, separated by spaces: of these */
		char *quota_slots;     /* NAMESPACE=NUMBER, likewise, or *: that its jobs hold */
		char *quota_queue;     /* the same: jobs that wait */
		char *quota_upload;    /* NAMESPACE=SIZE: bytes that are put there in an hour */
		char *store;	       /* stores behind it, nearest first: "URL [ro|rw|own], …" */
		uint64_t store_wait_ms; /* how long these are asked for an entry, 250: less than
					   what a client waits for the coordinator */
		char *admin_socket;	/* where admins of this machine come; unset: "admin" in
					   cache_dir */
		uint64_t sample;	/* one in so many results of workers is compiled again, 50;
					   0: none */
		int toolchains;		/* enum toolchains_from: whether clients may give workers
					   some, by themselves too; offered */
		char *toolchains_roles; /* which may, of those that may ask for jobs; NULL: all */
		char *toolchains_namespaces; /* likewise */
		char *page;		     /* "ADDRESS:PORT" where its page listens, or "off" */
		bool avahi;		     /* have it announced on the network, no */
		char *avahi_namespace;	     /* what is said there of whom it is for */
		char *oidc;		     /* path of a file: who may join by OpenID Connect */
		char *oidc_ca;	  /* path of a file: certificates that count for its issuers */
		char *page_token; /* path of a file: the word that one needs to look at it */
	} coordinator;
	struct {
		char *coordinator;
		char *coordinator_key;
		char *identity;
		char *listen;		  /* tcp://127.0.0.1:* */
		char *advertise;	  /* endpoint told to clients; unset: the one bound */
		char *user;		  /* whom a worker of root's becomes; unset: dray-worker */
		char *memo_dir;		  /* state_dir when NULL */
		char *state_dir;	  /* /var/lib/dray/worker, or ~/.local/state/dray/worker */
		uint64_t slots;		  /* 0: cores */
		uint64_t cores;		  /* size of the jobserver; 0: this machine's */
		uint64_t store_max;	  /* bytes, 20 GiB */
		uint64_t toolchains_max;  /* bytes of those that clients gave; 0: none is taken */
		uint64_t toolchains_days; /* that one is kept without a job, 30; 0: for ever */
		char *toolchain_dirs; /* colon-separated: each a sysroot, or a directory of sysroots
				       */
		bool find_rustup;     /* true */
		bool find_system;     /* true */
		bool trace;	      /* true: see what a compile looks at */
		bool share;	      /* puts what it made into the coordinator's cache; true */
		bool peers;	      /* blobs are had from other workers, and given; true */
		uint64_t peer_wait_ms;	 /* for a sign of one of them; 300 */
		bool job_users;		 /* uids of their own where there are some; true */
		bool ready;		 /* sandboxes stand ready; true */
		bool cgroups;		 /* use them where they can be used; true */
		char *cgroup_dir;	 /* where to make them; unset: below the worker's own */
		uint64_t job_time_s;	 /* 1800 */
		uint64_t job_cpu_s;	 /* processor seconds of all its processes, 7200; 0: any */
		uint64_t job_processes;	 /* and threads, that a job may have at a time, 1024 */
		uint64_t job_open_files; /* of one process, 8192 */
		uint64_t job_memory;	 /* bytes of all its processes; 0: 3/4 of the machine's */
		uint64_t job_disk_max;	 /* bytes in a job's out-dir, 16 GiB */
		uint64_t job_files_max;	 /* files in a job's out-dir, or its /tmp, 65536 */
		uint64_t job_file_max;	 /* largest file a job may write, 8 GiB */
		uint64_t job_output_max; /* stdout and stderr of a job, 64 MiB */
		uint64_t job_tmp_max;	 /* bytes in the job's private /tmp, 1 GiB */
		uint64_t heartbeat_ms;	 /* 1000 */
		int compress;
	} worker;
	unsigned others; /* that use it, beside the first (conf_ref) */
};

/* The configuration files that are read, in their order; none of them need be there, but for the
 * one that DRAY_CONFIG names. */
int conf_files(struct strv *ret);
/* The coordinator's socket for admins of this machine: as it is set, or by default. The caller
 * frees it. NULL: there is no place for one, or no memory. */
char *conf_admin_socket(const struct conf *c);
/* Where a unit's line goes: also where job_log is empty. NULL: there is no place for it, or no
 * memory. The caller frees it. */
char *conf_job_log(const struct conf *c);
/* Whether a program of dray reads this variable (DRAY_…). */
bool conf_is_variable(const char *name);

/* Loads everything. On error returns -EINVAL (or -errno) and a full sentence in *ret_error. */
int conf_load(struct conf **ret, char **ret_error);
/* The same from one text (for tests and fuzzing): no environment. */
int conf_parse(const char *text, size_t n, const char *name, struct conf **ret, char **ret_error);
/* One `section.key=value` given on a command line (-o). */
int conf_set(struct conf *c, const char *assignment, char **ret_error);
/* The same by an option of that setting's own; errors name it ("--slots"). */
int conf_set_by(struct conf *c, const char *option, const char *assignment, char **ret_error);
/* Whether a list of names (TYPE_NAMES: by blanks or commas; NULL: none) has this one of n bytes. */
bool conf_names_has(const char *names, const char *name, size_t n);
/* What `sizes` (TYPE_SIZES; NULL: none) says of that name; else `otherwise`. */
uint64_t conf_sizes_get(const char *sizes, const char *name, uint64_t otherwise);
/* What `quotas` (TYPE_QUOTAS; NULL: none) says of that namespace, by its name ("": by "-"), or by
 * "*"; 0: it has none. */
uint64_t conf_quota_get(const char *quotas, const char *space);
/* Of all values of [client], but for where the job log is: equal only where all are. 0 or -errno.
 */
struct digest;
int conf_client_digest(const struct conf *c, struct digest *ret);
/* Adds the names of the keys of a section whose values differ. 0 or -ENOMEM. */
int conf_differs(const struct conf *a, const struct conf *b, const char *section, struct strv *ret);
void conf_free(struct conf *c);
void conf_freep(struct conf **c);
/* One more user of it, in any thread: it stays until the last one has called conf_free, or this.
 * Its values are not changed any more. */
const struct conf *conf_ref(const struct conf *c);
void conf_unrefp(const struct conf **c);

/* Every key with its section, type, default and environment variable, one a line, for --help and
 * for the man page's test. */
void conf_print_keys(int fd);

#endif
