/* The line of the job log about a build script's run. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/script/run_priv.h"
#include "common/clock.h"
#include "common/log/joblog.h"
#include "common/log/log.h"
#include "common/process/proc.h"
#include "common/process/spawn.h"
#include "common/log/unit_id.h"

#define DEPS_MAX 1024

extern char **environ;

/* What others call it, and the unit that made its program. Out of memory: the log does not tell. */
static void
fill_unit(const struct run *r, struct buf *unit, char program[UNIT_ID_SIZE], struct joblog_entry *e)
{
	char id[UNIT_ID_SIZE];

	unit_id_of_place(e->out_dir ? e->out_dir : "", id);
	if (*id && buf_addf(unit, "%s-%s", r->package, id) == 0)
		e->unit = (const char *)unit->p;
	unit_id_of_place(r->argv.v[0], program);
	if (*program)
		e->externs = program;
}

/* The runs whose DEP_ variables it gets are found by their names: DEP_LINKS_KEY. */
static void
fill_deps(struct buf *deps, struct joblog_entry *e)
{
	static const char dep[] = "DEP_";

	e->links = getenv("CARGO_MANIFEST_LINKS");
	for (char **v = environ; *v; v++) {
		const char *name = *v + strlen(dep);
		size_t n = starts_with(*v, dep) ? strcspn(name, "=") : 0;

		if (n == 0 || deps->n + n + 1 > DEPS_MAX)
			continue;
		if ((deps->n && buf_adds(deps, " ") < 0) || buf_add(deps, name, n) < 0)
			return;
	}
	if (deps->n)
		e->deps = (const char *)deps->p;
}

static const char *
cache_word(const struct run *r, const char *where)
{
	if (r->off)
		return "off";
	return streq(where, "cache") ? "hit" : "miss";
}

static void
fill_times(const struct run *r, struct joblog_entry *e)
{
	e->start_us = r->start_us;
	e->compile_start_us = r->run_start_us;
	e->end_us = clock_mono_us();
	e->compile_us = r->run_us;
	e->slot_wait_us = r->slot_wait_us;
	e->lookup_us = r->lookup_us;
	e->restore_us = r->restore_us;
	e->store_us = r->store_us;
	e->saved_us = r->said.saved_us;
	e->cache_bytes = r->said.bytes;
}

void
run_log(struct run *r, const char *where, int status)
{
	const char *path = r->conf->client.job_log, *version = getenv("CARGO_PKG_VERSION");
	_cleanup_(buf_done) struct buf unit = BUF_INIT, deps = BUF_INIT;
	_cleanup_(freep) char *package = NULL;
	char program[UNIT_ID_SIZE];
	struct joblog_entry e;

	if (!path || !*path)
		return;
	if (asprintf(&package, "%s %s", r->package, version ? version : "") < 0)
		package = NULL;
	memset(&e, 0, sizeof(e));
	e.crate = r->package;
	e.package = package;
	e.kind = "script-run";
	e.where = where;
	e.cache = cache_word(r, where);
	e.cache_why = r->off ? r->off : *r->why ? r->why : NULL;
	e.not_stored = r->not_stored;
	e.bound = r->not_stored ? NULL : r->bound;
	e.key = *r->said.key ? r->said.key : NULL;
	e.out_dir = getenv("OUT_DIR");
	/* the launcher's: cargo */
	e.parent = (uint64_t)proc_parent(getppid());
	e.exit_status = spawn_shown(status);
	e.signal = spawn_signal(status);
	fill_unit(r, &unit, program, &e);
	fill_deps(&deps, &e);
	fill_times(r, &e);
	cached_far_log(&r->far, streq(where, "cache"), &e);
	if (*r->said.producer)
		e.worker_key = r->said.producer;
	if (joblog_append(path, r->conf->client.job_log_max, &e) < 0)
		log_warn("job log %s", path);
}
