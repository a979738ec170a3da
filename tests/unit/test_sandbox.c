/* The real sandbox: bubblewrap, dray-exec, the deny list; and a unit compiled by a real rustc in
 * it, whose link is done outside and compared with rustc's own.
 *
 * The first tests run the system's programs, so they see /usr where a job would see a toolchain. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include <sys/stat.h>

#include "tests/unit/tools_fixture.h"
#include "common/clock.h"
#include "toolchain/elf.h"
#include "common/fs.h"
#include "common/process/spawn.h"
#include "toolchain/toolchain.h"
#include "worker/job/capture.h"
#include "worker/job/tokens.h"
#include "worker/sandbox/sandbox.h"
#include "worker/sandbox/seccomp.h"
#include "worker/sandbox/stage.h"
#include "worker/sandbox/sysroot.h"
#include "worker/sandbox/unit_check.h"
#include "tests/unit/store_fixture.h"

#define PATIENCE_MS 60000

struct place {
	char *dir, *root, *out, *bin, *state;
	struct filters filters;
	struct buf env;
	struct sandbox box;
	struct sandbox_mount mounts[8];
	struct sandbox_spec spec;
	struct buf said[2]; /* stdout, stderr */
	struct sandbox_usage usage;
};

static void
make_dir(const char *dir, const char *name)
{
	_cleanup_(freep) char *path = NULL;

	assert_true(asprintf(&path, "%s/%s", dir, name) > 0);
	assert_int_equal(fs_mkdir_p(path, 0755), 0);
}

static void
add_mount(struct place *p, const char *from, const char *to, bool writable)
{
	assert_true(p->spec.n_mounts < ARRAY_LEN(p->mounts));
	p->mounts[p->spec.n_mounts++] = (struct sandbox_mount){ from, to, writable };
}

static int
set_up(void **state)
{
	static const char *const dirs[] = { "proc", "dev", "tmp", "out", ".dray/bin", "usr", "lib",
		"lib64", "bin" };
	struct place *p = calloc(1, sizeof(*p));
	const char *tmp = getenv("TMPDIR");

	assert_non_null(p);
	p->box = (struct sandbox)SANDBOX_INIT;
	assert_int_equal(fs_make_temp_dir(tmp ? tmp : "/tmp", "dray-sandbox-", &p->dir), 0);
	p->root = below(p->dir, "root");
	p->out = below(p->dir, "out");
	p->bin = below(p->dir, "bin");
	p->state = below(p->dir, "state");
	make_dir(p->out, "");
	make_dir(p->bin, "");
	make_dir(p->state, "jobs");
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		make_dir(p->root, dirs[i]);
	install(p->bin, "worker/dray-exec");
	install(p->bin, "worker/dray-ld");
	install(p->bin, "trace/dray-env.so");
	assert_int_equal(filters_make(false, &p->filters), 0);
	p->spec = (struct sandbox_spec){ .root = p->root,
		.bin = p->bin,
		.mounts = p->mounts,
		.cwd = "/",
		.env = &p->env,
		.filters = &p->filters,
		.trace_socket = -1 };
	add_mount(p, "/usr", "/usr", false);
	add_mount(p, "/bin", "/bin", false);
	add_mount(p, "/lib", "/lib", false);
	if (fs_exists("/lib64"))
		add_mount(p, "/lib64", "/lib64", false);
	add_mount(p, p->out, "/out", true);
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;

	sandbox_done(&p->box);
	fs_rm_rf(p->dir);
	filters_done(&p->filters);
	buf_done(&p->env);
	buf_done(&p->said[0]);
	buf_done(&p->said[1]);
	free(p->root);
	free(p->out);
	free(p->bin);
	free(p->state);
	free(p->dir);
	free(p);
	return 0;
}

