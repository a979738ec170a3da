/* link_call_parse on any bytes: what it accepts is a command to run, and no file to remove but
 * those below the out-dir. */
#include "config.h"

#include "client/link/link.h"
#include "client/link/link_check.h"
#include "common/fs.h"

#define OUT_DIR "/w/target/debug/deps"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* What passes names no plugin, script or file elsewhere, in any form. */
static void
check(const struct link_call *l)
{
	static const char *const never[] = { "-plugin=", "-T", "-wrapper", "-specs", "--script",
		"-Map", "--sysroot", "-o/", "-include", "@", "/etc/", "-L/etc", "-fplugin",
		"--dynamic-linker", "-Wl,-plugin", "-Wl,-T", "-Wl,-o", "-Wl,@" };
	static char rustc[] = "rustc", name[] = "--crate-name=app", out[] = "--out-dir=" OUT_DIR,
		    source[] = "x.rs";
	char *argv[] = { rustc, name, out, source, NULL };
	_cleanup_(freep) char *why = NULL;
	_cleanup_(strv_done) struct strv none = STRV_INIT;
	struct rustc_call call;
	struct link_check in = { .call = &call,
		.cwd = "/w",
		.out_dir = OUT_DIR,
		.sysroot = "/rust",
		.temporaries = &none };

	if (call_parse(argv, &call) == 0 && link_check(&in, l, &why) == 0)
		for (size_t i = 1; i < l->argv.n; i++)
			for (size_t k = 0; k < ARRAY_LEN(never); k++)
				if (starts_with(l->argv.v[i], never[k]))
					abort();
	call_done(&call);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static char crate[] = "app", extra[] = "-1a";
	const struct rustc_call call = { .crate_name = crate, .extra_filename = extra };
	struct link_call l;

	if (link_call_parse(p, n, OUT_DIR, &call, &l) < 0)
		return 0;
	if (!l.path_prefix || l.argv.n == 0 || !*l.argv.v[0])
		abort();
	for (size_t i = 0; i < l.temporaries.n; i++)
		if (!path_is_normal(l.temporaries.v[i]) ||
			!starts_with(l.temporaries.v[i], OUT_DIR "/"))
			abort();
	check(&l);
	link_call_done(&l);
	return 0;
}
