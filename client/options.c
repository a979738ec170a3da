/* The options of rustc, as tables, and what each means to dray.
 *
 * The parsing is that of rustc's own option parser (the getopts crate): options and the source may
 * come in any order, a short option's value may be joined, flags may be grouped (-gO), "--" ends
 * the options. Invariant: c->why stays NULL only when every word was understood by a row; an option
 * of a later rustc, a repeated one that rustc refuses, or a value it would refuse, sets it. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "client/call_priv.h"

/* What an option means to dray. */
enum act {
	ACT_FINE,	 /* goes along as it is */
	ACT_PROBE,	 /* prints something and compiles nothing */
	ACT_HOME,	 /* the unit is compiled here; the row says why */
	ACT_HOME_SWITCH, /* the same, unless it is switched off (=no) */
	ACT_PROJECT,	 /* the project chose how to link */
	ACT_STR,	 /* the value is kept in the field of the row */
	ACT_LINT,
	ACT_CODEGEN,
	ACT_UNSTABLE,
	ACT_EMIT,
	ACT_PRINT,
	ACT_CRATE_TYPE,
	ACT_EXTERN,
	ACT_SEARCH,
	ACT_NATIVE,
	ACT_TEST,
	ACT_ERROR_FORMAT,
	ACT_JSON,
	/* of -C only */
	ACT_CPU,
	ACT_FLAVOR,
	ACT_LINKER,
	ACT_LINK_ARG,
	ACT_LINK_ARGS,
	ACT_LTO,
	ACT_PLUGIN_LTO,
};

struct option_row {
	const char *name; /* long name; one letter: a short option */
	bool value;	  /* takes one */
	bool once;	  /* rustc refuses a second one */
	enum act act;
	size_t field;	 /* ACT_STR: offset of a char * in struct rustc_call */
	const char *why; /* ACT_HOME */
};

#define FIELD(f) offsetof(struct rustc_call, f)

/* rustc --help -v, 1.95 */
static const struct option_row options[] = {
	{ "h", false, false, ACT_PROBE, 0, NULL },
	{ "help", false, false, ACT_PROBE, 0, NULL },
	{ "V", false, false, ACT_PROBE, 0, NULL },
	{ "version", false, false, ACT_PROBE, 0, NULL },
	{ "explain", true, true, ACT_PROBE, 0, NULL },
	{ "print", true, false, ACT_PRINT, 0, NULL },
	{ "v", false, false, ACT_FINE, 0, NULL },
	{ "verbose", false, false, ACT_FINE, 0, NULL },
	{ "cfg", true, false, ACT_FINE, 0, NULL },
	{ "check-cfg", true, false, ACT_FINE, 0, NULL },
	{ "L", true, false, ACT_SEARCH, 0, NULL },
	{ "l", true, false, ACT_NATIVE, 0, NULL },
	{ "crate-type", true, false, ACT_CRATE_TYPE, 0, NULL },
	{ "crate-name", true, true, ACT_STR, FIELD(crate_name), NULL },
	{ "edition", true, true, ACT_FINE, 0, NULL },
	{ "emit", true, false, ACT_EMIT, 0, NULL },
	{ "g", false, false, ACT_FINE, 0, NULL },
	{ "O", false, false, ACT_FINE, 0, NULL },
	{ "o", true, true, ACT_HOME, 0, "explicit output path (-o)" },
	{ "out-dir", true, true, ACT_STR, FIELD(out_dir), NULL },
	{ "test", false, true, ACT_TEST, 0, NULL },
	{ "target", true, true, ACT_STR, FIELD(target), NULL },
	{ "A", true, false, ACT_LINT, 0, NULL },
	{ "allow", true, false, ACT_LINT, 0, NULL },
	{ "W", true, false, ACT_LINT, 0, NULL },
	{ "warn", true, false, ACT_LINT, 0, NULL },
	{ "D", true, false, ACT_LINT, 0, NULL },
	{ "deny", true, false, ACT_LINT, 0, NULL },
	{ "F", true, false, ACT_LINT, 0, NULL },
	{ "forbid", true, false, ACT_LINT, 0, NULL },
	{ "force-warn", true, false, ACT_LINT, 0, NULL },
	{ "cap-lints", true, false, ACT_FINE, 0, NULL },
	{ "C", true, false, ACT_CODEGEN, 0, NULL },
	{ "codegen", true, false, ACT_CODEGEN, 0, NULL },
	{ "Z", true, false, ACT_UNSTABLE, 0, NULL },
	{ "extern", true, false, ACT_EXTERN, 0, NULL },
	{ "sysroot", true, true, ACT_STR, FIELD(sysroot), NULL },
	{ "error-format", true, true, ACT_ERROR_FORMAT, 0, NULL },
	{ "json", true, false, ACT_JSON, 0, NULL },
	{ "color", true, true, ACT_FINE, 0, NULL },
	{ "diagnostic-width", true, true, ACT_FINE, 0, NULL },
	{ "remap-path-prefix", true, false, ACT_FINE, 0, NULL },
	{ "remap-path-scope", true, false, ACT_FINE, 0, NULL },
};