/* Reads both streams to their ends. */
static void
drain(struct place *p)
{
	uint64_t until = clock_mono_ms() + PATIENCE_MS;

	while (p->box.out >= 0 || p->box.err >= 0) {
		struct pollfd fds[2] = { { .fd = p->box.out, .events = POLLIN },
			{ .fd = p->box.err, .events = POLLIN } };
		int *const ends[2] = { &p->box.out, &p->box.err };

		if (clock_mono_ms() > until)
			fail_msg("the sandbox does not end");
		if (poll(fds, 2, 1000) < 0)
			assert_int_equal(errno, EINTR);
		for (size_t i = 0; i < 2; i++) {
			char text[4096];
			ssize_t n;

			if (!fds[i].revents)
				continue;
			n = read(fds[i].fd, text, sizeof(text));
			if (n <= 0)
				closep(ends[i]);
			else
				assert_int_equal(buf_add(&p->said[i], text, (size_t)n), 0);
		}
	}
}

static void
start(struct place *p, char *const *argv)
{
	p->spec.argv = argv;
	assert_int_equal(sandbox_start(&p->spec, &p->box), 0);
}

static void
run(struct place *p, char *const *argv)
{
	start(p, argv);
	drain(p);
	sandbox_wait(&p->box, &p->usage);
}

static void
run_sh(struct place *p, const char *script)
{
	_cleanup_(freep) char *s = strdup(script);
	char sh[] = "/bin/sh", c[] = "-c", *argv[] = { sh, c, s, NULL };

	run(p, argv);
}

static const char *
text(const struct place *p, int stream)
{
	return p->said[stream].n ? (const char *)p->said[stream].p : "";
}

static void
assert_ended(const struct place *p, int status)
{
	if (p->box.phase != SANDBOX_ENDED || p->box.status != status)
		fail_msg("phase %d, status %d (not %d), failure \"%s\", stderr \"%s\"",
			p->box.phase, p->box.status, status, p->box.failure, text(p, 1));
}

static void
test_status_and_streams(void **state)
{
	struct place *p = *state;

	run_sh(p, "echo to out; echo to err >&2; exit 3");
	assert_ended(p, 3);
	assert_int_equal(p->box.signal, 0);
	assert_string_equal(text(p, 0), "to out\n");
	assert_string_equal(text(p, 1), "to err\n");
	assert_true(p->box.end_us >= p->box.start_us && p->box.start_us > 0);
	assert_true(p->usage.peak_rss > 0);
}

static void
test_signal(void **state)
{
	struct place *p = *state;

	/* abort in a process 1 would not be seen as one: the compiler must not be process 1 */
	run_sh(p, "test $$ -ne 1 && kill -ABRT $$");
	assert_ended(p, 128 + SIGABRT);
	assert_int_equal(p->box.signal, SIGABRT);
}

static void
test_environment(void **state)
{
	static const char env[] = "A=1\0EMPTY=\0LD_PRELOAD=/nowhere.so\0B=x y";
	struct place *p = *state;
	char program[] = "/usr/bin/env", *argv[] = { program, NULL };

	assert_int_equal(setenv("DRAY_TEST_SECRET", "not for a job", 1), 0);
	assert_int_equal(buf_add(&p->env, env, sizeof(env)), 0);
	run(p, argv);
	assert_int_equal(unsetenv("DRAY_TEST_SECRET"), 0);
	assert_ended(p, 0);
	assert_string_equal(text(p, 0), "A=1\nEMPTY=\nLD_PRELOAD=/nowhere.so\nB=x y\n");
	assert_non_null(strstr(text(p, 1), "/nowhere.so")); /* it acted there, and only there */
}

static void
test_descriptors(void **state)
{
	struct place *p = *state;
	struct jobserver js = JOBSERVER_INIT;
	_cleanup_(closep) int leak = open("/dev/null", O_RDONLY);

	assert_true(leak >= 0); /* inheritable, as a careless library would open it */
	assert_int_equal(fcntl(leak, F_DUPFD, 20), 20);
	assert_int_equal(jobserver_make(1, &js), 0);
	p->spec.js = &js;
	run_sh(p, "cd /proc/$$/fd && echo *; readlink 0; printf x >&4");
	close(20);
	assert_ended(p, 0);
	assert_true(starts_with(text(p, 0), "0 1 2 3 4"));
	assert_null(strstr(text(p, 0), "20"));
	assert_non_null(strstr(text(p, 0), "\n/dev/null\n"));
	assert_int_equal(jobserver_take(&js), 0);
	assert_int_equal(jobserver_take(&js), 0); /* the one the job gave */
	assert_int_equal(jobserver_take(&js), -EAGAIN);
	jobserver_done(&js);
}

