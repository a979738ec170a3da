/* The service's set-up and end; what is between is in loop.c.
 *
 * Invariant: what needs root is done before anything of a client is read (leave_root). */
#include "config.h"

#include "store/disk.h"
#include "worker/service.h"

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/fs.h"
#include "common/text/why.h"
#include "machine/new_proc.h"
#include "trace/filter.h"
#include "worker/sandbox/launch.h"
#include "worker/sandbox/seccomp.h"
#include "worker/service_priv.h"

#define READY_MAX 32u
/* Each takes a thread, and its unit's memory. */
#define TWINS_PER_SLOT 4
#define TWINS_MAX 128u
/* Of each coordinator, beside two for each job and those of other workers (SEEK_CONNECTIONS). */
#define SOCKETS_FIXED 64

static bool
is_set(const char *s)
{
	return s && *s;
}

static bool
all_are_local(const struct service *s)
{
	for (size_t i = 0; i < s->n_up; i++)
		if (!endpoint_is_local(s->up[i].at))
			return false;
	return true;
}

static int
load_keys(struct service *s, char **ret_error)
{
	const char *id = s->conf->worker.identity;
	int r = upstreams_load(s, ret_error);

	if (r < 0)
		return r;
	if (is_set(id))
		return upstreams_load_identity(
			"[worker] identity", id, true, &s->identity, ret_error);
	if (!s->local || !all_are_local(s))
		return why_set(ret_error, -EINVAL,
			"[worker] identity is not set: a worker on TCP needs keys (make them with "
			"`dray keygen`).");
	r = identity_generate("worker", &s->identity);
	return r < 0 ? why_set(ret_error, r, "Cannot make keys: %s.", strerror(-r)) : 0;
}

static int
choose_name(struct service *s, const char *name)
{
	char host[65] = "";

	if (is_set(name)) {
		s->name = strdup(name);
	} else if (is_set(s->conf->worker.identity) && *s->identity.name) {
		s->name = strdup(s->identity.name);
	} else {
		gethostname(host, sizeof(host) - 1);
		s->name = strdup(*host ? host : "worker");
	}
	return s->name ? 0 : -ENOMEM;
}

static int
open_store(struct service *s, char **ret_error)
{
	const char *state = s->conf->worker.state_dir;
	_cleanup_(freep) char *dir = NULL;
	const struct disk_in disk = { .index = &disk_index_memory };
	struct store_in store = { .max = s->conf->worker.store_max, .disk = &disk };
	int r;

	dir = path_join(state, "store");
	s->jobs_dir = path_join(state, "jobs");
	s->tools_dir = path_join(state, LAUNCH_TOOLS);
	if (!dir || !s->jobs_dir || !s->tools_dir)
		return why_set(ret_error, -ENOMEM, "Out of memory.");
	r = fs_mkdir_p(state, 0700);
	if (r < 0)
		return why_set(ret_error, r, "[worker] state_dir %s: %s.", state, strerror(-r));
	store.where = dir;
	r = store_open(&store_disk, &store, &s->store);
	if (r == -EBUSY)
		return why_set(ret_error, r,
			"%s: another worker uses this directory; give each its own, by state_dir "
			"or --state-dir.",
			state);
	if (r < 0)
		return why_set(ret_error, r, "%s: cannot open the store: %s.", dir, strerror(-r));
	r = stage_clean(s->jobs_dir, s->users);
	return r < 0 ? why_set(ret_error, r, "%s: %s.", s->jobs_dir, strerror(-r)) : 0;
}

static int
no_sandbox(char **ret_error, int r, const char *why)
{
	/* in bwrap's words */
	if (strstr(why, "mount proc"))
		return why_set(ret_error, r, "The sandbox does not work: %s.", NEW_PROC_HELP);
	return why_set(ret_error, r,
		"The sandbox does not work here: %s. It needs bubblewrap (Debian: bubblewrap) and "
		"user namespaces (sysctl user.max_user_namespaces above 0; on some systems "
		"kernel.unprivileged_userns_clone = 1, or an AppArmor profile for bwrap).",
		why);
}

static int
find_bubblewrap(char **ret_error)
{
	_cleanup_(freep) char *why = NULL;
	int r = access(BWRAP_PATH, X_OK) < 0 ? -errno : 0;

	if (r == 0)
		return 0;
	why_set(&why, r, "%s: %s", BWRAP_PATH, strerror(-r));
	return no_sandbox(ret_error, r, why ? why : strerror(-r));
}

