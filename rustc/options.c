/* Reads the compiler's options by the tables.
 *
 * The parsing is that of rustc's own option parser (the getopts crate): options and the source may
 * come in any order, a short option's value may be joined, flags may be grouped (-gO), "--" ends
 * the options. Invariant: c->why stays NULL only when every word was understood by a row; an option
 * of a later rustc, a repeated one that rustc refuses, or a value it would refuse, sets it. */
#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "rustc/call_priv.h"

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
is_no(const char *v)
{
	return streq(v, "n") || streq(v, "no") || streq(v, "off") || streq(v, "false");
}

/* Those that are nothing without a value: rustc refuses their absence, where a switch (-C lto)
 * stands for yes. */
static bool
needs_value(enum act act)
{
	return act == ACT_STR || act == ACT_INPUT || act == ACT_LINKER || act == ACT_LINK_ARG ||
	       act == ACT_LINK_ARGS || act == ACT_CPU || act == ACT_FLAVOR ||
	       act == ACT_LLVM_ARGS || act == ACT_PASSES || act == ACT_CRATE_ATTR ||
	       act == ACT_BACKEND;
}

static int
add_link_args(struct rustc_call *c, const char *v)
{
	size_t first = c->link_args.n;
	int r = add_split(&c->link_args, v, ' ');

	for (size_t i = first; r == 0 && i < c->link_args.n; i++)
		c->project_linker |= is_project_link_arg(c->link_args.v[i]);
	return r;
}

/* Of -C and -Z. */
static int
codegen_act(struct call_parse *p, const struct codegen_row *row, const char *arg, const char *v)
{
	struct rustc_call *c = p->c;

	if (!v && needs_value(row->act))
		return call_unknown(p, "option without its value", arg);
	switch (row->act) {
	case ACT_PROBE:
		p->probe = true;
		return 0;
	case ACT_HOME_SWITCH:
		if (!v || !is_no(v))
			home(c, row->why);
		return 0;
	case ACT_HOME_LINK:
		if (!v || !is_no(v))
			c->home_link = row->why;
		return 0;
	case ACT_HOME:
		home(c, row->why);
		return 0;
	case ACT_STR:
		return set_str(p, row->field, v);
	case ACT_INPUT:
		return strv_add(&c->inputs, v);
	case ACT_PROJECT:
		c->project_linker = true;
		return 0;
	case ACT_LINKER:
	case ACT_FLAVOR:
		c->project_linker = true;
		return set_str(p, row->field, v);
	case ACT_CPU:
		c->native_cpu |= streq(v, "native");
		return 0;
	case ACT_LTO:
		p->lto = !v || !is_no(v);
		return 0;
	case ACT_LLVM_ARGS:
		if (!llvm_args_fine(v))
			home(c, row->why);
		return 0;
	case ACT_PASSES:
		if (!passes_fine(v))
			home(c, row->why);
		return 0;
	case ACT_BACKEND:
		return streq(v, "llvm") ? 0 : call_unknown(p, "option -Z", arg);
	case ACT_CRATE_ATTR:
		if (strstr(v, "crate_type"))
			return call_unknown(p, "option -Z", arg);
		return 0;
	case ACT_LINK_ARG:
		c->project_linker |= is_project_link_arg(v);
		return strv_add(&c->link_args, v);
	case ACT_LINK_ARGS:
		return add_link_args(c, v);
	default:
		return 0;
	}
}

static int
parse_codegen(struct call_parse *p, const char *arg)
{
	const char *eq = strchrnul(arg, '=');
	const struct codegen_row *row = codegen_find(arg, (size_t)(eq - arg));

	if (!row)
		return call_unknown(p, "unknown option -C", arg);
	return codegen_act(p, row, arg, *eq ? eq + 1 : NULL);
}

static int
parse_unstable(struct call_parse *p, const char *arg)
{
	const char *eq = strchrnul(arg, '=');
	const struct codegen_row *row = unstable_find(arg, (size_t)(eq - arg));

	if (!row)
		return call_unknown(p, "option -Z", arg);
	return codegen_act(p, row, arg, *eq ? eq + 1 : NULL);
}

static int
parse_print(struct call_parse *p, const char *v)
{
	/* these are printed by a compile on its way; all others stand for one (rustc stops) */
	if (streq(v, "native-static-libs"))
		return 0;
	if (streq(v, "link-args") || starts_with(v, "native-static-libs=") ||
		starts_with(v, "link-args="))
		p->codegen_print = true;
	else
		p->probe = true;
	return 0;
}

static int
add_option(struct rustc_call *c, const struct option_row *row, const char *value)
{
	size_t cap = c->cap_options ? 2 * c->cap_options : 64;
	struct call_option *v;

	if (c->n_options == c->cap_options) {
		v = reallocarray(c->options, cap, sizeof(*v));
		if (!v)
			return -ENOMEM;
		c->options = v;
		c->cap_options = cap;
	}
	c->options[c->n_options++] = (struct call_option){ row, value };
	return 0;
}

static int
option_act(struct call_parse *p, const struct option_row *row, const char *arg, const char *v)
{
	struct rustc_call *c = p->c;
	uint64_t bit = UINT64_C(1) << option_index(row);

	if (add_option(c, row, v) < 0)
		return -ENOMEM;
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

/* One long option; *ret_used: whether the next argument was its value. */
static int
parse_long(struct call_parse *p, const char *arg, const char *next, bool *ret_used)
{
	const char *name = arg + 2, *eq = strchrnul(name, '=');
	const struct option_row *row = option_find(name, (size_t)(eq - name), false);

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
		const struct option_row *row = option_find(s, 1, true);
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
