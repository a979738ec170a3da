/* Takes a rustc command line apart: whose it is, @file, and what follows from the options.
 *
 * Invariant: a call is CALL_UNIT only when every word of it was understood (options.c), and one
 * source file is compiled; anything else is left to the real compiler. */
#include "config.h"

#include <errno.h>
#include <limits.h>

#include "rustc/call_priv.h"
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
	for (size_t i = 0; i < p->c->args.n; i++) {
		if (!is_utf8(p->c->args.v[i]))
			return call_unknown(p, "argument", "not UTF-8");
		/* from a file it is an argument like others; by itself it would be a file again */
		if (p->c->args.v[i][0] == '@')
			return call_unknown(p, "argument", p->c->args.v[i]);
	}
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
		/* RUSTC_WORKSPACE_WRAPPER: what it makes of the call only it knows */
		return call_unknown(
			&p, "a program that dray does not know", path_basename(argv[0]));
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
	free(c->options);
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
	free(c->flavor);
	free(c->incremental);
	strv_done(&c->args);
	strv_done(&c->crate_types);
	strv_done(&c->emit);
	strv_done(&c->native);
	strv_done(&c->inputs);
	strv_done(&c->link_args);
	memset(c, 0, sizeof(*c));
}

static bool
carries(const char *name, const char *crate, const char *extra)
{
	size_t n = strlen(crate), k = strlen(extra);

	return strncmp(name, crate, n) == 0 && strncmp(name + n, extra, k) == 0 &&
	       (name[n + k] == '\0' || name[n + k] == '.');
}

const char *
call_option_value(const struct rustc_call *c, const char *name)
{
	const char *value = NULL;

	for (size_t i = 0; i < c->n_options; i++)
		if (streq(c->options[i].row->name, name))
			value = c->options[i].value;
	return value;
}

const struct call_option *
call_option_of(const struct rustc_call *c, const char *arg, size_t *at)
{
	const struct call_option *o;

	while (*at < c->n_options && !c->options[*at].value)
		++*at;
	o = *at < c->n_options ? &c->options[*at] : NULL;
	/* a value is a part of the argument that it was given in */
	if (!o || o->value < arg || o->value > arg + strlen(arg))
		return NULL;
	++*at;
	return o;
}

bool
call_is_form(const char *word, size_t n)
{
	static const char *const words[] = { "diagnostic-rendered-ansi", "diagnostic-short",
		"diagnostic-unicode" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strlen(words[i]) == n && memcmp(words[i], word, n) == 0)
			return true;
	return false;
}

char *
call_form(const struct rustc_call *c)
{
	_cleanup_(strv_done) struct strv words = STRV_INIT;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	int r = buf_adds(&b, "");

	for (size_t i = 0; i < c->n_options; i++) {
		const char *v = c->options[i].row->act == ACT_JSON ? c->options[i].value : "";

		while (r == 0 && *v) {
			size_t n = strcspn(v, ",");

			if (call_is_form(v, n))
				r = strv_addn(&words, v, n);
			v += n + (v[n] == ',');
		}
	}
	strv_sort_unique(&words);
	for (size_t i = 0; r == 0 && i < words.n; i++)
		r = buf_addf(&b, "%s%s", i > 0 ? "," : "", words.v[i]);
	return r < 0 ? NULL : (char *)steal_ptr(b.p);
}

/* Options of -C that change nothing of it. LTO, packed debuginfo (it looks for objects in rlibs)
 * and what is not known here are not among them. */
static bool
is_plain_codegen(const char *value)
{
	static const char *const names[] = { "code-model", "codegen-units", "debug-assertions",
		"debuginfo", "default-linker-libraries", "embed-bitcode", "extra-filename",
		"force-frame-pointers", "force-unwind-tables", "incremental", "link-arg",
		"link-args", "link-dead-code", "link-self-contained", "linker", "linker-flavor",
		"lto=no", "lto=off", "metadata", "opt-level", "overflow-checks", "panic",
		"prefer-dynamic", "relocation-model", "split-debuginfo=off",
		"split-debuginfo=unpacked", "strip", "symbol-mangling-version", "target-cpu",
		"target-feature" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		const char *name = names[i];
		size_t k = 0;

		/* '_' is as good as '-' */
		while (name[k] && (value[k] == name[k] || (value[k] == '_' && name[k] == '-')))
			k++;
		if (!name[k] && (!value[k] || (value[k] == '=' && !strchr(name, '='))))
			return true;
	}
	return false;
}

static bool
is_embed_metadata(const char *value)
{
	return streq(value, "embed-metadata=no") || streq(value, "embed_metadata=no");
}