/* With a coordinator that has no list of keys anybody may come. */
static bool
takes_toolchains(const struct service *s)
{
	return s->conf->worker.toolchains_max > 0;
}

static int
find_toolchains(struct service *s, char **ret_error)
{
	_cleanup_(freep) char *why = NULL;
	int r = launch_prepare(s->conf->worker.state_dir, &why);

	if (r < 0)
		return why_set(
			ret_error, r, "Jobs cannot be started: %s.", why ? why : strerror(-r));
	r = find_bubblewrap(ret_error);
	if (r < 0)
		return r;
	r = offers_find(&(struct trial_conf){ .conf = s->conf,
				.jobs_dir = s->jobs_dir,
				.tools_dir = s->tools_dir,
				.filters = &s->filters,
				.users = s->users,
				.cgroup = s->cgroup },
		&s->offers, &why);
	if (r < 0)
		return no_sandbox(ret_error, r, why ? why : strerror(-r));
	if (s->offers.n == 0 && !takes_toolchains(s))
		return why_set(ret_error, -ENOENT,
			"No usable Rust toolchain was found (looked at rustup's, [worker] "
			"toolchain_dirs, "
			"and the system's): nothing to offer.");
	for (size_t i = 0; i < s->offers.n; i++)
		log_info("toolchain: %s", s->offers.v[i]->text);
	return 0;
}

static int
open_signals(struct service *s)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	/* Before any thread starts, since threads inherit the mask. */
	if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
		return -errno;
	signal(SIGPIPE, SIG_IGN);
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signal_fd < 0 ? -errno : 0;
}

static enum zap_answer
decide(void *arg, const char *curve_public)
{
	struct service *s = arg;
	uint64_t now = clock_mono_ms();
	enum zap_answer answer = door_knock(
		s->door, curve_public, upstreams_name(s, curve_public, now), now);

	if (answer != ZAP_YES)
		log_throttled(&s->strangers, 5, "key=%s is not let in%s", curve_public,
			answer == ZAP_WAIT    ? " yet: the coordinator has not named it"
			: answer == ZAP_LATER ? " yet: it connects too often"
					      : ": the coordinator has not named it");
	return answer;
}

static int
open_sockets(struct service *s, char **ret_error)
{
	const char *listen = s->conf->worker.listen;
	int r;

	s->ctx = zmq_ctx_new();
	if (!s->ctx)
		return why_set(ret_error, -ENOMEM, "Cannot start libzmq.");
	/* Two sockets for each job, and each connection. */
	zmq_ctx_set(s->ctx, ZMQ_MAX_SOCKETS,
		(int)(2 * (s->slots + s->twins + PUSHES + s->n_up * SEEK_CONNECTIONS) +
			s->n_up * SOCKETS_FIXED));
	r = door_new(&s->door);
	if (r == 0)
		r = zap_new(s->ctx, decide, s, &s->zap);
	if (r < 0)
		return why_set(
			ret_error, r, "Cannot start the authenticator: %s.", zmq_strerror(-r));
	r = socket_listen_monitored(s->ctx, ADMIT_WORKER, listen, s->local ? NULL : &s->identity,
		JOB_HEARTBEAT_MS, &s->socket, &s->monitor, &s->endpoint);
	if (r < 0)
		return why_set(ret_error, r, "Cannot listen on %s: %s.", listen, zmq_strerror(-r));
	return 0;
}

static int
set_sizes(struct service *s)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	s->cores = s->conf->worker.cores ? (unsigned)s->conf->worker.cores
					 : (unsigned)MAX2(cores, 1L);
	s->slots = s->conf->worker.slots ? (unsigned)s->conf->worker.slots : s->cores;
	s->twins = MIN2(TWINS_PER_SLOT * s->slots, TWINS_MAX);
	token_bank_init(&s->tokens, s->cores);
	s->jobs = calloc(s->slots + s->twins + SAMPLES + PUSHES, sizeof(*s->jobs));
	return s->jobs ? 0 : -ENOMEM;
}