_Static_assert(ARRAY_LEN(options) <= 64, "call_parse.seen has a bit for each row");

struct codegen_row {
	const char *name;
	enum act act;
	size_t field;
	const char *why;
};

/* rustc -C help, 1.95; '_' and '-' are the same in a key. */
static const struct codegen_row codegen[] = {
	{ "ar", ACT_FINE, 0, NULL },
	{ "code-model", ACT_FINE, 0, NULL },
	{ "codegen-units", ACT_FINE, 0, NULL },
	{ "collapse-macro-debuginfo", ACT_FINE, 0, NULL },
	{ "control-flow-guard", ACT_FINE, 0, NULL },
	{ "debug-assertions", ACT_FINE, 0, NULL },
	{ "debuginfo", ACT_FINE, 0, NULL },
	{ "default-linker-libraries", ACT_FINE, 0, NULL },
	{ "dlltool", ACT_HOME, 0, "-C dlltool names a program" },
	{ "dwarf-version", ACT_FINE, 0, NULL },
	{ "embed-bitcode", ACT_FINE, 0, NULL },
	{ "extra-filename", ACT_STR, FIELD(extra_filename), NULL },
	{ "force-frame-pointers", ACT_FINE, 0, NULL },
	{ "force-unwind-tables", ACT_FINE, 0, NULL },
	{ "help", ACT_PROBE, 0, NULL },
	{ "incremental", ACT_STR, FIELD(incremental), NULL },
	{ "inline-threshold", ACT_FINE, 0, NULL },
	/* instrumented proc-macros write .profraw files while they run inside the compiler */
	{ "instrument-coverage", ACT_HOME_SWITCH, 0, "instrument-coverage" },
	{ "jump-tables", ACT_FINE, 0, NULL },
	{ "link-arg", ACT_LINK_ARG, 0, NULL },
	{ "link-args", ACT_LINK_ARGS, 0, NULL },
	{ "link-dead-code", ACT_FINE, 0, NULL },
	{ "link-self-contained", ACT_PROJECT, 0, NULL },
	{ "linker", ACT_LINKER, FIELD(linker), NULL },
	{ "linker-features", ACT_PROJECT, 0, NULL },
	{ "linker-flavor", ACT_FLAVOR, 0, NULL },
	{ "linker-plugin-lto", ACT_PLUGIN_LTO, 0, NULL },
	{ "llvm-args", ACT_HOME, 0, "-C llvm-args" },
	{ "lto", ACT_LTO, 0, NULL },
	{ "metadata", ACT_FINE, 0, NULL },
	{ "no-prepopulate-passes", ACT_FINE, 0, NULL },
	{ "no-redzone", ACT_FINE, 0, NULL },
	{ "no-stack-check", ACT_FINE, 0, NULL },
	{ "no-vectorize-loops", ACT_FINE, 0, NULL },
	{ "no-vectorize-slp", ACT_FINE, 0, NULL },
	{ "opt-level", ACT_FINE, 0, NULL },
	{ "overflow-checks", ACT_FINE, 0, NULL },
	{ "panic", ACT_FINE, 0, NULL },
	{ "passes", ACT_HOME, 0, "-C passes" },
	{ "prefer-dynamic", ACT_FINE, 0, NULL },
	{ "profile-generate", ACT_HOME, 0, "profile-generate" },
	{ "profile-use", ACT_HOME, 0, "profile-use names a file" },
	{ "relocation-model", ACT_FINE, 0, NULL },
	{ "relro-level", ACT_FINE, 0, NULL },
	{ "remark", ACT_HOME, 0, "-C remark" },
	/* the path is relative to where the dependencies are, and in a job they are elsewhere */
	{ "rpath", ACT_HOME_SWITCH, 0, "-C rpath" },
	{ "save-temps", ACT_HOME_SWITCH, 0, "save-temps" },
	{ "soft-float", ACT_FINE, 0, NULL },
	{ "split-debuginfo", ACT_FINE, 0, NULL },
	{ "strip", ACT_FINE, 0, NULL },
	{ "symbol-mangling-version", ACT_FINE, 0, NULL },
	{ "target-cpu", ACT_CPU, 0, NULL },
	{ "target-feature", ACT_FINE, 0, NULL },
	{ "unsafe-allow-abi-mismatch", ACT_FINE, 0, NULL },
};

