/* Invariant: what is announced is public: no secret of the identity is in here. */
#include "config.h"

#include "discovery/announce.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

#include "common/log/log.h"
#include "common/process/spawn.h"
#include "common/strv.h"
#include "discovery/txt.h"
#include "keys/join_word.h"

#define AGAIN_MS 30000

bool
announce_split(const char *endpoint, char ret_address[64], char ret_port[8])
{
	const char *host = starts_with(endpoint, "tcp://") ? endpoint + 6 : "";
	const char *port = strrchr(host, ':');
	size_t n = port ? (size_t)(port - host) : 0;

	if (n > 1 && host[0] == '[' && host[n - 1] == ']') {
		host++;
		n -= 2;
	}
	if (n == 0 || n >= 64 || strlen(port + 1) >= 8)
		return false;
	memcpy(ret_address, host, n);
	ret_address[n] = '\0';
	snprintf(ret_port, 8, "%s", port + 1);
	return !starts_with(ret_address, "127.") && !streq(ret_address, "::1") &&
	       !starts_with(ret_address, "::ffff:127.");
}

static int
arguments(const struct announce *a, const char *program, struct strv *ret)
{
	const char *const words[] = { program, "publish", "--name", a->name, "--address",
		a->address, "--port", a->port, "--host", a->host };
	struct found_one o = { .endpoint = "" };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(words); i++)
		r = strv_add(ret, words[i]);
	snprintf(o.fingerprint, sizeof(o.fingerprint), "%.39s", a->fingerprint);
	snprintf(o.namespace, sizeof(o.namespace), "%s", a->namespace);
	snprintf(o.version, sizeof(o.version), "%s", PACKAGE_VERSION);
	return r == 0 ? txt_encode(&o, ret) : r;
}

static int
start(struct announce *a, const char *program)
{
	_cleanup_(strv_done) struct strv argv = STRV_INIT;
	_cleanup_(closep) int rd = -1, wr = -1;
	int ends[2], r = arguments(a, program, &argv);

	if (r < 0)
		return r;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	rd = ends[0];
	wr = ends[1];
	r = spawn_start(&(struct spawn){ .path = program,
				.argv = argv.v,
				.cwd = "/",
				.fds = (struct spawn_fd[]){ { rd, 0 } },
				.n_fds = 1,
				.new_group = true },
		&a->pid);
	if (r == 0)
		a->life = steal_fd(&wr);
	return r;
}

static void
try(struct announce *a, uint64_t now)
{
	_cleanup_(freep) char *program = spawn_find_program("dray-avahi");
	int r = program ? start(a, program) : -ENOENT;

	if (r == 0)
		return;
	a->pid = 0;
	a->again_ms = now + AGAIN_MS;
	/* what is not installed will not be in half a minute */
	if (r == -ENOENT)
		a->on = false;
	log_warn("discovery: not announced: dray-avahi: %s",
		r == -ENOENT ? "is not installed" : strerror(-r));
}

void
announce_start(struct announce *a, const struct conf *conf, const struct identity *id,
	const char *endpoint, uint64_t now)
{
	const char *namespace = conf->coordinator.avahi_namespace;

	if (!conf->coordinator.avahi)
		return;
	if (!announce_split(endpoint, a->address, a->port)) {
		log_info("discovery: not announced: no other machine reaches %s", endpoint);
		return;
	}
	a->on = true;
	keys_fingerprint(id->curve_public, a->fingerprint);
	snprintf(a->name, sizeof(a->name), "%s", *id->name ? id->name : "dray");
	snprintf(a->namespace, sizeof(a->namespace), "%s", namespace ? namespace : "");
	snprintf(a->host, sizeof(a->host), "dray-%.4s%.4s", a->fingerprint, a->fingerprint + 5);
	try(a, now);
}

void
announce_tick(struct announce *a, uint64_t now)
{
	int status;

	if (!a->on)
		return;
	if (a->pid > 0 && waitpid(a->pid, &status, WNOHANG) == a->pid) {
		log_warn("discovery: dray-avahi has ended (status %d); it is started again in %d s",
			spawn_shown(WIFSIGNALED(status) ? SPAWN_SIGNALLED + WTERMSIG(status)
							: WEXITSTATUS(status)),
			AGAIN_MS / 1000);
		a->pid = 0;
		closep(&a->life);
		a->again_ms = now + AGAIN_MS;
	}
	if (a->pid == 0 && now >= a->again_ms)
		try(a, now);
}

void
announce_end(struct announce *a)
{
	if (!a->on)
		return;
	if (a->pid > 0) {
		/* it may be waiting for a bus that does not answer */
		kill(a->pid, SIGTERM);
		while (waitpid(a->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	closep(&a->life);
	*a = (struct announce)ANNOUNCE_INIT;
}
