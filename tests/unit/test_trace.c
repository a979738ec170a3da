/* The tracer: what is recorded of names, what a path means, and real programs in a real sandbox
 * whose calls wait for an answer. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "tests/unit/tools_fixture.h"
#include "common/clock.h"
#include "common/fs.h"
#include "trace/set.h"
#include "worker/sandbox/sandbox.h"
#include "worker/tracer/trace.h"
#include "worker/tracer/trace_rules.h"

#define PATIENCE_MS 60000

static void
test_set(void **state)
{
	struct trace_set s = TRACE_SET_INIT;
	char name[32];

	assert_int_equal(trace_set_get(&s, TRACE_PATHS, "/a"), TRACE_NONE);
	trace_set_add(&s, TRACE_PATHS, "/a", TRACE_FILE);
	trace_set_add(&s, TRACE_PATHS, "/a", TRACE_ABSENT);
	trace_set_add(&s, TRACE_LISTINGS, "/a", TRACE_DIR);
	assert_int_equal(s.n, 2);
	assert_int_equal(trace_set_get(&s, TRACE_PATHS, "/a"), TRACE_FILE);
	assert_int_equal(trace_set_get(&s, TRACE_LISTINGS, "/a"), TRACE_DIR);
	assert_int_equal(trace_set_get(&s, TRACE_MACRO_VARS, "/a"), TRACE_NONE);
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "/x/%d", i);
		trace_set_add(&s, TRACE_PATHS, name, TRACE_ABSENT);
	}
	assert_int_equal(s.n, 5002);
	assert_int_equal(trace_set_get(&s, TRACE_PATHS, "/x/4999"), TRACE_ABSENT);
	assert_int_equal(trace_set_get(&s, TRACE_PATHS, "/a"), TRACE_FILE);
	assert_false(s.lost);
	trace_set_done(&s);
}

static void
test_set_is_bounded(void **state)
{
	struct trace_set s = TRACE_SET_INIT;
	char name[1024];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (int i = 0; i < 4000 && !s.lost; i++) {
		for (int at = 0, rest = i; at < 8; at++, rest /= 10)
			name[at] = (char)('0' + rest % 10);
		trace_set_add(&s, TRACE_PATHS, name, TRACE_FILE);
	}
	assert_true(s.lost);
	assert_true(s.bytes <= TRACE_SET_BYTES);
	trace_set_done(&s);
}

/* ---- what paths mean */

static char *walked[] = { (char *)"/w/pkg", (char *)"/w/target/build/p/out" };
static char *withheld[] = { (char *)"/w/pkg/.git", (char *)"/w/pkg/data/big.bin",
	(char *)"/w/pkg/target" };
static char *links[] = { (char *)"/w/pkg/data/link", (char *)"/w/pkg/lib", (char *)"/w/target" };
static char *withheld_env[] = { (char *)"API_TOKEN", (char *)"HOME" };
static char *rules_argv[] = { (char *)"-Cextra-filename=-1", (char *)"-C",
	(char *)"extra-filename=-0123", (char *)"-L", (char *)"native=/w/target/build/z/out",
	(char *)"-Ldependency=deps" };

static void
make_unit(Dray__Unit *u)
{
	dray__unit__init(u);
	u->sysroot = (char *)"/opt/rust";
	u->out_dir = (char *)"/w/target/debug/deps";
	u->cwd = (char *)"/w";
	u->linker = (char *)"";
	u->crate = (char *)"pkg";
	u->walked = walked;
	u->n_walked = ARRAY_LEN(walked);
	u->withheld = withheld;
	u->n_withheld = ARRAY_LEN(withheld);
	u->links = links;
	u->n_links = ARRAY_LEN(links);
	u->withheld_env = withheld_env;
	u->n_withheld_env = ARRAY_LEN(withheld_env);
	u->argv = rules_argv;
	u->n_argv = ARRAY_LEN(rules_argv);
}