static void
test_writable_places(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *made = below(p->out, "made"), *root_file = below(p->root, "x");

	run_sh(p, "echo a > /out/made && echo b > /tmp/t && cat /tmp/t || exit 1\n"
		  "for f in /x /usr/x /.dray/bin/x /.dray/x /lib/x; do\n"
		  "  if (echo no > $f) 2>/dev/null; then echo wrote $f; fi\n"
		  "done\n"
		  "chmod 777 / 2>/dev/null && echo chmod; exit 0");
	assert_ended(p, 0);
	assert_string_equal(text(p, 0), "b\n");
	assert_true(fs_exists(made));
	assert_false(fs_exists(root_file));
}

static void
test_alone(void **state)
{
	struct place *p = *state;

	/* its own processes only, no network interface that is up but perhaps loopback, no host
	 * name */
	run_sh(p, "cat /proc/[0-9]*/comm | sort | tr '\\n' ' '; hostname;"
		  "tail -n +3 /proc/net/dev | grep -v '^ *lo:'; id -u; exit 0");
	assert_ended(p, 0);
	assert_null(strstr(text(p, 0), "bwrap"));
	assert_non_null(strstr(text(p, 0), "dray-exec"));
	assert_non_null(strstr(text(p, 0), "dray\n1000\n"));
}

/* With a uid of its own a job may still open by name what it has open. */
static void
test_own_user(void **state)
{
	struct place *p = *state;
	const struct passwd *own = getpwuid(geteuid());
	const struct job_users_conf c = { own ? own->pw_name : NULL, geteuid(), getegid(), 1 };
	_cleanup_(job_users_freep) struct job_users *users = NULL;
	_cleanup_(freep) char *why = NULL;
	struct token_bank bank;
	struct tokens tokens = TOKENS_INIT;

	if (job_users_open(&c, &users, &why) < 0)
		skip();
	token_bank_init(&bank, 2);
	assert_int_equal(tokens_begin(&bank, 2, &tokens), 0);
	assert_int_equal(chmod(p->out, 0777), 0);
	p->spec.user = job_users_take(users);
	assert_non_null(p->spec.user);
	p->spec.js = tokens_pool(&tokens);
	run_sh(p, "echo a >/dev/stdout && echo b >/dev/stderr && (: </proc/self/fd/3) && "
		  "(: >/proc/self/fd/4) && echo c >/out/made");
	tokens_done(&tokens);
	token_bank_done(&bank);
	assert_ended(p, 0);
	assert_string_equal(text(p, 0), "a\n");
	assert_string_equal(text(p, 1), "b\n");
}

static void
test_denied(void **state)
{
	struct place *p = *state;

	/* A program that is missing would be refused for the wrong reason. */
	run_sh(p, "for c in unshare mount chroot bash; do command -v $c >/dev/null || echo no $c; "
		  "done\n"
		  "unshare -U true && echo user namespace\n"
		  "unshare -m true && echo mount namespace\n"
		  "mount -t tmpfs none /tmp && echo mount\n"
		  "chroot / true && echo chroot\n"
		  "bash -c ': >/dev/udp/127.0.0.1/9' && echo network socket\n"
		  "exit 0");
	assert_ended(p, 0);
	assert_string_equal(text(p, 0), "");
	/* The deny list, not the want of a route or a capability, is what refuses these two. */
	assert_non_null(strstr(text(p, 1), "unshare: unshare failed: Operation not permitted"));
	assert_non_null(strstr(text(p, 1), "socket: Operation not permitted"));
}

/* Each probe would do no harm if it worked: what is written is what is there already, and
 * sysrq-trigger is opened only. By root's rights all of them work in a /proc that is not covered.
 */
