/* A stranger's result against this call: what the call makes is taken, and each lie about it is
 * not. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <sys/stat.h>

#include "cache/text.h"
#include "client/cached/stranger.h"
#include "common/fs.h"

static char *dir, *out_dir, *source;
static char *const env[] = { (char *)"SEEN=1", NULL };

static int
set_up(void **state)
{
	(void)state;
	if (fs_make_temp_dir("/tmp", "dray-stranger-", &dir) < 0)
		return -1;
	out_dir = path_join(dir, "out");
	source = path_join(dir, "lib.rs");
	return mkdir(out_dir, 0700) < 0 ? -1 : fs_write_atomic(source, "", 0, 0600);
}

static int
tear_down(void **state)
{
	(void)state;
	return fs_rm_rf(dir);
}

/* ---- calls */

#define LIBRARY                                                             \
	"rustc --crate-name a --crate-type lib lib.rs --error-format=json " \
	"--json=artifacts --emit=dep-info,metadata,link -C extra-filename=-1 --out-dir"
#define PROGRAM                                                             \
	"rustc --crate-name a --crate-type bin lib.rs --error-format=json " \
	"--json=artifacts --emit=dep-info,link -C extra-filename=-1 -C linker=cc --out-dir"
#define TRIAL "rustc --crate-name a --crate-type lib lib.rs --emit=dep-info,metadata --out-dir"

struct made {
	char words[600];
	char *argv[40];
	struct rustc_call call;
	struct inputs_place place;
	struct stranger s;
	struct strv known;
	struct result r;
};

static int
show(const void *arg, const struct buf *text, struct buf *to)
{
	(void)arg;
	return text_show(text->p, text->n, out_dir, to);
}

static void
begin(struct made *m, const char *call)
{
	char *rest = m->words;
	size_t n = 0;

	memset(m, 0, sizeof(*m));
	m->r = (struct result)RESULT_INIT;
	if (call) {
		snprintf(m->words, sizeof(m->words), "%s %s", call, out_dir);
		while (n < ARRAY_LEN(m->argv) - 1 && (m->argv[n] = strsep(&rest, " ")))
			n++;
		assert_int_equal(call_parse(m->argv, &m->call), 0);
		assert_int_equal(m->call.kind, CALL_UNIT);
	}
	m->place = (struct inputs_place){
		.out_dir = out_dir, .real_out_dir = out_dir, .envp = env
	};
	m->s = (struct stranger){ .call = call ? &m->call : NULL,
		.place = &m->place,
		.cwd = dir,
		.known = &m->known,
		.show = show,
		.show_link = show };
}

static void
end(struct made *m)
{
	if (m->s.call)
		call_done(&m->call);
	result_done(&m->r);
}

static struct output *
add_output(struct result *r, const char *name)
{
	struct output *o = result_add_output(r, name);

	assert_non_null(o);
	o->mode = 0666;
	o->size = 7;
	o->is_blob = true;
	return o;
}

static void
set_text(struct buf *b, const char *text)
{
	buf_done(b);
	assert_int_equal(buf_adds(b, text), 0);
}

static void
add_depinfo(struct result *r, const char *text)
{
	struct output *o = add_output(r, "a-1.d");

	o->is_blob = false;
	set_text(&o->text, text);
}

static void
add_source(struct result *r)
{
	struct digest d = { { 0 } };

	assert_int_equal(inputs_add(&r->inputs, INPUT_FILE, source, d.b, DIGEST_SIZE), 0);
}

static void
fill_library(struct result *r)
{
	add_source(r);
	add_depinfo(r, "\x01/liba-1.rlib: lib.rs\n\nlib.rs:\n\n# env-dep:SEEN=1\n# env-dep:NONE\n");
	add_output(r, "liba-1.rlib");
	add_output(r, "liba-1.rmeta");
	set_text(&r->err, "{\"artifact\":\"\x01/a-1.d\",\"emit\":\"dep-info\"}\n"
			  "{\"artifact\":\"\x01/liba-1.rmeta\",\"emit\":\"metadata\"}\n"
			  "{\"message\":\"unused\",\"level\":\"warning\"}\n"
			  "{\"artifact\":\"\x01/liba-1.rlib\",\"emit\":\"link\"}\n");
	set_text(&r->out, "a macro says hello\n");
}

