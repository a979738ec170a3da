/* Whether compiles and build scripts can be traced here: without that nothing is kept. */
#include "config.h"

#include "client/cmd/doctor/doctor.h"

#include <errno.h>
#include <stdio.h>

#include "common/process/spawn.h"

/* Whether a record is whole and without a doubt (trace/watch.h): *ret_doubt points into it. */
static bool
is_whole(const struct buf *record, const char **ret_doubt)
{
	const char *p = (const char *)record->p, *end = p + record->n;
	bool whole = false;

	*ret_doubt = "its record is not whole";
	if (record->n == 0 || end[-1] != '\0')
		return false;
	for (; p < end; p += strlen(p) + 1) {
		whole = *p == 'e';
		if (*p == '!') {
			*ret_doubt = p + 1;
			return false;
		}
	}
	return whole;
}

/* A program of no interest, traced in a way of dray-trace's. 0: it can be; -errno; -ENOTSUP: the
 * record has a doubt, which *ret_doubt says (the caller frees it). */
static int
try_tracer(char *program, const char *way, char **ret_doubt)
{
	_cleanup_(buf_done) struct buf record = BUF_INIT;
	_cleanup_(freep) char *option = strdup(way);
	char fd[] = "--record-fd=1", end[] = "--", sh[] = "/bin/sh", c[] = "-c", colon[] = ":";
	char *argv[] = { program, fd, option, end, sh, c, colon, NULL };
	const char *doubt = "";
	int status = 0, r;

	if (!option)
		return -ENOMEM;
	r = spawn_capture(argv, NULL, SPAWN_ASK_MS, 1u << 20, &record, &status);
	if (r < 0 || is_whole(&record, &doubt))
		return MIN2(r, 0);
	*ret_doubt = strdup(doubt);
	return -ENOTSUP;
}

/* What paths = shared is good for. */
static void
check_paths(struct doctor *d, bool traced)
{
	const struct conf *c = d->conf;

	if (c->client.paths != PATHS_SHARED || c->client.cache == CACHE_OFF || c->client.disable)
		return;
	if (!traced)
		doctor_say(d, NOTE, "paths",
			"paths = shared is of no use where compiles cannot be traced: set paths = "
			"exact");
	else
		doctor_say(d, GOOD, "paths",
			"paths = shared: units are found from each checkout; for a "
			"debugger: dray env --gdb, dray env --lldb");
}

/* As a linker, since only the compiler is expected to say which variables it asks for. */
void
doctor_check_tracer(struct doctor *d)
{
	static const char lost[] = "what is compiled on this machine is not kept in the cache";
	_cleanup_(freep) char *program = spawn_find_program("dray-trace");
	_cleanup_(freep) char *env = spawn_find_program("dray-env.so");
	_cleanup_(freep) char *doubt = NULL;
	int r;

	if (!program || !env) {
		doctor_say(d, BAD, "tracer",
			"%s is not beside dray: install dray whole; until then %s",
			program ? "dray-env.so" : "dray-trace", lost);
		return;
	}
	r = try_tracer(program, "--linker", &doubt);
	if (r < 0 && !doubt)
		doctor_say(d, NOTE, "tracer", "%s: %s: %s", program, strerror(-r), lost);
	else if (r < 0)
		doctor_say(d, NOTE, "tracer",
			"this kernel or container does not let a compile be traced (%s; seccomp "
			"user "
			"notification, Linux 5.5): %s",
			doubt, lost);
	else
		doctor_say(d, GOOD, "tracer", "compiles here can be traced");
	check_paths(d, r == 0);
}

/* Whether runs of build scripts are kept. */
void
doctor_check_scripts(struct doctor *d)
{
	static const char lost[] = "build scripts run in each build";
	static const char *const parts[] = { "dray-script", "dray-trace", "dray-run.so" };
	_cleanup_(freep) char *program = spawn_find_program("dray-trace");
	_cleanup_(freep) char *doubt = NULL;
	const char *trust = d->conf->client.scripts_trust;
	int r;

	if (d->conf->client.cache == CACHE_OFF || d->conf->client.disable)
		return;
	if (d->conf->client.scripts != SCRIPTS_ON) {
		doctor_say(d, NOTE, "scripts", "scripts is off (DRAY_SCRIPTS): %s", lost);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		_cleanup_(freep) char *path = spawn_find_program(parts[i]);

		if (path)
			continue;
		doctor_say(d, BAD, "scripts",
			"%s is not beside dray: install dray whole; until then %s", parts[i], lost);
		return;
	}
	r = program ? try_tracer(program, "--script", &doubt) : -ENOENT;
	if (r < 0)
		doctor_say(d, NOTE, "scripts", "a build script cannot be traced here (%s): %s",
			doubt ? doubt : strerror(-r), lost);
	else if (is_set(trust))
		doctor_say(d, GOOD, "scripts",
			"runs of build scripts are kept, and put back; scripts_trust: %s", trust);
	else
		doctor_say(d, GOOD, "scripts", "runs of build scripts are kept, and put back");
}