static void
test_proc(void **state)
{
	struct place *p = *state;

	run_sh(p, "cd /proc\n"
		  "test -n \"$(cat sys/vm/overcommit_memory)\" && echo read\n"
		  "for f in sys/kernel/core_pattern sys/vm/overcommit_memory sys/kernel/hostname; "
		  "do\n"
		  "  v=$(cat $f) && (echo \"$v\" >$f) 2>/dev/null && echo wrote $f\n"
		  "done\n"
		  "(: >>sysrq-trigger) 2>/dev/null && echo opened sysrq-trigger\n"
		  "for f in kcore keys timer_list; do\n"
		  "  (: <$f) 2>/dev/null && echo opened $f\n"
		  "done\n"
		  "for d in irq bus fs scsi acpi; do\n"
		  "  test -z \"$(ls -A $d 2>/dev/null)\" || echo listed $d\n"
		  "done\n"
		  "test -r self/status -a -r meminfo -a -r cpuinfo && echo reached");
	assert_ended(p, 0);
	assert_string_equal(text(p, 0), "read\nreached\n");
}

/* Nobody has the write ends any more: all processes are gone. */
static void
assert_all_gone(struct place *p)
{
	struct pollfd fd = { .fd = p->box.out, .events = POLLIN };
	char c;

	assert_int_equal(poll(&fd, 1, 0), 1);
	assert_int_equal(read(p->box.out, &c, 1), 0);
}

static void
test_kill(void **state)
{
	struct place *p = *state;
	char sh[] = "/bin/sh", c[] = "-c", *argv[] = { sh, c, NULL, NULL };
	char script[] = "trap '' TERM INT; (setsid sleep 1000 &); sleep 1000 & echo up; wait";
	uint64_t before;
	char up[4] = "";

	argv[2] = script;
	start(p, argv);
	assert_true(p->box.pidfd >= 0);
	assert_int_equal(read(p->box.out, up, 3), 3);
	assert_string_equal(up, "up\n");
	before = clock_mono_ms();
	sandbox_kill(&p->box);
	sandbox_wait(&p->box, &p->usage);
	/* what is inside would last a hundred times as long */
	assert_true(clock_mono_ms() - before < 10000);
	assert_all_gone(p);
	assert_ended(p, 128 + SIGKILL);
	assert_true(p->box.killed);
}

static void
test_daemon_ends_with_the_command(void **state)
{
	struct place *p = *state;
	char sh[] = "/bin/sh", c[] = "-c", *argv[] = { sh, c, NULL, NULL };
	char script[] = "(setsid sleep 1000 &); (sleep 1000 &); exit 5";

	argv[2] = script;
	start(p, argv);
	sandbox_wait(&p->box, &p->usage);
	assert_ended(p, 5);
	assert_all_gone(p);
}

static void
test_does_not_start(void **state)
{
	struct place *p = *state;
	char missing[] = "/usr/bin/no-such-compiler", *argv[] = { missing, NULL };

	run(p, argv);
	assert_int_equal(p->box.phase, SANDBOX_FAILED);
	assert_non_null(strstr(p->box.failure, "no-such-compiler"));
	sandbox_done(&p->box);
	p->box = (struct sandbox)SANDBOX_INIT;

	add_mount(p, "/no/such/toolchain", "/out", false);
	run(p, argv);
	assert_int_equal(p->box.phase, SANDBOX_FAILED);
	assert_non_null(strstr(text(p, 1), "/no/such/toolchain")); /* bwrap's own words */
}

static void
test_limits(void **state)
{
	struct place *p = *state;
	_cleanup_(freep) char *f = below(p->out, "f");
	struct stat st;

	p->spec.file_max = 65536;
	p->spec.tmp_max = 1 << 20;
	p->spec.cpu_s = 100;
	p->spec.data_max = 1 << 30;
	p->spec.open_files = 100;
	run_sh(p, "ulimit -c -f -d -t; head -c 200000 /dev/zero > /out/f; echo file $?;"
		  "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18; do"
		  "  head -c 60000 /dev/zero > /tmp/$i || break; done 2>/dev/null; echo tmp $i;"
		  "ulimit -c; ulimit -d; ulimit -n");
	assert_ended(p, 0);
	assert_int_equal(stat(f, &st), 0);
	assert_int_equal(st.st_size, 65536);
	assert_non_null(strstr(text(p, 0), "file 153\n")); /* 128 + SIGXFSZ */
	assert_non_null(strstr(text(p, 0), "tmp 18\n"));   /* the 18th did not fit */
	assert_non_null(strstr(text(p, 0), "\n0\n1048576\n100\n"));
}

