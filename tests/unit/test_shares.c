/* What a worker says of a job's files, for what it shares (worker/share/view.c): what it gave the
 * job and what the job was told, and nothing where it does not know. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>
#include <sys/stat.h>

#include "cache/attributes.h"
#include "common/fs.h"
#include "worker/share/shares_priv.h"
#include "worker/tracer/trace_priv.h"

#define OUT_DIR "/ws/target/debug/deps"

struct place {
	char dir[64], root[80], out[80];
	Dray__Unit unit;
	Dray__UnitFile file[3], *files[3];
	Dray__FileTimes times[3];
	char *links[1];
	Dray__FileRead read[2], *reads[2];
	uint8_t digests[2][DIGEST_SIZE];
	Dray__Trace trace;
	Dray__JobResult result;
	struct trace tracer;
	struct stage stage;
	struct sysroot sysroot;
	struct shares_made made;
	struct shares_job *job;
	struct shares_view view;
};

static char *
text(const char *s)
{
	return (char *)(uintptr_t)s;
}

static void
put(struct place *p, const char *path, const char *content)
{
	char at[256];

	snprintf(at, sizeof(at), "%s%s", p->root, path);
	assert_int_equal(fs_mkdir_parent(at, 0755), 0);
	assert_int_equal(fs_write_atomic(at, content, strlen(content), 0644), 0);
}

static void
add_file(struct place *p, unsigned i, const char *path, uint32_t mode, bool link)
{
	dray__unit_file__init(&p->file[i]);
	dray__file_times__init(&p->times[i]);
	p->file[i].path = text(path);
	p->file[i].times = mode ? &p->times[i] : NULL;
	p->times[i].mode = mode;
	p->times[i].modified = 1000 + i;
	p->times[i].changed = 2000 + i;
	p->times[i].uid = 7;
	p->times[i].link = link;
	p->files[i] = &p->file[i];
}

static void
add_read(struct place *p, unsigned i, const char *path)
{
	dray__file_read__init(&p->read[i]);
	memset(p->digests[i], 10 + (int)i, DIGEST_SIZE);
	p->read[i].path = text(path);
	p->read[i].digest.data = p->digests[i];
	p->read[i].digest.len = DIGEST_SIZE;
	p->reads[i] = &p->read[i];
}

static int
setup(void **state)
{
	static struct place p;

	memset(&p, 0, sizeof(p));
	snprintf(p.dir, sizeof(p.dir), "/tmp/test_shares.XXXXXX");
	assert_non_null(mkdtemp(p.dir));
	snprintf(p.root, sizeof(p.root), "%s/root", p.dir);
	snprintf(p.out, sizeof(p.out), "%s/out", p.dir);
	put(&p, "/ws/src/lib.rs", "lib");
	put(&p, "/ws/src/link.rs", "other");
	put(&p, "/.dray-in/libb-1.rmeta", "b");
	dray__unit__init(&p.unit);
	p.unit.out_dir = text(OUT_DIR);
	p.unit.sysroot = text("/opt/rust");
	p.unit.files = p.files;
	p.unit.n_files = 3;
	add_file(&p, 0, "/ws/src/lib.rs", S_IFREG | 0640, false);
	add_file(&p, 1, "/ws/src/link.rs", S_IFREG | 0644, true);
	add_file(&p, 2, "/.dray-in/libb-1.rmeta", 0, false);
	p.links[0] = text("/ws/linked");
	p.unit.links = p.links;
	p.unit.n_links = 1;
	/* in the order in which they came */
	add_read(&p, 0, "/ws/src/lib.rs");
	add_read(&p, 1, "/.dray-in/libb-1.rmeta");
	dray__trace__init(&p.trace);
	p.trace.read = p.reads;
	p.trace.n_read = 2;
	dray__job_result__init(&p.result);
	p.result.trace = &p.trace;
	assert_int_equal(trace_stat_init(&p.tracer.stat, &p.unit), 0);
	p.stage.root = p.root;
	p.stage.out = p.out;
	p.sysroot.view = text("/toolchain");
	p.sysroot.lib_root = text("/base");
	assert_int_equal(strv_add(&p.sysroot.lib_dirs, "/usr/lib"), 0);
	p.made = (struct shares_made){ .unit = &p.unit,
		.result = &p.result,
		.sysroot = &p.sysroot,
		.stage = &p.stage,
		.trace = &p.tracer };
	p.job = calloc(1, sizeof(*p.job));
	assert_int_equal(shares_view_init(&p.view, &p.made, p.job), 0);
	*state = &p;
	return 0;
}

static int
teardown(void **state)
{
	struct place *p = *state;

	shares_view_done(&p->view);
	trace_stat_done(&p->tracer.stat);
	strv_done(&p->sysroot.lib_dirs);
	shares_end(&p->job);
	assert_int_equal(fs_rm_rf(p->dir), 0);
	return 0;
}

static void
is_at(const struct place *p, const char *path, const char *before, const char *after)
{
	_cleanup_(freep) char *at = p->view.view.find(&p->view.view, path);
	char want[256];

	snprintf(want, sizeof(want), "%s%s", before, after);
	assert_string_equal(at, want);
}

