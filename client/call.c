/* Takes a rustc command line apart: whose it is, @file, and what follows from the options.
 *
 * Invariant: a call is CALL_UNIT only when every word of it was understood (options.c), and one
 * source file is compiled; anything else is left to the real compiler. */
#include "config.h"

#include <errno.h>

#include "client/call_priv.h"
#include "common/buf.h"
#include "common/fs.h"

#define ARGFILE_MAX (16u << 20)

/* rustc reads the arguments of @file one a line, before it looks at any option. */
static int
expand_file(struct call_parse *p, const char *path)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char *s, *end;
	int r;

	if (starts_with(path, "shell:"))
		return call_unknown(p, "argument file", path);
	r = fs_read_file(path, ARGFILE_MAX, &b);
	if (r == -ENOMEM)
		return r;
	if (r < 0 || memchr(b.n ? b.p : (const uint8_t *)"", '\0', b.n))
		return call_unknown(p, "unreadable argument file", path);
	for (s = (char *)b.p, end = s + b.n; s < end;) {
		char *nl = memchr(s, '\n', (size_t)(end - s)), *next = nl ? nl + 1 : end;
		size_t len = (size_t)((nl ? nl : end) - s);

		if (nl && len && s[len - 1] == '\r')
			len--;
		r = strv_addn(&p->c->args, s, len);
		if (r < 0)
			return r;
		s = next;
	}
	return 0;
}

/* rustc refuses arguments that are not UTF-8, and our wire carries them as protobuf strings. */
static bool
is_utf8(const char *str)
{
	const unsigned char *s = (const unsigned char *)str;

	while (*s) {
		unsigned n = *s < 0x80		       ? 0
			     : *s >= 0xc2 && *s < 0xe0 ? 1
			     : (*s & 0xf0) == 0xe0     ? 2
			     : *s >= 0xf0 && *s < 0xf5 ? 3
						       : 9;
		unsigned char first = *s++;

		if (n == 9)
			return false;
		if ((first == 0xe0 && *s < 0xa0) || (first == 0xed && *s >= 0xa0) ||
			(first == 0xf0 && *s < 0x90) || (first == 0xf4 && *s >= 0x90))
			return false;
		for (; n; n--, s++)
			if ((*s & 0xc0) != 0x80)
				return false;
	}
	return true;
}

static int
expand_args(struct call_parse *p, char **from)
{
	int r;

	for (; *from; from++) {
		r = **from == '@' ? expand_file(p, *from + 1) : strv_add(&p->c->args, *from);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < p->c->args.n; i++)
		if (!is_utf8(p->c->args.v[i]))
			return call_unknown(p, "argument", "not UTF-8");
	return 0;
}

/* Without the option it is a bin (cargo's benches without a harness), unless the crate itself says
 * otherwise, which choose.c looks for. */
static bool
has_type(const struct rustc_call *c, const char *type)
{
	if (c->test)
		return false;
	return c->crate_types.n ? strv_has(&c->crate_types, type) : streq(type, "bin");
}

static bool
has_emit(const struct rustc_call *c, const char *kind)
{
	size_t n = strlen(kind);

	for (size_t i = 0; i < c->emit.n; i++)
		if (starts_with(c->emit.v[i], kind) &&
			(c->emit.v[i][n] == '\0' || c->emit.v[i][n] == '='))
			return true;
	return false;
}

static int
check_crate_types(struct call_parse *p)
{
	static const char *const types[] = { "bin", "lib", "rlib", "dylib", "cdylib", "staticlib",
		"proc-macro" };

	for (size_t i = 0; i < p->c->crate_types.n; i++) {
		size_t j;

		for (j = 0; j < ARRAY_LEN(types); j++)
			if (streq(p->c->crate_types.v[i], types[j]))
				break;
		if (j == ARRAY_LEN(types))
			return call_unknown(p, "crate type", p->c->crate_types.v[i]);
	}
	return 0;
}

/* Draws the conclusions once all options are known. */
static int
conclude(struct call_parse *p)
{
	struct rustc_call *c = p->c;
	int r;

	c->emits_link = c->emit.n == 0 || has_emit(c, "link");
	c->emits_metadata = has_emit(c, "metadata");
	c->calls_linker = c->emits_link &&
			  (c->test || has_type(c, "bin") || has_type(c, "dylib") ||
				  has_type(c, "cdylib") || has_type(c, "proc-macro"));
	c->reads_rlibs = c->calls_linker || (c->emits_link && has_type(c, "staticlib")) ||
			 (c->emits_link && p->lto);
	c->json = p->error_json && p->artifacts;

	if (c->why)
		return 0;
	if (p->probe || (p->free_args.n == 1 && streq(p->free_args.v[0], "-"))) {
		c->kind = CALL_PROBE;
		c->why = strdup(p->probe ? "a question to the compiler" : "source from stdin");
		return c->why ? 0 : -ENOMEM;
	}
	if (p->codegen_print)
		return call_unknown(p, "a compile that prints", "--print");
	if (p->free_args.n != 1)
		return call_unknown(p, "source files", p->free_args.n ? p->free_args.v[1] : "none");
	r = check_crate_types(p);
	if (r < 0 || c->why)
		return r;
	c->source = strdup(p->free_args.v[0]);
	if (!c->source)
		return -ENOMEM;
	c->kind = CALL_UNIT;
	return 0;
}