static void
test_umask(void **state)
{
	struct place *p = *state;

	p->spec.umask = 037 + 1;
	run_sh(p, "umask");
	assert_ended(p, 0);
	assert_string_equal(text(p, 0), "0037\n");
}

/* A real unit. */

struct crate {
	char *sysroot, *rustc;
	char *src, *out; /* the client's directories: they exist here too */
	struct sysroot base;
	struct store *store;
	struct stage stage;
	struct captures captures;
};

static const char source[] = "#![allow(dead_code)]\nmod part;\nfn main() { part::hello(2); }\n";
static const char part[] = "pub fn hello(n: u32) { for i in 0..n { println!(\"hello {i}\"); } }\n";

static int
find_rustc(struct crate *c)
{
	return toolchain_find_sysroot(NULL, "rustc", &c->sysroot, &c->rustc);
}

static void
put_file(const char *dir, const char *name, const void *data, size_t n, mode_t mode)
{
	_cleanup_(freep) char *path = below(dir, name);

	assert_int_equal(fs_mkdir_parent(path, 0755), 0);
	assert_int_equal(fs_write_atomic(path, data, n, mode), 0);
}

static void
add_blob(struct store *store, const char *data, struct digest *ret)
{
	struct store_writer *w = NULL;

	assert_int_equal(digest_bytes(data, strlen(data), ret), 0);
	assert_int_equal(store_write_begin(store, &w), 0);
	assert_int_equal(store_write(w, data, strlen(data)), 0);
	assert_int_equal(store_write_commit_now(w, ret, strlen(data)), 0);
}

/* Stages the crate as the worker does and compiles it. */
static void
compile_in_sandbox(struct place *p, struct crate *c, const struct strv *args)
{
	_cleanup_(freep) char *store_dir = below(p->state, "store"),
			      *jobs = below(p->state, "jobs");
	_cleanup_(freep) char *main_rs = below(c->src, "main.rs"),
			      *part_rs = below(c->src, "part.rs");
	_cleanup_(freep) char *error = NULL;
	_cleanup_(freep) struct sandbox_mount *mounts = NULL;
	_cleanup_(strv_done) struct strv keep = STRV_INIT, argv = STRV_INIT;
	char driver[] = "rustc", linker[] = "cc", crate[] = "hello";
	struct digest d[2];
	Dray__Blob blob[2] = { DRAY__BLOB__INIT, DRAY__BLOB__INIT },
		   *blobs[] = { &blob[0], &blob[1] };
	Dray__UnitFile file[2] = { DRAY__UNIT_FILE__INIT, DRAY__UNIT_FILE__INIT };
	Dray__UnitFile *files[] = { &file[0], &file[1] };
	Dray__Unit u = DRAY__UNIT__INIT;
	size_t n = 0;

	assert_int_equal(open_own_store(store_dir, 0, &c->store), 0);
	add_blob(c->store, source, &d[0]);
	add_blob(c->store, part, &d[1]);
	for (size_t i = 0; i < 2; i++) {
		blob[i].digest = (ProtobufCBinaryData){ DIGEST_SIZE, d[i].b };
		file[i].blob = (uint32_t)i;
	}
	file[0].path = main_rs;
	file[1].path = part_rs;
	u.toolchain = (ProtobufCBinaryData){ DIGEST_SIZE, d[0].b };
	u.sysroot = c->sysroot;
	u.driver = driver;
	u.cwd = c->src;
	u.out_dir = c->out;
	u.linker = linker;
	u.crate = crate;
	u.blobs = blobs;
	u.files = files;
	u.n_blobs = u.n_files = 2;
	u.argv = args->v;
	u.n_argv = args->n;
	if (unit_check(&u, c->base.lib_dirs.v, 0, &error) < 0)
		fail_msg("%s", error);
	assert_int_equal(stage_new(&(struct stage_spec){ .jobs = jobs,
					   .job = "j",
					   .tools = p->bin,
					   .lib_dirs = c->base.lib_dirs.v,
					   .unit = &u },
				 &c->stage),
		0);
	assert_int_equal(stage_link_blob(&c->stage, c->store, 0), 0);
	assert_int_equal(stage_link_blob(&c->stage, c->store, 1), 0);
	assert_int_equal(stage_mounts(&c->stage, c->base.view, c->base.lib_root, c->base.lib_dirs.v,
				 &keep, &mounts, &n),
		0);
	assert_int_equal(buf_add(&p->env, "PATH=" SANDBOX_BIN, sizeof("PATH=" SANDBOX_BIN)), 0);
	assert_int_equal(strv_addf(&argv, "%s/bin/rustc", c->sysroot), 0);
	assert_int_equal(strv_add_all(&argv, args->v), 0);
	p->spec = (struct sandbox_spec){ .root = c->stage.root,
		.bin = c->stage.bin,
		.mounts = mounts,
		.n_mounts = n,
		.cwd = c->src,
		.env = &p->env,
		.filters = &p->filters,
		.trace_socket = -1,
		.tmp_max = 1 << 26 };
	run(p, argv.v);
	assert_ended(p, 0);
}