static void
fill_program(struct result *r)
{
	add_source(r);
	add_depinfo(r, "\x01/a-1: lib.rs\n\nlib.rs:\n");
	add_output(r, "a-1")->mode = 0777;
	set_text(&r->err, "{\"artifact\":\"\x01/a-1.d\",\"emit\":\"dep-info\"}\n"
			  "{\"artifact\":\"\x01/a-1\",\"emit\":\"link\"}\n");
}

static void
fill_bundle(struct result *r)
{
	_cleanup_(freep) char *text = NULL;
	struct output *o;
	struct buf *b;
	int n;

	add_source(r);
	add_depinfo(r, "\x01/a-1: lib.rs\n\nlib.rs:\n");
	o = result_add_temporary(r, "a-1.a.1234-cgu.0.rcgu.o");
	assert_non_null(o);
	o->mode = 0666;
	o->is_blob = true;
	b = result_add_link(r);
	assert_non_null(b);
	n = asprintf(&text, "%c3%ccc%c-o%c%s/a-1%c%s/a-1.a.1234-cgu.0.rcgu.o%c", 0, 0, 0, 0, "\x01",
		0, "\x01", 0);
	assert_true(n > 0);
	assert_int_equal(buf_add(b, text, (size_t)n), 0);
	set_text(&r->err, "{\"artifact\":\"\x01/a-1.d\",\"emit\":\"dep-info\"}\n");
	set_text(&r->tail, "{\"artifact\":\"\x01/a-1\",\"emit\":\"link\"}\n");
}

static void
fill_trial(struct result *r)
{
	struct output *o;

	add_source(r);
	o = add_output(r, "a.d");
	o->is_blob = false;
	set_text(&o->text, "\x01/liba.rmeta: lib.rs\n\nlib.rs:\n");
	set_text(&r->err, "error[E0425]: cannot find value `x` in this scope\n"
			  " --> lib.rs:1:1\n\nerror: aborting due to 1 previous error\n\n");
	r->status = 1;
}

static void
fill_run(struct result *r)
{
	r->run = true;
	add_source(r);
	add_output(r, "gen.rs")->mode = 0644;
	set_text(&r->out, "cargo::rustc-cfg=x\n{ \"of\": \"nobody\" }\n");
	set_text(&r->err, "it was quick\n");
}

/* ---- one change each */

static struct output *
find(struct result *r, const char *name)
{
	for (size_t i = 0; i < r->n_outputs; i++)
		if (streq(r->outputs[i].name, name))
			return &r->outputs[i];
	fail_msg("no %s", name);
	return NULL;
}

static void
rename_output(struct result *r, const char *name, const char *to)
{
	struct output *o = find(r, name);

	free(o->name);
	o->name = strdup(to);
}

static void
nothing(struct result *r)
{
	(void)r;
}

static void
other_crate(struct result *r)
{
	add_output(r, "libb-1.rlib");
}

static void
build_script(struct result *r)
{
	add_output(r, "a-1");
}

static void
shared_library(struct result *r)
{
	add_output(r, "liba-1.so");
}

static void
runnable(struct result *r)
{
	find(r, "liba-1.rlib")->mode = 0777;
}

static void
no_rmeta(struct result *r)
{
	rename_output(r, "liba-1.rmeta", "a-1.long-type-2.txt");
	set_text(&r->err, "");
}

static void
no_rlib(struct result *r)
{
	rename_output(r, "liba-1.rlib", "a-1.long-type-2.txt");
	set_text(&r->err, "");
}