/* -Z keys that change nothing but what their name says, deterministically, and read no file. */
static const char *const unstable_fine[] = {
	"allow-features",
	"force-unstable-if-unmarked",
	"inline-mir",
	"macro-backtrace",
	"mir-opt-level",
	"share-generics",
	"unstable-options",
};

/* The first thing not understood decides. */
int
call_unknown(struct call_parse *p, const char *what, const char *arg)
{
	struct rustc_call *c = p->c;
	char text[160];

	if (c->why)
		return 0;
	snprintf(text, sizeof(text), "%s: %.100s", what, arg);
	c->why = strdup(text);
	return c->why ? 0 : -ENOMEM;
}

static void
home(struct rustc_call *c, const char *why)
{
	if (!c->home)
		c->home = why;
}

static int
set_str(struct call_parse *p, size_t field, const char *value)
{
	char **s = (char **)(void *)((char *)p->c + field), *copy;

	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	free(*s);
	*s = copy;
	return 0;
}

static int
add_split(struct strv *list, const char *value, char sep)
{
	for (;;) {
		const char *end = strchrnul(value, sep);
		int r;

		if (end > value || sep == ',') {
			r = strv_addn(list, value, (size_t)(end - value));
			if (r < 0)
				return r;
		}
		if (!*end)
			return 0;
		value = end + 1;
	}
}

static bool
has_word(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (;;) {
		const char *end = strchrnul(list, ',');

		if ((size_t)(end - list) == n && memcmp(list, word, n) == 0)
			return true;
		if (!*end)
			return false;
		list = end + 1;
	}
}