/* Whether all that dray-exec and dray-ld are linked with is among the libraries that jobs get.
 * Built with sanitizers they need more; such a build has no job to run. */
static bool
tools_can_run(const struct place *p, const struct crate *c)
{
	static const char *const tools[] = { "dray-exec", "dray-ld" };

	for (size_t i = 0; i < ARRAY_LEN(tools); i++) {
		_cleanup_(freep) char *tool = below(p->bin, tools[i]);
		_cleanup_(strv_done) struct strv needed = STRV_INIT;
		unsigned machine;

		assert_int_equal(elf_needed(tool, &machine, &needed), 0);
		for (size_t k = 0; k < needed.n; k++) {
			bool found = false;

			for (size_t d = 0; d < c->base.lib_dirs.n && !found; d++) {
				_cleanup_(freep) char *lib = NULL;

				assert_true(asprintf(&lib, "%s%s/%s", c->base.lib_root,
						    c->base.lib_dirs.v[d], needed.v[k]) > 0);
				found = fs_exists(lib);
			}
			if (!found)
				return false;
		}
	}
	return true;
}

static void
run_at_home(char *const *argv, char *const *env, const char *cwd)
{
	pid_t pid;

	assert_int_equal(
		spawn_start(
			&(struct spawn){ .path = argv[0], .argv = argv, .envp = env, .cwd = cwd },
			&pid),
		0);
	assert_int_equal(spawn_wait(pid, NULL), 0);
}

/* Puts the captured inputs where the linker's arguments name them, and calls the linker that rustc
 * would have called. */
static void
link_at_home(struct crate *c)
{
	const struct capture *cap = &c->captures.v[0];
	_cleanup_(freep) char *path = NULL;
	char *env[] = { NULL, NULL };
	size_t n = strlen(cap->path);

	for (size_t i = 0; i < cap->dirs.n; i++)
		make_dir(c->out, cap->dirs.v[i]);
	for (size_t i = 0; i < cap->files.n; i++) {
		_cleanup_(closep) int in = capture_open(cap, i), out = -1;
		_cleanup_(freep) char *to = below(c->out, cap->files.v[i]);

		assert_true(in >= 0);
		out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		assert_true(out >= 0);
		assert_int_equal(fs_copy_fd(in, out), 0);
	}
	assert_true(ends_with(cap->path, SANDBOX_BIN));
	assert_true(asprintf(&path, "PATH=%.*s%s", (int)(n - strlen(SANDBOX_BIN)), cap->path,
			    getenv("PATH")) > 0);
	env[0] = path;
	assert_string_equal(cap->argv.v[0], "cc");
	free(cap->argv.v[0]);
	cap->argv.v[0] = fs_which("cc", getenv("PATH"));
	assert_non_null(cap->argv.v[0]);
	run_at_home(cap->argv.v, env, c->src);
}

static void
assert_same_bytes(const char *dir_a, const char *dir_b, const char *name)
{
	_cleanup_(freep) char *a = below(dir_a, name), *b = below(dir_b, name);
	struct digest da, db;

	assert_int_equal(digest_file(a, &da, NULL), 0);
	assert_int_equal(digest_file(b, &db, NULL), 0);
	assert_true(digest_eq(&da, &db));
}