bool
call_takes_metadata(const struct rustc_call *c)
{
	static const char *const types[] = { "bin", "cdylib", "dylib", "proc-macro" };

	for (size_t i = 0; i < c->crate_types.n; i++) {
		size_t k = 0;

		while (k < ARRAY_LEN(types) && !streq(types[k], c->crate_types.v[i]))
			k++;
		if (k == ARRAY_LEN(types))
			return false;
	}
	for (size_t i = 0; i < c->n_options; i++) {
		const struct call_option *o = &c->options[i];

		/* the rmeta beside is read, too */
		if ((o->row->act == ACT_UNSTABLE && !is_embed_metadata(o->value)) ||
			(o->row->act == ACT_CODEGEN && !is_plain_codegen(o->value)))
			return false;
	}
	/* elsewhere debuginfo is packed by default */
	return !c->target || strstr(c->target, "-linux-");
}

bool
call_splits_metadata(const struct rustc_call *c)
{
	for (size_t i = 0; i < c->n_options; i++)
		if (c->options[i].row->act == ACT_UNSTABLE &&
			is_embed_metadata(c->options[i].value))
			return true;
	return false;
}

bool
call_output_name_ok(const char *crate, const char *extra, const char *name)
{
	if (!path_is_name(name) || strlen(name) > NAME_MAX || !*crate)
		return false;
	if (!extra)
		extra = "";
	return carries(name, crate, extra) ||
	       (starts_with(name, "lib") && carries(name + 3, crate, extra));
}

bool
call_target_is_file(const struct rustc_call *c)
{
	return c->target && (ends_with(c->target, ".json") || strchr(c->target, '/'));
}

/* What rustc calls when only the flavour is given (rustc_codegen_ssa::back::link,
 * linker_and_flavor).
 */
const char *
call_flavor_linker(const char *flavor)
{
	static const char *const cc[] = { "gcc", "gnu-cc", "gnu-lld-cc", "unix-cc" };
	static const char *const lld[] = { "ld.lld", "gnu-lld" };
	static const char *const ld[] = { "ld", "gnu", "unix" };

	for (size_t i = 0; i < ARRAY_LEN(cc); i++)
		if (streq(flavor, cc[i]))
			return "cc";
	for (size_t i = 0; i < ARRAY_LEN(lld); i++)
		if (streq(flavor, lld[i]))
			return "lld";
	for (size_t i = 0; i < ARRAY_LEN(ld); i++)
		if (streq(flavor, ld[i]))
			return "ld";
	return NULL;
}

/* The default linker of rustc's own targets: cc on Linux, the lld it brings on bare metal. */
static const char *
target_linker(const char *target)
{
	if (strstr(target, "-linux-gnu") || strstr(target, "-linux-musl"))
		return "cc";
	if (starts_with(target, "wasm32-") || starts_with(target, "wasm32v1-") ||
		ends_with(target, "-none") || strstr(target, "-none-"))
		return "rust-lld";
	return NULL;
}

const char *
call_linker(const struct rustc_call *c)
{
	if (c->linker)
		return c->linker;
	if (c->flavor)
		return call_flavor_linker(c->flavor);
	if (!c->target)
		return "cc";
	return call_target_is_file(c) ? NULL : target_linker(c->target);
}

/* dray-ld reads command lines as gcc, clang and the ld of GNU or LLVM take them. */
static bool
is_foreign_linker(const char *linker)
{
	const char *name = path_basename(linker);

	return starts_with(name, "ld64") || streq(name, "link") || starts_with(name, "link.") ||
	       streq(name, "lld-link") || starts_with(name, "emcc") || ends_with(name, "-linker");
}

static const char *
linker_home_reason(const struct rustc_call *c)
{
	if (!c->calls_linker)
		return NULL;
	if (c->home_link)
		return c->home_link;
	if (c->flavor && !call_flavor_linker(c->flavor))
		return "a linker flavor that dray does not know";
	if (c->linker && is_foreign_linker(c->linker))
		return "a linker that dray does not know";
	if (!call_linker(c) && !call_target_is_file(c))
		return "a target whose linker dray does not know";
	return NULL;
}

/* With a name that rustc chooses, in the out-dir. */
static const char *
emit_home_reason(const struct rustc_call *c)
{
	static const char *const kinds[] = { "dep-info", "metadata", "link", "asm", "llvm-ir",
		"llvm-bc", "thin-link-bitcode", "mir", "obj" };

	for (size_t i = 0; i < c->emit.n; i++) {
		size_t j;

		if (strchr(c->emit.v[i], '='))
			return "explicit output path (--emit)";
		for (j = 0; j < ARRAY_LEN(kinds); j++)
			if (streq(c->emit.v[i], kinds[j]))
				break;
		if (j == ARRAY_LEN(kinds))
			return "an --emit kind that dray does not know";
	}
	return NULL;
}

const char *
call_home_reason(const struct rustc_call *c)
{
	const char *why;

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
	why = emit_home_reason(c);
	return why ? why : linker_home_reason(c);
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
