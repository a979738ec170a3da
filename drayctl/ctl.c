/* What all of drayctl's commands share. */
#include "config.h"

#include "drayctl/ctl.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/digest.h"
#include "common/log/joblog.h"
#include "common/text/show.h"
#include "drayctl/grid.h"

#define SECONDS_MAX (365u * 86400u) /* of a duration, whatever its unit */
#define TEXT_MAX 1024
#define LONGEST_S 1e7
#define MS_PER_S 1000.0

/* ---- what is said */

void
ctl_error(const struct ctl *c, const char *fmt, ...)
{
	_cleanup_(freep) char *text = NULL;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (r < 0)
		text = NULL;
	if (!text || show_text(&b, text) < 0 || buf_add(&b, "", 1) < 0)
		return;
	fprintf(stderr, "drayctl%s%s: %s\n", c->command ? " " : "",
		c->command ? c->command->name : "", (const char *)b.p);
}

bool
ctl_seconds(const struct ctl *c, const char *option, const char *text, uint64_t *ret_ms)
{
	char *end;
	double v;

	errno = 0;
	v = strtod(text, &end);
	if (errno || end == text || *end || !isfinite(v) || v < 0 || v > LONGEST_S) {
		ctl_error(c, "%s: \"%s\" is no number of seconds", option, text);
		return false;
	}
	*ret_ms = (uint64_t)(v * MS_PER_S);
	return true;
}

uint64_t
ctl_duration(const struct ctl *c, const char *option, const char *text)
{
	static const struct {
		char letter;
		uint64_t s;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (!errno && *text >= '0' && *text <= '9' && *end == units[i].letter && !end[1] &&
			n > 0 && n <= SECONDS_MAX)
			return n * units[i].s;
	ctl_error(c, "%s: \"%s\" is no time like 90s, 30m, 12h or 7d", option, text);
	return 0;
}

bool
ctl_sign_key(const struct ctl *c, const char *option, const char *text, uint8_t ret[SIGN_KEY_SIZE])
{
	struct digest d;

	/* a key is as long as a digest, and written alike */
	if (digest_parse(text, &d) == 0) {
		memcpy(ret, d.b, SIGN_KEY_SIZE);
		return true;
	}
	ctl_error(c,
		"%s: a signing key is 64 hex digits in small letters: sign-public of an "
		"identity",
		option);
	return false;
}

/* ---- the coordinator */

static int
status_of(int r)
{
	return r == -ENOTCONN || r == -ETIMEDOUT ? CTL_NO_COORDINATOR : CTL_FAILED;
}

int
ctl_link(struct ctl *c)
{
	_cleanup_(freep) char *why = NULL;
	int r = c->link ? 0 : link_open(c->conf, &c->where, &c->link, &why);

	if (r == 0)
		return CTL_OK;
	ctl_error(c, "%s", why ? why : strerror(-r));
	return status_of(r);
}

int
ctl_ask_for(struct ctl *c, enum wire_type type, const ProtobufCMessage *body, enum wire_type answer,
	uint64_t wait_ms, struct wire_msg *ret)
{
	_cleanup_(freep) char *why = NULL;
	uint32_t number = 0;
	int r, status = ctl_link(c);

	if (status != CTL_OK)
		return status;
	r = link_send(c->link, type, body, &number);
	if (r == 0)
		r = link_wait(c->link, answer, number, wait_ms, -1, ret, &why);
	if (r == 0)
		return CTL_OK;
	ctl_error(c, "%s",
		why		  ? why
		: r == -ETIMEDOUT ? "the coordinator does not answer"
				  : strerror(-r));
	return status_of(r);
}

int
ctl_ask(struct ctl *c, enum wire_type type, const ProtobufCMessage *body, enum wire_type answer,
	struct wire_msg *ret)
{
	return ctl_ask_for(c, type, body, answer, LINK_ANSWER_MS, ret);
}

int
ctl_look(struct ctl *c, const Dray__AdminLook *what, struct wire_msg *ret)
{
	return ctl_ask(c, WIRE_ADMIN_LOOK, &what->base, WIRE_ADMIN_VIEW, ret);
}

int
ctl_show(struct ctl *c, const Dray__AdminLook *what, ctl_print_fn *json, ctl_print_fn *text)
{
	_cleanup_(wire_msg_done) struct wire_msg m = WIRE_MSG_INIT;
	int status = ctl_look(c, what, &m);

	if (status != CTL_OK)
		return status;
	return (c->given & CTL_JSON ? json : text)(c, (const Dray__AdminView *)m.body);
}

int
ctl_act(struct ctl *c, const Dray__AdminAct *m, unsigned *ret_running)
{
	_cleanup_(wire_msg_done) struct wire_msg msg = WIRE_MSG_INIT;
	const Dray__AdminDone *done;
	int status = ctl_ask(c, WIRE_ADMIN_ACT, &m->base, WIRE_ADMIN_DONE, &msg);

	if (status != CTL_OK)
		return status;
	done = (const Dray__AdminDone *)msg.body;
	if (ret_running)
		*ret_running = done->running;
	if (done->verdict != DRAY__VERDICT__VERDICT_NONE) {
		ctl_error(c, "%s", done->text);
		return CTL_FAILED;
	}
	if (c->given & CTL_JSON)
		return ctl_print_json(c, json_pack("{s:o, s:o}", "done", ctl_json_text(done->text),
						 "running", ctl_json_number(done->running)));
	else {
		_cleanup_(buf_done) struct buf b = BUF_INIT;

		if (show_text(&b, done->text) == 0 && b.n)
			printf("%s\n", (const char *)b.p);
	}
	return ctl_flush(c);
}

/* ---- JSON */

json_t *
ctl_json_text(const char *s)
{
	return joblog_text(s, TEXT_MAX);
}

json_t *
ctl_json_number(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

/* JSON_ENSURE_ASCII: no control character leaves as it is. */
static int
print_json(struct ctl *c, json_t *o, size_t flags)
{
	int r = o ? json_dumpf(o, stdout, flags | JSON_ENSURE_ASCII) : -1;

	json_decref(o);
	if (r < 0) {
		ctl_error(c, "out of memory, or it cannot be written");
		return CTL_FAILED;
	}
	putchar('\n');
	return ctl_flush(c);
}

int
ctl_print_json(struct ctl *c, json_t *o)
{
	return print_json(c, o, JSON_INDENT(2));
}

int
ctl_print_json_line(struct ctl *c, json_t *o)
{
	return print_json(c, o, JSON_COMPACT);
}

int
ctl_flush(struct ctl *c)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return CTL_OK;
	ctl_error(c, "cannot write: %s", strerror(errno));
	return CTL_FAILED;
}

int
ctl_print_grid(struct ctl *c, const struct grid *g, const char *none, uint64_t more)
{
	bool empty = g && none && grid_rows(g) == 0;

	if (!g || grid_is_cut(g) || (!empty && grid_print(g, grid_width(stdout), stdout) < 0)) {
		ctl_error(c, "out of memory");
		return CTL_FAILED;
	}
	if (empty)
		puts(none);
	if (more)
		printf("and %llu more\n", (unsigned long long)more);
	return ctl_flush(c);
}