static void
test_where_files_are(void **state)
{
	const struct place *p = *state;
	_cleanup_(freep) char *made = p->view.view.find_made(&p->view.view, OUT_DIR "/liba.rlib");
	char want[256];

	is_at(p, "/ws/src/lib.rs", p->root, "/ws/src/lib.rs");
	is_at(p, OUT_DIR "/libb-1.rmeta", p->root, "/.dray-in/libb-1.rmeta");
	/* what the job made there is no input */
	is_at(p, OUT_DIR "/liba.rlib", p->root, "/.dray-in/liba.rlib");
	is_at(p, "/opt/rust/lib/libx.so", "/toolchain", "/lib/libx.so");
	is_at(p, "/opt/rusty/x", p->root, "/opt/rusty/x");
	is_at(p, "/usr/lib/libc.so.6", "/base", "/usr/lib/libc.so.6");
	is_at(p, "/dev/null", "", "/dev/null");
	is_at(p, "/proc/self/maps", p->root, "/proc/self/maps");
	snprintf(want, sizeof(want), "%s/liba.rlib", p->out);
	assert_string_equal(made, want);
}

static void
test_digests(void **state)
{
	const struct place *p = *state;
	const struct inputs_view *v = &p->view.view;
	struct digest d;

	assert_int_equal(v->digest(v, "/ws/src/lib.rs", &d), 0);
	assert_memory_equal(d.b, p->digests[0], DIGEST_SIZE);
	assert_int_equal(v->digest(v, OUT_DIR "/libb-1.rmeta", &d), 0);
	assert_memory_equal(d.b, p->digests[1], DIGEST_SIZE);
	/* it is there, and was not read */
	assert_int_equal(v->digest(v, "/ws/src/link.rs", &d), -ENOENT);
	assert_int_equal(v->digest(v, "/ws/none", &d), -ENOENT);
}

static void
test_attributes(void **state)
{
	struct place *p = *state;
	const struct inputs_view *v = &p->view.view;
	struct attributes a;

	assert_int_equal(v->attributes(v, "/ws/src/lib.rs", true, &a), 0);
	assert_int_equal(a.v[ATTRIBUTE_KIND], S_IFREG);
	assert_int_equal(a.v[ATTRIBUTE_MODE], 0640);
	assert_int_equal(a.v[ATTRIBUTE_UID], 7);
	assert_int_equal(a.v[ATTRIBUTE_SIZE], 3);
	assert_int_equal(a.v[ATTRIBUTE_MODIFIED], 1000);
	assert_int_equal(a.v[ATTRIBUTE_CHANGED], 2000);
	assert_int_equal(v->attributes(v, "/ws/src/lib.rs", false, &a), 0);
	/* of a link what it leads to, but not itself */
	assert_int_equal(v->attributes(v, "/ws/src/link.rs", true, &a), 0);
	assert_int_equal(v->attributes(v, "/ws/src/link.rs", false, &a), -ENOENT);
	/* its client did not say */
	assert_int_equal(v->attributes(v, OUT_DIR "/libb-1.rmeta", true, &a), -ENOENT);
	/* another kind than the job saw */
	trace_stat_done(&p->tracer.stat);
	p->times[0].mode = S_IFDIR | 0755;
	assert_int_equal(trace_stat_init(&p->tracer.stat, &p->unit), 0);
	assert_int_equal(v->attributes(v, "/ws/src/lib.rs", true, &a), -ENOENT);
}

static void
test_links(void **state)
{
	const struct place *p = *state;
	const struct inputs_view *v = &p->view.view;

	assert_true(v->is_link(v, "/ws/src/link.rs"));
	assert_true(v->is_link(v, "/ws/linked"));
	assert_false(v->is_link(v, "/ws/src/lib.rs"));
	assert_false(v->is_link(v, "/ws"));
}

/* Nothing is done for a job whose results are not shared. */
static void
test_none(void **state)
{
	const struct place *p = *state;
	struct shares_job *j = shares_begin(NULL, "", "");
	struct digest d = { { 0 } };

	assert_null(j);
	shares_text(j, true, "x", 1);
	shares_output(j, "a", 0644, &d, 1);
	shares_offer(j, &p->made);
	shares_end(&j);
}

static void
test_too_much(void **state)
{
	const struct place *p = *state;
	_cleanup_(freep) char *many = calloc(1, SHARES_TEXT_MAX);
	struct digest d = { { 0 } };

	shares_text(p->job, false, many, SHARES_TEXT_MAX);
	assert_false(p->job->too_much);
	shares_output(p->job, "liba.rlib", 0644, &d, 5);
	assert_int_equal(p->job->n, 1);
	shares_text(p->job, true, "x", 1);
	assert_false(p->job->too_much);
	shares_text(p->job, false, "x", 1);
	assert_true(p->job->too_much);
	assert_int_equal(p->job->err.n, SHARES_TEXT_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_where_files_are, setup, teardown),
		cmocka_unit_test_setup_teardown(test_digests, setup, teardown),
		cmocka_unit_test_setup_teardown(test_attributes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_links, setup, teardown),
		cmocka_unit_test_setup_teardown(test_none, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_much, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
