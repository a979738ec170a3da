/* Real programs under dray-trace --script. */
#ifndef DRAY_TESTS_UNIT_SCRIPT_FIXTURE_H
#define DRAY_TESTS_UNIT_SCRIPT_FIXTURE_H

#include "cache/inputs_priv.h"
#include "tests/unit/watch_fixture.h"

/* Runs argv; its status, and the record in *ret. option: one more of dray-trace's, or NULL. */
static inline int
script_traced(const struct place *p, const char *option, const char *const *argv, struct buf *ret)
{
	_cleanup_(freep) char *program = NULL, *writable = NULL;
	_cleanup_(closep) int fd = open(p->record, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct spawn_fd fds[] = { { fd, 7 } };
	const char *all[32];
	size_t n = 0;
	pid_t pid;
	int r;

	assert_true(asprintf(&program, "%s/trace/dray-trace", getenv("DRAY_TEST_BUILDDIR")) > 0);
	assert_true(asprintf(&writable, "--writable=%s", p->out) > 0);
	all[n++] = program;
	all[n++] = "--script";
	all[n++] = "--record-fd=7";
	all[n++] = writable;
	if (option)
		all[n++] = option;
	for (all[n++] = "--"; *argv && n + 1 < ARRAY_LEN(all); argv++)
		all[n++] = *argv;
	all[n] = NULL;
	/* where dray-trace has a sanitizer, that wants to be loaded first */
	setenv("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=1:verify_asan_link_order=0", 1);
	assert_int_equal(spawn_start(&(struct spawn){ .path = program,
					     .argv = (char *const *)all,
					     .cwd = p->dir,
					     .fds = fds,
					     .n_fds = 1 },
				 &pid),
		0);
	r = spawn_wait(pid, NULL);
	assert_int_equal(fs_read_file(p->record, 1u << 24, ret), 0);
	return r;
}

/* The same of a shell's text, which stands in for the script; it is dash or bash. */
static inline int
script_shell(const struct place *p, const char *option, const char *text, struct buf *ret)
{
	return script_traced(p, option, (const char *const[]){ "/bin/sh", "-c", text, NULL }, ret);
}

/* Builds a program of this text, to stand for a script's. */
static inline char *
build(const struct place *p, const char *name, const char *text)
{
	_cleanup_(freep) char *source = path_join(p->dir, "source.c");
	char *program = path_join(p->dir, name);
	pid_t pid;

	assert_int_equal(fs_write_atomic(source, text, strlen(text), 0644), 0);
	assert_int_equal(
		spawn_start(&(struct spawn){ .path = "/usr/bin/env",
				    .argv = (char *const[]){ (char[]){ "env" }, (char[]){ "cc" },
					    (char[]){ "-o" }, program, source, NULL },
				    .cwd = p->dir },
			&pid),
		0);
	assert_int_equal(spawn_wait(pid, NULL), 0);
	return program;
}

/* That its record has this doubt ("": none). */
static inline void
doubt_of_shell(const struct place *p, const char *text, const char *doubt)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	assert_int_equal(script_shell(p, NULL, text, &b), 0);
	assert_string_equal(doubt_of(&b), doubt);
}

static inline bool
is_installed(const char *name)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	const struct inputs_place here = { .envp = environ };

	return inputs_find_program(&here, name, &b) == 0 && b.n > 0;
}

#endif