static void
open_cgroup(struct service *s)
{
	_cleanup_(cgroup_freep) struct cgroup *g = NULL;
	_cleanup_(freep) char *why = NULL;
	int r;

	if (!s->conf->worker.cgroups)
		return;
	r = cgroup_open(s->conf->worker.cgroup_dir, &g, &why);
	if (r == 0 && s->user.becomes)
		r = cgroup_give(g, s->user.uid, s->user.gid, &why);
	if (r == 0)
		s->cgroup = steal_ptr(g);
	if (r == 0)
		log_info("jobs are limited by cgroups: path=%s", cgroup_path(s->cgroup));
	else
		log_info("jobs are limited by looking at them, without cgroups: %s",
			why ? why : strerror(ENOMEM));
}

/* As many sandboxes as jobs, but no more than a burst of them can use. */
static unsigned
ready_max(const struct service *s)
{
	return s->conf->worker.ready ? MIN2(s->slots, READY_MAX) : 0;
}

static void
open_ready(struct service *s)
{
	const struct ready_conf c = { .conf = s->conf,
		.jobs_dir = s->jobs_dir,
		.tools_dir = s->tools_dir,
		.filters = &s->filters,
		.cgroup = s->cgroup,
		.users = s->users,
		.max = ready_max(s) };
	int r = c.max ? ready_open(&c, &s->ready) : 0;

	if (r < 0)
		log_warn_errno(r, "no sandbox stands ready");
}

/* One line says which it is: this is what a job that gets out of its sandbox can reach. */
static void
open_job_users(struct service *s)
{
	const struct passwd *own = s->user.name ? NULL : getpwuid(s->user.uid);
	struct job_users_conf c = { .name = s->user.name ? s->user.name
					    : own	 ? own->pw_name
							 : NULL,
		.uid = s->user.uid,
		.gid = s->user.gid,
		.n = s->slots + SAMPLES + PUSHES + ready_max(s) };
	_cleanup_(freep) char *why = NULL, *fewer = NULL;
	int r = -ENOTSUP;

	if (!s->conf->worker.job_users)
		why_set(&why, 0, "[worker] job_users is no");
	else
		r = job_users_open(&c, &s->users, &fewer);
	/* a range may have enough for jobs, and none for sandboxes that stand ready */
	c.n = s->slots;
	if (r < 0 && !why)
		r = job_users_open(&c, &s->users, &why);
	if (r == 0)
		log_info("jobs have uids of their own: first=%lu",
			(unsigned long)job_users_first(s->users));
	if (!s->users)
		log_warn("jobs have the worker's own uid, by which what gets out of a sandbox "
			 "reaches this worker's memory and store: %s",
			why ? why : strerror(ENOMEM));
}

/* What only root may be able to do, and then the end of that: nothing of a client has been read
 * yet, and no program of the toolchains has run. A pipe or file that is made before is root's, and
 * cannot be opened again. */
static int
leave_root(struct service *s, char **ret_error)
{
	const char *state = s->conf->worker.state_dir;
	int r;

	if (!is_set(state))
		return why_set(ret_error, -EINVAL, "[worker] state_dir is not set.");
	r = open_sockets(s, ret_error);
	if (r < 0)
		return r;
	open_cgroup(s);
	open_job_users(s);
	r = worker_user_give_state(&s->user, state, ret_error);
	if (r == 0)
		r = worker_user_become(&s->user, ret_error);
	if (r == 0)
		r = worker_user_check_dir(&s->user, state, ret_error);
	if (r == 0 && s->user.becomes)
		log_info("no longer root: user=%s", s->user.name);
	else if (r == 0 && geteuid() == 0)
		log_warn("this worker runs as root, and so does what gets out of a job's sandbox; "
			 "[worker] user names another user");
	return r;
}

static int
set_up(struct service *s, const char *name, char **ret_error)
{
	int r;

	if (!is_set(s->conf->worker.coordinator))
		return why_set(ret_error, -EINVAL,
			"[worker] coordinator is not set: it, or --coordinator, names the "
			"coordinator's endpoint, tcp://HOST:PORT or ipc:///PATH.");
	if (!is_set(s->conf->worker.listen))
		return why_set(ret_error, -EINVAL, "[worker] listen is not set.");
	s->local = endpoint_is_local(s->conf->worker.listen);
	/* jobs of another uid read what is made for them; the state directory keeps out all others
	 */
	umask(022);
	r = worker_user_choose(s->conf->worker.user, &s->user, ret_error);
	if (r == 0)
		r = load_keys(s, ret_error);
	if (r < 0)
		return r;
	r = choose_name(s, name);
	if (r == 0)
		r = set_sizes(s);
	if (r == 0)
		r = open_signals(s);
	if (r < 0)
		return why_set(ret_error, r, "Cannot start: %s.", strerror(-r));
	r = leave_root(s, ret_error);
	if (r < 0)
		return r;
	r = clients_init(s);
	if (r == 0)
		r = filters_make(s->conf->worker.trace && trace_filter_possible(), &s->filters);
	if (r < 0)
		return why_set(ret_error, r, "Cannot start: %s.", strerror(-r));
	r = open_store(s, ret_error);
	if (r == 0)
		r = find_toolchains(s, ret_error);
	if (r < 0)
		return r;
	given_open(s);
	if (s->offers.n == 0)
		log_info("no toolchain is here: clients may give one");
	open_ready(s);
	return upstreams_open(s, ret_error);
}