static void
test_places(void **state)
{
	static const struct {
		const char *path;
		enum trace_place place;
	} cases[] = { { "/opt/rust/lib/x.so", PLACE_OURS }, { "/lib64/libc.so.6", PLACE_LIB },
		{ "/proc/self/maps", PLACE_OURS }, { "/proc/self", PLACE_OURS },
		{ "/proc/uptime", PLACE_KERNEL }, { "/proc/7/stat", PLACE_OURS },
		{ "/proc/7", PLACE_OURS }, { "/proc/7/cwd/x", PLACE_KERNEL },
		{ "/proc/7x", PLACE_KERNEL }, { "/sys/fs/cgroup/cpu.max", PLACE_OURS },
		{ "/sys/class/dmi", PLACE_KERNEL }, { "/procedure/x", PLACE_TREE },
		{ "/system", PLACE_TREE }, { "/dev", PLACE_OURS }, { "/dev/null", PLACE_DEV },
		{ "/dev/shm/x", PLACE_DEV }, { "/developer", PLACE_TREE },
		{ "/.dray/bin/cc", PLACE_OURS }, { "/.dray/args", PLACE_OURS },
		{ "/.dray/x", PLACE_TREE }, { "/.drayage", PLACE_TREE },
		{ "/rustc/1/library/x.rs", PLACE_TREE }, { "/.dray-in/libx.rlib", PLACE_IN },
		{ "/etc/ld.so.cache", PLACE_TREE }, { "/etc/hostname", PLACE_TREE },
		{ "/w/target/debug/deps/x", PLACE_OUT }, { "/w/target/debug", PLACE_TREE },
		{ "/tmp/x", PLACE_TMP }, { "/tmp", PLACE_TMP }, { "/tmp/mine/x", PLACE_TREE },
		{ "/tmpx", PLACE_TREE }, { "/", PLACE_TREE }, { "/opt/rusty", PLACE_TREE } };
	static char lib64[] = "/lib64";
	char *libs[] = { lib64, NULL };
	struct strv tmp = STRV_INIT;
	struct trace_rules r;
	Dray__Unit u;

	make_unit(&u);
	assert_int_equal(strv_add(&tmp, "mine"), 0);
	assert_int_equal(trace_rules_init(&r, &u, libs, &tmp), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (trace_rules_place(&r, cases[i].path) != cases[i].place)
			fail_msg("%s", cases[i].path);
	trace_rules_done(&r);
	strv_done(&tmp);
}

static void
test_known(void **state)
{
	struct strv tmp = STRV_INIT;
	struct trace_rules r;
	Dray__Unit u;

	make_unit(&u);
	assert_int_equal(trace_rules_init(&r, &u, NULL, &tmp), 0);
	assert_true(trace_rules_known(&r, "/w/pkg/src/none.rs"));
	assert_true(trace_rules_known(&r, "/w/pkg"));
	assert_false(trace_rules_known(&r, "/w/pkg/target/x"));
	assert_false(trace_rules_known(&r, "/w/pkg/.git"));
	assert_false(trace_rules_known(&r, "/w/pkg/data/big.bin"));
	assert_true(trace_rules_known(&r, "/w/pkg/data/other.bin"));
	assert_true(trace_rules_known(&r, "/w/target/build/p/out/gen/a.rs"));
	assert_false(trace_rules_known(&r, "/w/Cargo.toml"));
	assert_false(trace_rules_known(&r, "/w/pkgs"));
	assert_false(trace_rules_known(&r, "/"));

	assert_true(trace_rules_listing_known(&r, "/w/pkg/src"));
	assert_false(trace_rules_listing_known(&r, "/w/pkg"));
	assert_false(trace_rules_listing_known(&r, "/w/pkg/data"));
	assert_false(trace_rules_listing_known(&r, "/w/other"));
	assert_true(trace_rules_listing_known(&r, "/w/target/build/z/out"));
	assert_true(trace_rules_listing_known(&r, "/w/deps"));

	assert_string_equal(trace_rules_link(&r, "/w/pkg/lib", false), "/w/pkg/lib");
	assert_null(trace_rules_link(&r, "/w/pkg/lib/x", false));
	assert_string_equal(trace_rules_link(&r, "/w/pkg/lib/x", true), "/w/pkg/lib");
	assert_string_equal(trace_rules_link(&r, "/w/target/debug/deps/x", true), "/w/target");
	assert_null(trace_rules_link(&r, "/w/pkg/library", true));
	assert_string_equal(trace_rules_link_in(&r, "/w/pkg"), "/w/pkg/lib");
	assert_string_equal(trace_rules_link_in(&r, "/w/pkg/data"), "/w/pkg/data/link");
	assert_null(trace_rules_link_in(&r, "/w/pkg/lib"));

	assert_true(trace_rules_withholds_env(&r, "API_TOKEN"));
	assert_false(trace_rules_withholds_env(&r, "API_TOKE"));
	assert_true(trace_rules_is_library("/x/libz.so.1"));
	assert_true(trace_rules_is_library("/x/libz.so"));
	assert_false(trace_rules_is_library("/x/libz.sound"));
	assert_true(trace_rules_loader_dir(&r, "/any/glibc-hwcaps/x86-64-v3/libc.so.6"));
	assert_false(trace_rules_loader_dir(&r, "/w/pkg/tls"));
	trace_rules_done(&r);
}

static void
test_out_dir_rules(void **state)
{
	static const struct {
		const char *path;
		bool own, temporary;
	} cases[] = { { "/w/target/debug/deps/libpkg-0123.rlib", true, false },
		{ "/w/target/debug/deps/pkg-0123", true, false },
		{ "/w/target/debug/deps/pkg-0123.pkg.1-cgu.0.rcgu.o", true, false },
		{ "/w/target/debug/deps/libpkg-1.rlib", false, false },
		{ "/w/target/debug/deps/libpkg.rlib", false, false },
		{ "/w/target/debug/deps/pkg-0123/x", false, false },
		{ "/w/target/debug/libpkg-0123.rlib", false, false },
		{ "/w/target/debug/deps", false, false },
		{ "/w/target/debug/deps/rustcAbCdEf", false, true },
		{ "/w/target/debug/deps/rustcAbCdEf/symbols.o", false, true },
		{ "/w/target/debug/deps/rmetaAbCdEf/full.rmeta", false, true },
		{ "/w/target/debug/deps/.tmpAbCdEf.temp-archive/tmp.a", false, true },
		{ "/w/target/debug/deps/.dray-cap/0/argv", false, true },
		{ "/w/target/debug/deps/rustcAbCdEfg", false, false },
		{ "/w/target/debug/deps/x/rustcAbCdEf", false, false } };
	struct strv tmp = STRV_INIT;
	struct trace_rules r;
	Dray__Unit u;

	make_unit(&u);
	assert_int_equal(trace_rules_init(&r, &u, NULL, &tmp), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (trace_rules_own_output(&r, cases[i].path) != cases[i].own ||
			trace_rules_temporary(&r, cases[i].path) != cases[i].temporary)
			fail_msg("%s", cases[i].path);
	trace_rules_done(&r);
}

/* ---- real programs */

struct place {
	char *dir;
	struct stage stage;
	struct sysroot sysroot;
	Dray__Unit unit;
	struct filters filters;
	struct buf env, said;
	struct sandbox box;
	struct trace *trace;
	char refused[PATH_MAX + 64];
	unsigned asks;
};

static void
make_dir(const char *dir, const char *name)
{
	_cleanup_(freep) char *path = below(dir, name);

	assert_int_equal(fs_mkdir_p(path, 0755), 0);
}

static int
set_up(void **state)
{
	static const char *const dirs[] = { "proc", "dev", "tmp", "out", ".dray/bin", "usr", "lib",
		"lib64", "bin", "w/pkg" };
	static const char *const libs[] = { "/lib", "/lib64", "/bin" };
	struct place *p = calloc(1, sizeof(*p));
	const char *tmp = getenv("TMPDIR");

	assert_non_null(p);
	p->box = (struct sandbox)SANDBOX_INIT;
	assert_int_equal(fs_make_temp_dir(tmp ? tmp : "/tmp", "dray-trace-", &p->dir), 0);
	p->stage.root = below(p->dir, "root");
	p->stage.out = below(p->dir, "out");
	p->stage.bin = below(p->dir, "bin");
	p->stage.unit = &p->unit;
	make_dir(p->dir, "out");
	make_dir(p->dir, "bin");
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		make_dir(p->stage.root, dirs[i]);
	install(p->stage.bin, "worker/dray-exec");
	install(p->stage.bin, "trace/dray-env.so");
	make_unit(&p->unit);
	p->unit.sysroot = (char *)"/usr";
	p->unit.out_dir = (char *)"/out";
	p->unit.cwd = (char *)"/w";
	p->sysroot.view = (char *)"/usr";
	p->sysroot.lib_root = (char *)"";
	for (size_t i = 0; i < ARRAY_LEN(libs); i++)
		assert_int_equal(strv_add(&p->sysroot.lib_dirs, libs[i]), 0);
	assert_int_equal(filters_make(true, &p->filters), 0);
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;

	sandbox_done(&p->box);
	trace_freep(&p->trace);
	fs_rm_rf(p->dir);
	filters_done(&p->filters);
	buf_done(&p->env);
	buf_done(&p->said);
	strv_done(&p->sysroot.lib_dirs);
	free(p->stage.root);
	free(p->stage.out);
	free(p->stage.bin);
	free(p->dir);
	free(p);
	return 0;
}

static void
start_program(struct place *p, char *const *argv)
{
	static const char preload[] = "LD_PRELOAD=" SANDBOX_BIN "/dray-env.so";
	struct sandbox_mount mounts[] = { { "/usr", "/usr", false }, { "/bin", "/bin", false },
		{ "/lib", "/lib", false }, { p->stage.out, "/out", true },
		{ "/lib64", "/lib64", false } };
	struct sandbox_spec spec = { .root = p->stage.root,
		.bin = p->stage.bin,
		.mounts = mounts,
		.n_mounts = ARRAY_LEN(mounts) - !fs_exists("/lib64"),
		.cwd = "/w",
		.argv = argv,
		.env = &p->env,
		.filters = &p->filters };

	assert_int_equal(buf_add(&p->env, preload, sizeof(preload)), 0);
	assert_int_equal(trace_new(&p->stage, &p->sysroot, &p->trace), 0);
	spec.trace_socket = trace_child_socket(p->trace);
	assert_int_equal(sandbox_start(&spec, &p->box), 0);
	trace_handed(p->trace);
}

static void
start(struct place *p, const char *script)
{
	char *argv[] = { (char *)"/usr/bin/sh", (char *)"-c", (char *)script, NULL };

	start_program(p, argv);
}

/* A file that is asked for is made, with its own path as content, when it is below /w/given, or
 * /out/given. */
static void
answer(struct place *p)
{
	char text[PATH_MAX + 64], host[2 * PATH_MAX + 64];

	switch (trace_event(p->trace, text)) {
	case TRACE_ASKS:
		p->asks++;
		if (starts_with(text, "/w/secret")) {
			trace_answer(p->trace, false, "the file of mine");
		} else if (starts_with(text, "/w/given/")) {
			snprintf(host, sizeof(host), "%s%s", p->stage.root, text);
			assert_int_equal(fs_mkdir_parent(host, 0755), 0);
			assert_int_equal(fs_write_atomic(host, text, strlen(text), 0644), 0);
			trace_answer(p->trace, true, NULL);
		} else if (starts_with(text, "/out/given")) {
			snprintf(host, sizeof(host), "%s%s", p->stage.out, text + strlen("/out"));
			assert_int_equal(fs_mkdir_parent(host, 0755), 0);
			assert_int_equal(fs_write_atomic(host, text, strlen(text), 0644), 0);
			trace_answer(p->trace, true, NULL);
		} else {
			trace_answer(p->trace, false, NULL);
		}
		break;
	case TRACE_REFUSES:
		snprintf(p->refused, sizeof(p->refused), "%s", text);
		sandbox_kill(&p->box);
		break;
	default:
		break;
	}
}

static void
finish(struct place *p)
{
	uint64_t until = clock_mono_ms() + PATIENCE_MS;

	while (p->box.out >= 0 || p->box.err >= 0) {
		struct pollfd fds[3] = { { .fd = p->box.out, .events = POLLIN },
			{ .fd = p->box.err, .events = POLLIN },
			{ .fd = trace_event_fd(p->trace), .events = POLLIN } };
		int *const ends[2] = { &p->box.out, &p->box.err };

		assert_true(clock_mono_ms() < until);
		assert_true(poll(fds, 3, PATIENCE_MS) > 0);
		if (fds[2].revents)
			answer(p);
		for (size_t i = 0; i < 2; i++) {
			char text[4096];
			ssize_t n;

			if (!fds[i].revents)
				continue;
			n = read(fds[i].fd, text, sizeof(text));
			if (n <= 0)
				closep(ends[i]);
			else
				assert_int_equal(buf_add(&p->said, text, (size_t)n), 0);
		}
	}
	sandbox_wait(&p->box, NULL);
	trace_stop(p->trace);
	assert_int_equal(buf_add(&p->said, "", 1), 0);
}

static bool
among(char **v, size_t n, const char *s)
{
	for (size_t i = 0; i < n; i++)
		if (streq(v[i], s))
			return true;
	return false;
}

static void
test_file_on_demand(void **state)
{
	struct place *p = *state;
	Dray__Trace m;

	start(p, "cat /w/given/../given/a.txt given/b.txt; cat pkg/none given/a.txt; echo $?");
	finish(p);
	assert_true(starts_with((char *)p->said.p, "/w/given/a.txt/w/given/b.txt"));
	assert_non_null(strstr((char *)p->said.p, "No such file"));
	assert_true(trace_message(p->trace, &m));
	assert_true(m.whole);
	assert_true(among(m.files, m.n_files, "/w/given/a.txt"));
	assert_true(among(m.files, m.n_files, "/w/given/b.txt"));
	assert_true(among(m.absent, m.n_absent, "/w/pkg/none"));
	assert_int_equal(m.fetched, 2);
	assert_true(p->asks >= 2);
	trace_message_done(&m);
}

/* What a program was started with is its own, and of that the harmless names do not count. */
static void
test_variables(void **state)
{
	char *argv[] = { (char *)"/usr/bin/mktemp", (char *)"-u", (char *)"-t", (char *)"x.XXXXXX",
		NULL };
	struct place *p = *state;
	Dray__Trace m;

	start_program(p, argv);
	finish(p);
	assert_int_equal(p->box.status, 0);
	assert_true(trace_message(p->trace, &m));
	/* mktemp asks for TMPDIR, which does not count where it is its own */
	assert_false(among(m.rustc_env, m.n_rustc_env, "TMPDIR"));
	assert_int_equal(m.n_env, 0);
	assert_false(among(m.env, m.n_env, "LD_PRELOAD"));
	trace_message_done(&m);
}

static void
test_withheld_variable(void **state)
{
	static char *withheld_names[] = { (char *)"DU_BLOCK_SIZE" };
	char *argv[] = { (char *)"/usr/bin/du", (char *)"/out", NULL };
	struct place *p = *state;

	p->unit.withheld_env = withheld_names;
	p->unit.n_withheld_env = 1;
	start_program(p, argv);
	finish(p);
	assert_string_equal(p->refused, "the environment: DU_BLOCK_SIZE");
}

static void
refused(void **state, const char *script, const char *why)
{
	struct place *p = *state;

	start(p, script);
	finish(p);
	if (!strstr(p->refused, why))
		fail_msg("'%s', not '%s': %s", p->refused, why, (char *)p->said.p);
}

static void
test_refused_file(void **state)
{
	refused(state, "cat /w/secret; echo not >&2", "the file of mine");
}

static void
test_refused_write(void **state)
{
	refused(state, "echo > /out/fine; echo > /w/pkg/new", "to write /w/pkg/new");
}

static void
test_refused_listing(void **state)
{
	refused(state, "du /w/pkg", "the listing of /w/pkg");
}

static void
test_refused_program(void **state)
{
	refused(state, "/.dray/bin/git; :", "to run git");
}

static void
test_refused_umask(void **state)
{
	refused(state, "umask; echo not >&2", "the umask");
}

static void
test_given_umask(void **state)
{
	struct place *p = *state;
	Dray__Trace m;

	p->unit.umask = 027 + 1;
	start(p, "umask");
	finish(p);
	assert_string_equal(p->refused, "");
	assert_true(trace_message(p->trace, &m));
	assert_true(m.umask);
	trace_message_done(&m);
}

/* What the client has below its out-dir is there in the job; what the job made itself nobody is
 * asked for. */
static void
test_below_out_dir(void **state)
{
	struct place *p = *state;
	Dray__Trace m;

	start(p,
		"cat /out/given/a.txt; cat /out/none; mkdir /out/rustcAbCdEf && echo 1 "
		">/out/rustcAbCdEf/x &&"
		" cat /out/rustcAbCdEf/* && echo 2 >/out/mine && cat /out/mine && mkdir /out/own &&"
		" echo 3 >/out/own/x && cat /out/own/*");
	finish(p);
	assert_string_equal(p->refused, "");
	assert_true(starts_with((char *)p->said.p, "/out/given/a.txt"));
	assert_non_null(strstr((char *)p->said.p, "1\n2\n3\n"));
	assert_true(trace_message(p->trace, &m));
	assert_true(among(m.files, m.n_files, "/out/given/a.txt"));
	assert_true(among(m.absent, m.n_absent, "/out/none"));
	assert_false(among(m.absent, m.n_absent, "/out/rustcAbCdEf"));
	assert_false(among(m.files, m.n_files, "/out/mine"));
	assert_true(trace_was_given(p->trace, "/out/given/a.txt"));
	assert_false(trace_was_given(p->trace, "/out/mine"));
	trace_message_done(&m);
}

/* The compiler looks for its own outputs, as in an empty out-dir; a program that opens one may want
 * what was there before. */
static void
test_own_outputs(void **state)
{
	struct place *p = *state;
	Dray__Trace m;

	start(p, "test -e /out/libpkg-0123.rlib || echo 1 >/out/libpkg-0123.rlib; cat "
		 "/out/pkg-0123.d");
	finish(p);
	assert_string_equal(p->refused, "");
	assert_true(trace_message(p->trace, &m));
	assert_false(among(m.absent, m.n_absent, "/out/libpkg-0123.rlib"));
	assert_true(among(m.absent, m.n_absent, "/out/pkg-0123.d"));
	trace_message_done(&m);
}

static void
test_refused_listing_of_out_dir(void **state)
{
	refused(state, "ls /out", "the listing of /out");
}

static void
test_refused_change_in_out_dir(void **state)
{
	refused(state, "rm /out/given; echo not >&2", "to write /out/given");
}

static void
test_refused_change_of_given(void **state)
{
	refused(state, "cat /out/given; echo 1 >>/out/given", "to write /out/given");
}

static pid_t
child_of(pid_t pid)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char path[64];
	long child = 0;

	snprintf(path, sizeof(path), "/proc/%ld/task/%ld/children", (long)pid, (long)pid);
	assert_int_equal(fs_read_file(path, 4096, &b), 0);
	assert_int_equal(sscanf((const char *)b.p, "%ld", &child), 1);
	return (pid_t)child;
}

/* Two processes: the first is refused, the second asks, and waits in its openat. The reason is the
 * first one's. */
static void
test_refusal_stays(void **state)
{
	struct place *p = *state;
	char text[16] = "", script[320];
	struct pollfd refused = { .events = POLLIN }, said = { .events = POLLIN };

	snprintf(script, sizeof(script),
		"waits() { until read -r nr _ </proc/$1/syscall && [ $nr = %ld ]; do :; done; }\n"
		"trap go=1 USR1; (: >/w/pkg/new) & until [ \"$go\" ]; do :; done\n"
		"(: </w/given/x) & waits $!; echo both; wait",
		(long)SYS_openat);
	start(p, script);
	refused.fd = trace_event_fd(p->trace);
	said.fd = p->box.out;
	/* it is there, and not taken yet, when the other one asks */
	assert_int_equal(poll(&refused, 1, PATIENCE_MS), 1);
	/* bwrap, dray-exec, the shell */
	assert_int_equal(kill(child_of(child_of(p->box.pid)), SIGUSR1), 0);
	assert_int_equal(poll(&said, 1, PATIENCE_MS), 1);
	assert_true(read(p->box.out, text, sizeof(text) - 1) > 0);
	assert_string_equal(text, "both\n");
	finish(p);
	assert_string_equal(p->refused, "to write /w/pkg/new");
	assert_int_equal(p->asks, 0);
}

static void
test_never_started(void **state)
{
	struct place *p = *state;
	Dray__Trace m;

	assert_int_equal(trace_new(&p->stage, &p->sysroot, &p->trace), 0);
	trace_handed(p->trace);
	trace_stop(p->trace);
	assert_false(trace_message(p->trace, &m));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set),
		cmocka_unit_test(test_set_is_bounded),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_out_dir_rules),
		cmocka_unit_test_setup_teardown(test_file_on_demand, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_variables, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_withheld_variable, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused_write, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused_listing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused_program, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused_umask, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_given_umask, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_below_out_dir, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_own_outputs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused_listing_of_out_dir, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused_change_in_out_dir, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused_change_of_given, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refusal_stays, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_never_started, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