static void
no_depinfo(struct result *r)
{
	find(r, "a-1.d")->is_blob = true;
	rename_output(r, "a-1.d", "a-1.long-type-2.txt");
	set_text(&r->err, "");
}

static void
depinfo_as_blob(struct result *r)
{
	find(r, "a-1.d")->is_blob = true;
}

static void
rlib_as_text(struct result *r)
{
	find(r, "liba-1.rlib")->is_blob = false;
}

static void
depinfo_of_other(struct result *r)
{
	set_text(&find(r, "a-1.d")->text, "\x01/liba-1.rlib: other.rs\n\nother.rs:\n");
}

static void
depinfo_cut(struct result *r)
{
	set_text(&find(r, "a-1.d")->text, "\x01/liba-1.rlib: lib.rs");
}

static void
depinfo_without_input(struct result *r)
{
	set_text(&find(r, "a-1.d")->text, "\x01/liba-1.rlib: lib.rs more.rs\nlib.rs:\nmore.rs:\n");
}

static void
depinfo_other_env(struct result *r)
{
	set_text(&find(r, "a-1.d")->text, "\x01/liba-1.rlib: lib.rs\nlib.rs:\n# env-dep:SEEN=2\n");
}

static void
depinfo_secret_env(struct result *r)
{
	set_text(&find(r, "a-1.d")->text, "\x01/liba-1.rlib: lib.rs\nlib.rs:\n# env-dep:NONE=1\n");
}

static void
announces_elsewhere(struct result *r)
{
	set_text(&r->err, "{\"artifact\":\"/etc/liba-1.rmeta\",\"emit\":\"metadata\"}\n");
}

static void
announces_nothing(struct result *r)
{
	set_text(&r->err, "{\"artifact\":\"\x01/libb-1.rmeta\",\"emit\":\"metadata\"}\n");
}

static void
announces_as_other(struct result *r)
{
	set_text(&r->err, "{\"artifact\":\"\x01/liba-1.rmeta\",\"emit\":\"link\"}\n");
}

static void
announces_oddly(struct result *r)
{
	set_text(&r->err, "{\"artifact\":7,\"emit\":\"link\"}\n");
}

static void
escapes(struct result *r)
{
	set_text(&r->err, "\033]0;title\007\n");
}

static void
escapes_in_json(struct result *r)
{
	set_text(&r->err, "fine\n{\"message\":\"\\u001b]0;x\\u0007\"}\n");
}

static void
escapes_in_stdout(struct result *r)
{
	set_text(&r->out, "fine\n\033[2J\n");
}

static void
json_in_stdout(struct result *r)
{
	set_text(&r->out, "fine\n  {\"reason\":\"build-finished\",\"success\":true}\n");
}

static void
no_utf8(struct result *r)
{
	set_text(&r->err, "\xff\xfe\n");
}

static void
failed(struct result *r)
{
	r->status = 1;
}

static void
reads_kernel(struct result *r)
{
	struct digest d = { { 0 } };
	_cleanup_(freep) char *path = path_join(dir, "link");

	unlink(path);
	assert_int_equal(symlink("/proc/kmsg", path), 0);
	assert_int_equal(inputs_add(&r->inputs, INPUT_FILE, path, d.b, DIGEST_SIZE), 0);
}

static void
reads_nowhere(struct result *r)
{
	struct digest d = { { 0 } };

	assert_int_equal(
		inputs_add(&r->inputs, INPUT_FILE, "\x03/src/lib.rs", d.b, DIGEST_SIZE), 0);
}

static void
is_run(struct result *r)
{
	r->run = true;
}

static void
is_unit(struct result *r)
{
	r->run = false;
}

static void
links(struct result *r)
{
	struct buf *b = result_add_link(r);

	assert_non_null(b);
	set_text(b, "x");
}

static void
odd_link(struct result *r)
{
	set_text(&r->links[0], "x");
}