static void
crate_done(struct crate *c)
{
	captures_done(&c->captures);
	stage_done(&c->stage);
	store_close(c->store);
	sysroot_done(&c->base);
	free(c->sysroot);
	free(c->rustc);
	free(c->src);
	free(c->out);
	*c = (struct crate){ .captures = { NULL, 0 } };
}

static void
test_real_unit(void **state)
{
	static const char *const words[] = { "--crate-name=hello", "--edition=2021", "main.rs",
		"--crate-type=bin", "--emit=dep-info,link", "-Cdebuginfo=2",
		"-Cextra-filename=-0" };
	struct place *p = *state;
	_cleanup_(crate_done) struct crate c = { .captures = { NULL, 0 } };
	_cleanup_(strv_done) struct strv args = STRV_INIT, plain = STRV_INIT;
	_cleanup_(freep) char *linked = NULL, *hello = NULL, *why = NULL;
	_cleanup_(closep) int out_fd = -1;

	if (find_rustc(&c) < 0) {
		print_message("no rustc here\n");
		crate_done(&c);
		skip();
	}
	if (sysroot_prepare(p->state, c.sysroot, &c.base, &why) < 0)
		fail_msg("%s", why);
	if (!tools_can_run(p, &c)) {
		print_message("dray-exec and dray-ld need libraries that jobs do not get\n");
		crate_done(&c);
		skip();
	}
	c.src = below(p->dir, "client/src"); /* below /tmp: the private one must not hide it */
	c.out = below(p->dir, "client/out");
	linked = below(p->dir, "client/linked");
	put_file(c.src, "main.rs", source, strlen(source), 0644);
	put_file(c.src, "part.rs", part, strlen(part), 0644);
	make_dir(c.out, "");
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		assert_int_equal(strv_add(&args, words[i]), 0);
	assert_int_equal(strv_addf(&args, "--out-dir=%s", c.out), 0);

	compile_in_sandbox(p, &c, &args);
	out_fd = open(c.stage.out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(out_fd >= 0);
	assert_int_equal(captures_read(out_fd, &c.captures), 0);
	assert_int_equal(c.captures.n, 1);
	assert_string_equal(c.captures.v[0].output, "hello-0");
	assert_true(c.captures.v[0].files.n >= 2);
	link_at_home(&c);

	/* The same again as plain rustc does it, at the same path. */
	assert_int_equal(rename(c.out, linked), 0);
	make_dir(c.out, "");
	assert_int_equal(strv_add(&plain, c.rustc), 0);
	assert_int_equal(strv_add_all(&plain, args.v), 0);
	run_at_home(plain.v, NULL, c.src);
	assert_same_bytes(c.out, linked, "hello-0");
	assert_same_bytes(c.out, c.stage.out, "hello-0.d");
	hello = below(linked, "hello-0");
	run_at_home((char *[]){ hello, NULL }, NULL, "/");
}

/* Whether this machine lets bubblewrap make namespaces at all (some containers do not). */
static bool
sandbox_possible(void)
{
	char bwrap[] = BWRAP_PATH, all[] = "--unshare-all", bind[] = "--ro-bind", root[] = "/",
	     run_true[] = "/bin/true";
	char *argv[] = { bwrap, all, bind, root, root, run_true, NULL };
	pid_t pid;

	return spawn_start(&(struct spawn){ .path = bwrap, .argv = argv }, &pid) == 0 &&
	       spawn_wait(pid, NULL) == 0;
}

#define REAL(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		REAL(test_status_and_streams),
		REAL(test_signal),
		REAL(test_environment),
		REAL(test_descriptors),
		REAL(test_writable_places),
		REAL(test_alone),
		REAL(test_own_user),
		REAL(test_denied),
		REAL(test_proc),
		REAL(test_kill),
		REAL(test_daemon_ends_with_the_command),
		REAL(test_does_not_start),
		REAL(test_limits),
		REAL(test_umask),
		REAL(test_real_unit),
	};

	if (!sandbox_possible()) {
		fprintf(stderr, "test_sandbox: %s cannot make a sandbox on this machine\n",
			BWRAP_PATH);
		return 77; /* automake: skipped */
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