static int
add_extern(struct call_parse *p, const char *value)
{
	struct rustc_call *c = p->c;
	struct call_extern *v, e = { NULL, NULL };
	const char *eq = strchrnul(value, '=');

	v = reallocarray(c->externs, c->n_externs + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	c->externs = v;
	e.name = strndup(value, (size_t)(eq - value));
	if (*eq)
		e.path = strdup(eq + 1);
	if (!e.name || (*eq && !e.path)) {
		free(e.name);
		free(e.path);
		return -ENOMEM;
	}
	c->externs[c->n_externs++] = e;
	return 0;
}

static int
add_search(struct call_parse *p, const char *value)
{
	static const char *const kinds[] = { "dependency", "crate", "native", "framework", "all" };
	struct rustc_call *c = p->c;
	struct call_lib *v, l = { NULL, NULL };
	const char *kind = "all", *path = value;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		size_t n = strlen(kinds[i]);

		if (starts_with(value, kinds[i]) && value[n] == '=') {
			kind = kinds[i];
			path = value + n + 1;
			break;
		}
	}
	if (!*path || *path == '@') /* "@RUSTC_BUILTIN/…" means the sysroot */
		return call_unknown(p, "search path", value);
	v = reallocarray(c->libs, c->n_libs + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	c->libs = v;
	l.kind = strdup(kind);
	l.path = strdup(path);
	if (!l.kind || !l.path) {
		free(l.kind);
		free(l.path);
		return -ENOMEM;
	}
	c->libs[c->n_libs++] = l;
	return 0;
}

/* [KIND[:MODIFIERS]=]NAME[:RENAME]; the kinds and modifiers decide what is read, so they must be
 * known. */
static int
add_native(struct call_parse *p, const char *value)
{
	static const char *const modifiers[] = { "bundle", "verbatim", "whole-archive",
		"as-needed" };
	const char *eq = strchr(value, '='), *name = eq ? eq + 1 : value;
	size_t kind = eq ? strcspn(value, ":=") : 0;

	if (!*name || (eq && !(kind == 6 && starts_with(value, "static")) &&
			      !(kind == 5 && starts_with(value, "dylib")) &&
			      !(kind == 9 && starts_with(value, "framework"))))
		return call_unknown(p, "native library", value);
	if (eq && value[kind] == ':') {
		const char *m = value + kind + 1;

		while (m < eq) {
			size_t n = strcspn(m, ",="), i;

			for (i = 0; i < ARRAY_LEN(modifiers); i++)
				if (n == strlen(modifiers[i]) + 1 &&
					memcmp(m + 1, modifiers[i], n - 1) == 0)
					break;
			if (i == ARRAY_LEN(modifiers) || (*m != '+' && *m != '-'))
				return call_unknown(p, "native library", value);
			m += n + 1;
		}
	}
	return strv_add(&p->c->native, value);
}

static bool
is_project_link_arg(const char *arg)
{
	return starts_with(arg, "-fuse-ld") || starts_with(arg, "-B") ||
	       starts_with(arg, "--ld-path") || starts_with(arg, "-ld-path");
}

static bool
is_bool(const char *v)
{
	static const char *const words[] = { "y", "yes", "on", "true", "n", "no", "off", "false" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (streq(v, words[i]))
			return true;
	return false;
}

static bool
is_no(const char *v)
{
	return streq(v, "n") || streq(v, "no") || streq(v, "off") || streq(v, "false");
}

static int
codegen_act(struct call_parse *p, const struct codegen_row *row, const char *arg, const char *v)
{
	struct rustc_call *c = p->c;

	/* a switch (-C lto) stands for yes; where a text is wanted rustc refuses its absence */
	if (!v &&
		(row->act == ACT_STR || row->act == ACT_LINKER || row->act == ACT_LINK_ARG ||
			row->act == ACT_LINK_ARGS || row->act == ACT_CPU || row->act == ACT_FLAVOR))
		return call_unknown(p, "option without its value", arg);
	switch (row->act) {
	case ACT_PROBE:
		p->probe = true;
		return 0;
	case ACT_HOME_SWITCH:
		if (v && is_no(v))
			return 0;
		home(c, row->why);
		return 0;
	case ACT_HOME:
		home(c, row->why);
		return 0;
	case ACT_STR:
		return set_str(p, row->field, v);
	case ACT_PROJECT:
		c->project_linker = true;
		return 0;
	case ACT_LINKER:
		c->project_linker = true;
		return set_str(p, row->field, v);
	case ACT_FLAVOR:
		c->project_linker = true;
		if (!streq(v, "gcc") && !streq(v, "gnu-cc"))
			home(c, "a linker flavor other than gcc");
		return 0;
	case ACT_CPU:
		if (streq(v, "native"))
			home(c, "target-cpu=native");
		return 0;
	case ACT_LTO:
		p->lto = !v || !(is_no(v));
		return 0;
	case ACT_PLUGIN_LTO:
		if (v && !is_bool(v))
			home(c, "linker-plugin-lto names a file");
		return 0;
	case ACT_LINK_ARG:
		c->project_linker |= is_project_link_arg(v);
		return strv_add(&c->link_args, v);
	case ACT_LINK_ARGS: {
		size_t first = c->link_args.n;
		int r = add_split(&c->link_args, v, ' ');

		for (size_t i = first; r == 0 && i < c->link_args.n; i++)
			c->project_linker |= is_project_link_arg(c->link_args.v[i]);
		return r;
	}
	default:
		return 0;
	}
}

static int
parse_codegen(struct call_parse *p, const char *arg)
{
	const char *eq = strchrnul(arg, '=');
	size_t n = (size_t)(eq - arg);
	char key[64];

	if (n >= sizeof(key))
		return call_unknown(p, "unknown option -C", arg);
	for (size_t i = 0; i < n; i++)
		key[i] = arg[i] == '_' ? '-' : arg[i];
	key[n] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(codegen); i++)
		if (streq(codegen[i].name, key))
			return codegen_act(p, &codegen[i], arg, *eq ? eq + 1 : NULL);
	return call_unknown(p, "unknown option -C", arg);
}

static int
parse_unstable(struct call_parse *p, const char *arg)
{
	size_t n = strcspn(arg, "=");

	if (streq(arg, "help")) {
		p->probe = true;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(unstable_fine); i++)
		if (strlen(unstable_fine[i]) == n && memcmp(arg, unstable_fine[i], n) == 0)
			return 0;
	return call_unknown(p, "option -Z", arg);
}

static int
parse_print(struct call_parse *p, const char *v)
{
	/* these two are printed by a compile on its way; all others stand for one (rustc stops) */
	if (streq(v, "native-static-libs") || streq(v, "link-args") ||
		starts_with(v, "native-static-libs=") || starts_with(v, "link-args="))
		p->codegen_print = true;
	else
		p->probe = true;
	return 0;
}

static int
option_act(struct call_parse *p, const struct option_row *row, const char *arg, const char *v)
{
	struct rustc_call *c = p->c;
	uint64_t bit = UINT64_C(1) << (row - options);

	if (row->once && (p->seen & bit))
		return call_unknown(p, "option given twice", arg);
	p->seen |= bit;
	switch (row->act) {
	case ACT_PROBE:
		p->probe = true;
		return 0;
	case ACT_HOME:
		home(c, row->why);
		return 0;
	case ACT_STR:
		return set_str(p, row->field, v);
	case ACT_LINT:
		if (streq(v, "help"))
			p->probe = true;
		return 0;
	case ACT_CODEGEN:
		return parse_codegen(p, v);
	case ACT_UNSTABLE:
		return parse_unstable(p, v);
	case ACT_PRINT:
		return parse_print(p, v);
	case ACT_EMIT:
		return add_split(&c->emit, v, ',');
	case ACT_CRATE_TYPE:
		return add_split(&c->crate_types, v, ',');
	case ACT_EXTERN:
		return add_extern(p, v);
	case ACT_SEARCH:
		return add_search(p, v);
	case ACT_NATIVE:
		return add_native(p, v);
	case ACT_TEST:
		c->test = true;
		return 0;
	case ACT_ERROR_FORMAT:
		p->error_json = streq(v, "json");
		return 0;
	case ACT_JSON:
		p->artifacts |= has_word(v, "artifacts");
		return 0;
	default:
		return 0;
	}
}

static const struct option_row *
find_option(const char *name, size_t n, bool is_short)
{
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (strlen(options[i].name) == n && memcmp(options[i].name, name, n) == 0 &&
			(n == 1) == is_short)
			return &options[i];
	return NULL;
}

/* One long option; *ret_used: whether the next argument was its value. */
static int
parse_long(struct call_parse *p, const char *arg, const char *next, bool *ret_used)
{
	const char *name = arg + 2, *eq = strchrnul(name, '=');
	const struct option_row *row = find_option(name, (size_t)(eq - name), false);

	if (!row)
		return call_unknown(p, "unknown option", arg);
	if (!row->value)
		return *eq ? call_unknown(p, "option with a value", arg)
			   : option_act(p, row, arg, NULL);
	if (*eq)
		return option_act(p, row, arg, eq + 1);
	if (!next)
		return call_unknown(p, "option without its value", arg);
	*ret_used = true;
	return option_act(p, row, arg, next);
}

static int
parse_short(struct call_parse *p, const char *arg, const char *next, bool *ret_used)
{
	for (const char *s = arg + 1; *s; s++) {
		const struct option_row *row = find_option(s, 1, true);
		int r;

		if (!row)
			return call_unknown(p, "unknown option", arg);
		if (!row->value) {
			r = option_act(p, row, arg, NULL);
			if (r < 0)
				return r;
			continue;
		}
		if (s[1])
			return option_act(p, row, arg, s + 1);
		if (!next)
			return call_unknown(p, "option without its value", arg);
		*ret_used = true;
		return option_act(p, row, arg, next);
	}
	return 0;
}

int
call_parse_options(struct call_parse *p)
{
	char **v = p->c->args.v;
	size_t n = p->c->args.n;

	for (size_t i = 0; i < n; i++) {
		bool used = false;
		int r;

		if (streq(v[i], "--")) {
			for (i++; i < n; i++)
				if ((r = strv_add(&p->free_args, v[i])) < 0)
					return r;
			break;
		}
		if (v[i][0] != '-' || v[i][1] == '\0')
			r = strv_add(&p->free_args, v[i]);
		else if (v[i][1] == '-')
			r = parse_long(p, v[i], v[i + 1], &used);
		else
			r = parse_short(p, v[i], v[i + 1], &used);
		if (r < 0)
			return r;
		i += used;
	}
	return 0;
}