static void
foreign_temporary(struct result *r)
{
	free(r->temporaries[0].name);
	r->temporaries[0].name = strdup("b-1.a.1234-cgu.0.rcgu.o");
}

static void
runnable_temporary(struct result *r)
{
	r->temporaries[0].mode = 0777;
}

static void
other_failure(struct result *r)
{
	r->status = 101;
}

static void
unnumbered_failure(struct result *r)
{
	set_text(&r->err, "error: no idea\n");
}

static void
ends_in_linked(struct result *r)
{
	add_output(r, "a-1")->mode = 0777;
}

static void
linked_of_other(struct result *r)
{
	rename_output(r, "a-1", "b-1");
}

static void
nothing_linked(struct result *r)
{
	rename_output(r, "a-1", "a-1.long-type-2.txt");
	find(r, "a-1.long-type-2.txt")->mode = 0666;
	set_text(&r->err, "");
}

static void
test_each(void **state)
{
	static const struct {
		const char *what, *call;
		void (*fill)(struct result *r);
		void (*change)(struct result *r);
		const char *why; /* how it begins; NULL: it is taken */
		bool links;
	} rows[] = {
		{ "a library", LIBRARY, fill_library, nothing, NULL, false },
		{ "a publisher's", LIBRARY, fill_library, nothing, NULL, true },
		{ "another crate's", LIBRARY, fill_library, other_crate,
			"an output that this call does not make: libb-1.rlib", true },
		{ "a program", LIBRARY, fill_library, build_script,
			"an output that this call does not make: a-1", true },
		{ "a shared library", LIBRARY, fill_library, shared_library,
			"an output that this call does not make: liba-1.so", true },
		{ "runnable", LIBRARY, fill_library, runnable,
			"a mode that the compiler does not give: liba-1.rlib", true },
		{ "no rmeta", LIBRARY, fill_library, no_rmeta, "an output is lacking: liba-1.rmeta",
			true },
		{ "no rlib", LIBRARY, fill_library, no_rlib, "an output is lacking: liba-1.rlib",
			true },
		{ "no dep-info", LIBRARY, fill_library, no_depinfo, "an output is lacking: a-1.d",
			true },
		{ "dep-info elsewhere", LIBRARY, fill_library, depinfo_as_blob,
			"an output of an odd form: a-1.d", true },
		{ "a library as text", LIBRARY, fill_library, rlib_as_text,
			"an output of an odd form: liba-1.rlib", true },
		{ "dep-info of another", LIBRARY, fill_library, depinfo_of_other,
			"dep-info without the crate's source: a-1.d", true },
		{ "dep-info that is cut", LIBRARY, fill_library, depinfo_cut,
			"dep-info that makes no sense: a-1.d", true },
		{ "dep-info with more", LIBRARY, fill_library, depinfo_without_input,
			"dep-info names what is no input: ", true },
		{ "another variable", LIBRARY, fill_library, depinfo_other_env,
			"dep-info with another variable: SEEN", true },
		{ "a variable's value", LIBRARY, fill_library, depinfo_secret_env,
			"dep-info with another variable: NONE", true },
		{ "elsewhere", LIBRARY, fill_library, announces_elsewhere,
			"it announces a file outside of the out-dir: /etc/liba-1.rmeta", true },
		{ "what it has not", LIBRARY, fill_library, announces_nothing,
			"it announces a file that it does not have: libb-1.rmeta", true },
		{ "as another", LIBRARY, fill_library, announces_as_other,
			"it announces a file as something else: liba-1.rmeta", true },
		{ "odd", LIBRARY, fill_library, announces_oddly, "its text may be taken for JSON",
			true },
		{ "an escape", LIBRARY, fill_library, escapes,
			"its text has the control character U+001B", true },
		{ "an escape in JSON", LIBRARY, fill_library, escapes_in_json,
			"its text has the control character U+001B", true },
		{ "an escape on stdout", LIBRARY, fill_library, escapes_in_stdout,
			"its text has the control character U+001B", true },
		{ "JSON on stdout", LIBRARY, fill_library, json_in_stdout,
			"its standard output may be taken for cargo's", true },
		{ "no UTF-8", LIBRARY, fill_library, no_utf8, "its text is no UTF-8", true },
		{ "a failure", LIBRARY, fill_library, failed, "a failure that is not kept", true },
		{ "the kernel's", LIBRARY, fill_library, reads_kernel,
			"it read what no compile reads: ", true },
		{ "of a place that is not here", LIBRARY, fill_library, reads_nowhere, NULL, true },
		{ "a run", LIBRARY, fill_library, is_run, "it is of another kind", true },
		{ "a link", LIBRARY, fill_library, links, "a link, of a call that makes none",
			true },
		{ "a linked one", PROGRAM, fill_program, nothing, NULL, true },
		{ "a worker's linked one", PROGRAM, fill_program, nothing,
			"an output that this call does not make: a-1", false },
		{ "another's linked one", PROGRAM, fill_program, linked_of_other,
			"an output that this call does not make: b-1", true },
		{ "none that is linked", PROGRAM, fill_program, nothing_linked,
			"an output is lacking: what is linked", true },
		{ "a bundle", PROGRAM, fill_bundle, nothing, NULL, false },
		{ "a publisher's bundle", PROGRAM, fill_bundle, nothing, NULL, true },
		{ "a bundle that is linked", PROGRAM, fill_bundle, ends_in_linked,
			"an output that this call does not make: a-1", true },
		{ "an odd link", PROGRAM, fill_bundle, odd_link, "a link that makes no sense",
			true },
		{ "a foreign input", PROGRAM, fill_bundle, foreign_temporary,
			"an input of a link that is none of the unit's: b-1.", true },
		{ "a runnable input", PROGRAM, fill_bundle, runnable_temporary,
			"an input of a link that is none of the unit's: a-1.", true },
		{ "a trial", TRIAL, fill_trial, nothing, NULL, true },
		{ "another failure", TRIAL, fill_trial, other_failure, "a failure that is not kept",
			true },
		{ "a failure without a number", TRIAL, fill_trial, unnumbered_failure,
			"a failure that is not kept", true },
		{ "a script's run", NULL, fill_run, nothing, NULL, true },
		{ "a unit as a run", NULL, fill_run, is_unit, "it is of another kind", true },
		{ "an escape of a script", NULL, fill_run, escapes,
			"its text has the control character U+001B", true },
		{ "an escape in stdout of a script", NULL, fill_run, escapes_in_stdout,
			"its text has the control character U+001B", true },
		{ "a script that fails", NULL, fill_run, failed, "a failure that is not kept",
			true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		_cleanup_(freep) char *why = NULL;
		struct made m;
		int k;

		begin(&m, rows[i].call);
		m.s.links = rows[i].links;
		rows[i].fill(&m.r);
		rows[i].change(&m.r);
		k = stranger_check(&m.s, &m.r, &why);
		if (k != (rows[i].why ? -EPERM : 0) ||
			(rows[i].why && !starts_with(why, rows[i].why)))
			fail_msg("%s: %d, %s", rows[i].what, k, why ? why : "no reason");
		end(&m);
	}
}

/* Whatever leads there. */
static void
test_what_may_be_read(void **state)
{
	_cleanup_(freep) char *link = path_join(dir, "to-sys");

	(void)state;
	assert_int_equal(symlink("/sys/kernel", link), 0);
	assert_true(stranger_may_read(source));
	assert_true(stranger_may_read("/nowhere/at/all"));
	assert_false(stranger_may_read(link));
	assert_false(stranger_may_read("/proc/self/mem"));
	assert_false(stranger_may_read("relative"));
	assert_false(stranger_may_read("/a/../proc/self/mem"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each),
		cmocka_unit_test(test_what_may_be_read),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
