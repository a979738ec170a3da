/* Invariant: true only where neither the version's default, nor the command line, nor an attribute
 * of the crate can make rustc speak. Where rustc may speak, only rustc knows the text. */
#include "config.h"

#include "rustc/linker_lint.h"

#include "common/buf.h"
#include "common/fs.h"
#include "rustc/option_tables.h"
#include "rustc/release.h"

#define SOURCE_MAX (16u << 20)

/* The first release that warns without being asked. */
#define WARNS_SINCE 97

/* linker_messages, linker-info */
static bool
names_the_lint(const char *text, size_t n)
{
	static const char *const names[] = { "linker_messages", "linker_info", "linker-messages",
		"linker-info" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (memmem(text, n, names[i], strlen(names[i])))
			return true;
	return false;
}

static bool
is_asked_for(const struct rustc_call *c)
{
	for (size_t i = 0; i < c->n_options; i++) {
		const struct call_option *o = &c->options[i];

		if (streq(o->row->name, "force-warn"))
			return true;
		if (o->value && names_the_lint(o->value, strlen(o->value)))
			return true;
	}
	return false;
}

/* Levels of a lint about the whole crate stand in its root alone. */
static bool
source_may_ask(const struct rustc_call *c)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;

	return !c->source || fs_read_file(c->source, SOURCE_MAX, &b) < 0 ||
	       (b.n > 0 && names_the_lint((const char *)b.p, b.n));
}

bool
linker_lint_is_silent(const struct rustc_call *c, const char *release)
{
	const char *cap = call_option_value(c, "cap-lints");

	if (is_asked_for(c))
		return false;
	if (cap && streq(cap, "allow"))
		return true;
	return !release_is_since(release, WARNS_SINCE, true) && !source_may_ask(c);
}