int
service_new(const struct conf *conf, const char *name, struct service **ret, char **ret_error)
{
	_cleanup_(service_freep) struct service *s = calloc(1, sizeof(*s));
	int r;

	*ret_error = NULL;
	if (!s)
		return why_set(ret_error, -ENOMEM, "Out of memory.");
	s->conf = conf;
	s->signal_fd = -1;
	r = set_up(s, name, ret_error);
	if (r < 0)
		return r;
	*ret = steal_ptr(s);
	return 0;
}

void
service_free(struct service *s)
{
	if (!s)
		return;
	upstreams_close(s);
	monitor_free(s->monitor);
	socket_closep(&s->socket);
	zap_free(s->zap);
	door_free(s->door);
	zmq_ctx_termp(&s->ctx);
	ready_freep(&s->ready);
	upstreams_done(s);
	offers_done(&s->offers);
	store_close(s->store);
	token_bank_done(&s->tokens);
	cgroup_freep(&s->cgroup);
	job_users_freep(&s->users);
	closep(&s->signal_fd);
	identity_done(&s->identity);
	worker_user_done(&s->user);
	filters_done(&s->filters);
	free(s->jobs_dir);
	free(s->tools_dir);
	free(s->jobs);
	clients_done(s);
	free(s->endpoint);
	free(s->name);
	free(s);
}

void
service_freep(struct service **s)
{
	service_free(*s);
	*s = NULL;
}

static int
list_in(const struct conf *conf, FILE *to, char **ret_error)
{
	struct service s = { .conf = conf, .signal_fd = -1 };
	int r;

	s.jobs_dir = path_join(conf->worker.state_dir, "jobs");
	s.tools_dir = path_join(conf->worker.state_dir, LAUNCH_TOOLS);
	r = s.jobs_dir && s.tools_dir ? stage_clean(s.jobs_dir, NULL) : -ENOMEM;
	if (r == 0)
		r = filters_make(false, &s.filters);
	r = r < 0 ? why_set(ret_error, r, "%s.", strerror(-r)) : find_toolchains(&s, ret_error);
	for (size_t i = 0; i < s.offers.n; i++) {
		const struct offer *o = s.offers.v[i];
		char hex[DIGEST_HEX_SIZE];

		digest_hex(&o->toolchain.id, hex);
		fprintf(to, "%s  %s  %s\n", hex, o->text, o->toolchain.sysroot);
	}
	offers_done(&s.offers);
	filters_done(&s.filters);
	free(s.jobs_dir);
	free(s.tools_dir);
	return r;
}

int
service_list_toolchains(struct conf *conf, FILE *to, char **ret_error)
{
	_cleanup_(worker_user_done) struct worker_user user = { .name = NULL };
	_cleanup_(freep) char *why = NULL;
	char *dir = NULL;
	int r = worker_user_choose(conf->worker.user, &user, &why);

	/* What that user would offer. Root may look as well: no client's code is run. */
	if (r == -ENOENT)
		return why_set(ret_error, r, "%s", why);
	r = r < 0 ? 0 : worker_user_become(&user, ret_error);
	if (r < 0)
		return r;
	r = fs_make_temp_dir("/tmp", "dray-worker-", &dir);
	if (r < 0)
		return why_set(ret_error, r, "/tmp: %s.", strerror(-r));
	/* The directory of a running worker must not be touched. */
	free(conf->worker.state_dir);
	conf->worker.state_dir = dir;
	r = list_in(conf, to, ret_error);
	fs_rm_rf(dir);
	return r;
}

const char *
service_endpoint(const struct service *s)
{
	return s->endpoint;
}
