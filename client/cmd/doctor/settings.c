/* What is configured, and whether builds come to dray at all. */
#include "config.h"

#include "client/cmd/doctor/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "client/cmd/cargo_config.h"
#include "client/cmd/cmd.h"
#include "common/fs.h"
#include "common/process/spawn.h"
#include "discovery/find.h"

/* "/etc/dray/dray.conf (not there), /home/ann/.config/dray/dray.conf" */
void
doctor_check_files(struct doctor *d)
{
	_cleanup_(strv_done) struct strv files = STRV_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = conf_files(&files);

	for (size_t i = 0; r == 0 && i < files.n; i++)
		r = buf_addf(&b, "%s%s%s", i ? ", " : "", files.v[i],
			access(files.v[i], F_OK) == 0 ? "" : " (not there)");
	if (r == 0)
		doctor_say(d, GOOD, "files", "%s", b.n ? (const char *)b.p : "none is looked for");
	else
		doctor_say(d, BAD, "files", "%s", strerror(-r));
}

/* A variable that no program of dray reads is most likely misspelt. */
void
doctor_check_variables(struct doctor *d)
{
	for (char **e = environ; *e; e++) {
		_cleanup_(freep) char *name = strndup(*e, strcspn(*e, "="));

		if (name && starts_with(name, "DRAY_") && !conf_is_variable(name))
			doctor_say(d, NOTE, "variables",
				"%s is no setting, so it changes nothing: dray.conf(5) lists them",
				name);
	}
}

bool
doctor_check_conf(struct doctor *d)
{
	_cleanup_(freep) char *error = NULL;

	if (find_conf_load(&d->conf, &error) < 0) {
		doctor_say(d, BAD, "config", "%s Until this is right all is compiled here.",
			error ? error : "It cannot be read.");
		return false;
	}
	if (d->conf->client.discovers && !is_set(d->conf->client.coordinator))
		doctor_say(d, NOTE, "config",
			"coordinator is auto, and none was found yet: all is compiled here");
	else if (!is_set(d->conf->client.coordinator))
		doctor_say(d, NOTE, "config",
			"no coordinator is set, so all is compiled here: set "
			"[client] coordinator or DRAY_COORDINATOR, or try `dray up`");
	else if (d->conf->client.offload == OFFLOAD_NEVER)
		doctor_say(d, NOTE, "config", "offload is never: all is compiled here");
	else
		doctor_say(d, GOOD, "config", "coordinator %s", d->conf->client.coordinator);
	return true;
}

void
doctor_check_job_log(struct doctor *d)
{
	_cleanup_(freep) char *path = NULL;
	_cleanup_(closep) int fd = -1;
	struct stat st;

	path = conf_job_log(d->conf);
	if (!path) {
		doctor_say(d, BAD, "job log", "there is no place for it: set job_log");
		return;
	}
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		doctor_say(d, GOOD, "job log", "%s (begun with the first unit)", path);
	else if (fd < 0 || fstat(fd, &st) < 0)
		doctor_say(d, BAD, "job log", "%s: %s; set job_log to a file that you can write",
			path, strerror(errno));
	else
		doctor_say(d, GOOD, "job log", "%s, %jd bytes", path, (intmax_t)st.st_size);
}

void
doctor_check_programs(struct doctor *d)
{
	_cleanup_(freep) char *dispatch = spawn_find_program("dray-dispatch");
	_cleanup_(freep) char *self = cmd_self();

	if (!dispatch)
		doctor_say(d, BAD, "programs", "dray-dispatch is not beside %s: install dray whole",
			self ? self : "dray");
}

/* What cargo would start in this directory, in its own order: RUSTC_WRAPPER, which may say "none",
 * CARGO_BUILD_RUSTC_WRAPPER, the files. */
void
doctor_check_wrapper(struct doctor *d)
{
	const char *variable = getenv("RUSTC_WRAPPER"), *wrapper = variable,
		   *from = "RUSTC_WRAPPER";
	_cleanup_(freep) char *self = cmd_self();
	_cleanup_(freep) char *cwd = getcwd(NULL, 0);
	_cleanup_(freep) char *in_file = NULL;
	_cleanup_(freep) char *in = NULL;
	_cleanup_(freep) char *file = NULL;

	if (!wrapper)
		wrapper = getenv(from = "CARGO_BUILD_RUSTC_WRAPPER");
	if (!wrapper && cargo_config_wrapper(cwd ? cwd : "/", &file, &in_file) == 0) {
		wrapper = in_file;
		if (asprintf(&in, "rustc-wrapper in %s", file) < 0)
			in = NULL;
		from = in ? in : file;
	}
	if (!wrapper)
		doctor_say(d, NOTE, "wrapper",
			"RUSTC_WRAPPER is not set here: export RUSTC_WRAPPER=%s, or set "
			"build.rustc-wrapper in cargo's config, or use `dray run`",
			self ? self : "dray");
	else if (!*wrapper)
		doctor_say(d, NOTE, "wrapper", "%s is empty: cargo runs the compiler without dray",
			from);
	else if (!streq(path_basename(wrapper), "dray"))
		doctor_say(d, NOTE, "wrapper", "%s is %s, not dray", from, wrapper);
	else
		doctor_say(d, GOOD, "wrapper", "%s is %s", from, wrapper);
}