int
call_parse(char **argv, struct rustc_call *ret)
{
	struct call_parse p = { .c = ret };
	char **from;
	int r;

	memset(ret, 0, sizeof(*ret));
	ret->kind = CALL_UNKNOWN;
	ret->argv = argv;
	ret->crate_name = strdup("");
	if (!ret->crate_name)
		return -ENOMEM;
	if (!argv || !argv[0])
		return call_unknown(&p, "no compiler", "empty command line");
	ret->driver = argv[0];
	from = argv + 1;
	if (streq(path_basename(argv[0]), "clippy-driver")) {
		ret->clippy = true;
		if (*from && streq(path_basename(*from), "rustc"))
			ret->inner_rustc = *from++;
	} else if (!streq(path_basename(argv[0]), "rustc")) {
		return call_unknown(&p, "not a compiler that dray knows", path_basename(argv[0]));
	}
	r = expand_args(&p, from);
	if (r == 0)
		r = call_parse_options(&p);
	if (r == 0)
		r = conclude(&p);
	strv_done(&p.free_args);
	return r;
}

void
call_done(struct rustc_call *c)
{
	for (size_t i = 0; i < c->n_externs; i++) {
		free(c->externs[i].name);
		free(c->externs[i].path);
	}
	for (size_t i = 0; i < c->n_libs; i++) {
		free(c->libs[i].kind);
		free(c->libs[i].path);
	}
	free(c->externs);
	free(c->libs);
	free(c->why);
	free(c->crate_name);
	free(c->source);
	free(c->out_dir);
	free(c->target);
	free(c->sysroot);
	free(c->extra_filename);
	free(c->linker);
	free(c->incremental);
	strv_done(&c->args);
	strv_done(&c->crate_types);
	strv_done(&c->emit);
	strv_done(&c->native);
	strv_done(&c->link_args);
	memset(c, 0, sizeof(*c));
}

/* A linker that is called as a linker, not as a C driver: rustc infers the flavour from its name,
 * and dray-ld stands in for C drivers only. */
static bool
is_bare_linker(const char *linker)
{
	const char *name = path_basename(linker);

	return streq(name, "ld") || starts_with(name, "ld.") || starts_with(name, "ld64") ||
	       strstr(name, "lld") || ends_with(name, "-ld") || streq(name, "link") ||
	       starts_with(name, "link.") || starts_with(name, "emcc") ||
	       ends_with(name, "-linker");
}

static const char *
target_home_reason(const struct rustc_call *c)
{
	if (!c->target)
		return NULL;
	if (ends_with(c->target, ".json") || strchr(c->target, '/'))
		return "target described by a file";
	if (c->calls_linker && !strstr(c->target, "-linux-gnu") &&
		!strstr(c->target, "-linux-musl"))
		return "a target whose linker dray does not know";
	return NULL;
}

const char *
call_home_reason(const struct rustc_call *c)
{
	static const char *const kinds[] = { "dep-info", "metadata", "link" };

	if (c->incremental)
		return "incremental";
	if (c->home)
		return c->home;
	if (c->sysroot)
		return "--sysroot";
	if (!c->out_dir)
		return "no --out-dir";
	if (!*c->crate_name)
		return "no --crate-name";
	for (size_t i = 0; i < c->emit.n; i++) {
		size_t j;

		if (strchr(c->emit.v[i], '='))
			return "explicit output path (--emit)";
		for (j = 0; j < ARRAY_LEN(kinds); j++)
			if (streq(c->emit.v[i], kinds[j]))
				break;
		if (j == ARRAY_LEN(kinds))
			return "an --emit kind other than dep-info, metadata, link";
	}
	if (c->calls_linker && c->linker && is_bare_linker(c->linker))
		return "a linker that is not a C driver";
	return target_home_reason(c);
}

const char *
call_kind_name(const struct rustc_call *c)
{
	static const char *const by_weight[] = { "proc-macro", "cdylib", "dylib", "bin",
		"staticlib" };

	if (c->kind == CALL_PROBE)
		return "probe";
	if (c->kind == CALL_UNIT && !c->emits_link)
		return "check";
	if (c->test)
		return "test";
	if (has_type(c, "bin") && c->crate_name && starts_with(c->crate_name, "build_script_"))
		return "build-script";
	for (size_t i = 0; i < ARRAY_LEN(by_weight); i++)
		if (has_type(c, by_weight[i]))
			return by_weight[i];
	return "lib";
}
