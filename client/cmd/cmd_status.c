/* dray status: what this user's builds do on this machine now: what has a slot, what waits, why. It
 * reads what they say of themselves (client/slots/notices.h), and makes nothing. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>

#include "client/cmd/cmd.h"
#include "client/far/refill.h"
#include "common/text/show.h"
#include "client/wrap/local.h"
#include "client/slots/memory.h"
#include "common/clock.h"
#include "common/fs.h"

#define NAP_MS 5
#define PERCENT 100.0 /* of hundredths */

enum doing {
	DOING_RUNS,
	DOING_UNKNOWN, /* in another PID namespace, or nothing is known */
	DOING_STOPPED,
	DOING_GONE,  /* its slot is held by what it left running */
	DOING_WAITS, /* for another that is among these */
};

static const struct {
	const char *word, *text;
	bool lent;
} doings[] = {
	[DOING_RUNS] = { "runs", "", false },
	[DOING_UNKNOWN] = { "unknown", "", false },
	[DOING_STOPPED] = { "stopped", "it is stopped; its slot is lent on", true },
	[DOING_GONE] = { "gone", "it has ended, and left something running; its slot is lent on",
		true },
	[DOING_WAITS] = { "waits", "it waits for what it started; its slot is lent on", true },
};

static const struct {
	const char *word, *text;
} reasons[NOTICE_STATES] = {
	[NOTICE_HOLDS] = { "", "" },
	[NOTICE_QUEUES] = { "queue", "others wait for a slot before it" },
	[NOTICE_ALL_TAKEN] = { "slots", "all slots are taken" },
	[NOTICE_NO_ROOM] = { "memory", "too little memory is free (local_memory)" },
	[NOTICE_UNDER_PRESSURE] = { "memory pressure", "the machine's work waits for memory" },
	[NOTICE_IO_PRESSURE] = { "io pressure", "the machine's work waits for disks" },
	[NOTICE_TWIN] = { "twin", "another process makes the same" },
	[NOTICE_FARM] = { "farm", "" },
};

struct row {
	struct notice n;
	unsigned slot; /* of a holder */
	enum doing doing;
	bool here; /* its number means a process that is seen here */
};

struct status {
	struct row *rows; /* holders first, then those that wait, the longest first */
	size_t n, n_held;
	unsigned slots;
	uint64_t need, now_ms;
	struct memory_now memory;
	size_t refills; /* that wait */
};

static void
status_done(struct status *s)
{
	free(s->rows);
}

static int
add_row(struct status *s, unsigned slot, const struct notice *n)
{
	struct row *rows = realloc(s->rows, (s->n + 1) * sizeof(*rows));
	enum proc_state state = n->process.pid ? proc_state(&n->process) : PROC_UNKNOWN;

	if (!rows)
		return -ENOMEM;
	s->rows = rows;
	s->rows[s->n++] = (struct row){ .n = *n,
		.slot = slot,
		.here = n->process.pid && n->process.place == proc_place(),
		.doing = state == PROC_RUNS	 ? DOING_RUNS
			 : state == PROC_STOPPED ? DOING_STOPPED
			 : state == PROC_GONE	 ? DOING_GONE
						 : DOING_UNKNOWN };
	return 0;
}

static int
add_holder(void *arg, unsigned slot, const struct notice *n)
{
	return add_row(arg, slot, n);
}

static int
add_waiting(void *arg, const struct notice *n)
{
	return add_row(arg, 0, n);
}

static int
by_time(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return x->n.since_ms < y->n.since_ms ? -1 : x->n.since_ms > y->n.since_ms;
}

/* A holder that stands above another one, or above one that waits. */
static void
find_parents(struct status *s)
{
	for (size_t i = 0; i < s->n_held; i++)
		for (size_t k = 0; k < s->n && s->rows[i].doing == DOING_RUNS; k++)
			if (s->rows[i].here && s->rows[k].here && s->rows[k].n.process.pid &&
				proc_is_above_of(
					s->rows[i].n.process.pid, s->rows[k].n.process.pid))
				s->rows[i].doing = DOING_WAITS;
}

static bool
any_gone(const struct status *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->rows[i].doing == DOING_GONE)
			return true;
	return false;
}

static int
gather(const struct conf *conf, struct status *s)
{
	_cleanup_(slots_closep) struct slots *slots = local_look_at_slots(conf);
	int r = 0;

	s->now_ms = clock_wall_ms();
	s->need = conf->client.local_memory;
	memory_read("", &s->memory);
	s->slots = local_slots_number(conf);
	s->refills = refill_count(conf);
	if (!slots)
		return 0;
	r = slots_each(slots, add_holder, s);
	if (r == 0 && any_gone(s)) {
		/* one that takes a slot has the lock a moment before its name is there */
		poll(NULL, 0, NAP_MS);
		s->n = 0;
		r = slots_each(slots, add_holder, s);
	}
	s->n_held = s->n;
	if (r == 0)
		r = notices_each(slots_dir(slots), add_waiting, s);
	if (r < 0)
		return r;
	if (s->n > s->n_held)
		qsort(s->rows + s->n_held, s->n - s->n_held, sizeof(*s->rows), by_time);
	find_parents(s);
	return 0;
}

static unsigned
count_lent(const struct status *s)
{
	unsigned n = 0;

	for (size_t i = 0; i < s->n_held; i++)
		n += doings[s->rows[i].doing].lent;
	return n;
}

/* Why no other slot can be taken, though not all are. */
static enum notice_state
find_lack(const struct status *s)
{
	static const enum notice_state by_lack[] = {
		[MEMORY_ENOUGH] = NOTICE_HOLDS,
		[MEMORY_NO_ROOM] = NOTICE_NO_ROOM,
		[MEMORY_UNDER_PRESSURE] = NOTICE_UNDER_PRESSURE,
		[MEMORY_IO_PRESSURE] = NOTICE_IO_PRESSURE,
	};
	unsigned used = (unsigned)s->n_held - count_lent(s);

	return used < s->slots ? by_lack[memory_lack(&s->memory, s->need, s->slots, used, 0)]
			       : NOTICE_HOLDS;
}

static uint64_t
age_ms(const struct status *s, const struct row *r)
{
	return r->n.since_ms && r->n.since_ms < s->now_ms ? s->now_ms - r->n.since_ms : 0;
}

/* ---- as JSON */

static json_t *
json_row(const struct status *s, const struct row *r)
{
	json_t *o = json_pack("{s:I, s:I, s:s, s:s, s:s}", "since_ms", (json_int_t)r->n.since_ms,
		"for_ms", (json_int_t)age_ms(s, r), "kind", r->n.kind, "what", r->n.what, "dir",
		r->n.dir);

	if (!o)
		return NULL;
	json_object_set_new(o, "pid", r->here ? json_integer(r->n.process.pid) : json_null());
	if (r->n.state == NOTICE_HOLDS)
		json_object_set_new(o, "slot", json_integer(r->slot));
	json_object_set_new(o, "state", json_string(doings[r->doing].word));
	if (*reasons[r->n.state].word)
		json_object_set_new(o, "why", json_string(reasons[r->n.state].word));
	return o;
}

static int
print_json(const struct status *s)
{
	static const char *const lists[] = { "held", "waiting", "farm" };
	_cleanup_(json_decrefp) json_t *o = json_object();
	enum notice_state lack = find_lack(s);

	json_object_set_new(o, "slots", json_integer(s->slots));
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		json_object_set_new(o, lists[i], json_array());
	for (size_t i = 0; i < s->n; i++) {
		const struct row *r = &s->rows[i];
		const char *list = i < s->n_held ? lists[0]
						 : lists[r->n.state == NOTICE_FARM ? 2 : 1];

		if (json_array_append_new(json_object_get(o, list), json_row(s, r)) < 0)
			return -ENOMEM;
	}
	json_object_set_new(
		o, "lack", lack == NOTICE_HOLDS ? json_null() : json_string(reasons[lack].word));
	json_object_set_new(o, "memory_available",
		s->memory.known ? json_integer((json_int_t)s->memory.available) : json_null());
	json_object_set_new(o, "refills", json_integer((json_int_t)s->refills));
	json_object_set_new(o, "memory_pressure", json_real(s->memory.pressure / PERCENT));
	json_object_set_new(o, "io_pressure", json_real(s->memory.io / PERCENT));
	if (!o || json_dumpf(o, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15)) < 0)
		return -ENOMEM;
	putchar('\n');
	return 0;
}

/* ---- as text */

#define COLUMNS 5

struct line {
	struct buf cells[COLUMNS];
};

static void
lines_done(struct line *lines, size_t n)
{
	for (size_t i = 0; lines && i < n; i++)
		for (size_t k = 0; k < COLUMNS; k++)
			buf_done(&lines[i].cells[k]);
	free(lines);
}

/* What a terminal shows of UTF-8, but for wide and combined characters. */
static size_t
width(const struct buf *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++)
		n += (b->p[i] & 0xc0) != 0x80;
	return n;
}

static int
fill_line(const struct status *s, const struct row *r, struct line *l)
{
	char age[SHOW_SIZE] = "?";
	const char *why = r->n.state == NOTICE_HOLDS  ? doings[r->doing].text
			  : r->doing == DOING_STOPPED ? "it is stopped"
						      : reasons[r->n.state].text;
	int e = 0;

	if (r->n.since_ms)
		show_time(age_ms(s, r) * 1000, age);
	e = buf_addf(&l->cells[0], "%s", age);
	if (e == 0)
		e = r->here ? buf_addf(&l->cells[1], "%ld", (long)r->n.process.pid)
			    : buf_adds(&l->cells[1], "-");
	if (e == 0)
		e = buf_addf(&l->cells[2], "%s ", *r->n.kind ? r->n.kind : "?");
	if (e == 0)
		e = show_text(&l->cells[2], r->n.what);
	if (e == 0)
		e = show_text(&l->cells[3], r->n.dir);
	return e == 0 ? buf_adds(&l->cells[4], why) : e;
}

static int
fill_heading(struct line *l, bool holders)
{
	static const char *const words[COLUMNS] = { "for", "process", "what", "where", "why" };
	int e = 0;

	for (size_t k = 0; e == 0 && k < (holders ? COLUMNS - 1 : COLUMNS); k++)
		e = buf_adds(&l->cells[k], words[k]);
	return e;
}

static void
print_lines(const struct line *lines, size_t n)
{
	size_t widest[COLUMNS] = { 0 };

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < COLUMNS; k++)
			widest[k] = MAX2(widest[k], width(&lines[i].cells[k]));
	for (size_t i = 0; i < n; i++) {
		size_t last = COLUMNS - 1;

		while (last > 0 && lines[i].cells[last].n == 0)
			last--;
		for (size_t k = 0; k <= last; k++) {
			const struct buf *b = &lines[i].cells[k];
			int pad = k < last || k < 2 ? (int)(widest[k] - width(b)) : 0;

			/* numbers to the right */
			printf("  %*s%s%*s", k < 2 ? pad : 0, "", b->n ? (const char *)b->p : "",
				k < 2 ? 0 : pad, "");
		}
		putchar('\n');
	}
}

/* Those of a kind: holders; that wait; that are on the farm. */
static int
print_rows(const struct status *s, const char *title, size_t from, size_t to, bool farm)
{
	size_t n = 0, room = 1 + to - from;
	struct line *lines = calloc(room, sizeof(*lines));
	int r = lines ? fill_heading(&lines[n++], !title || farm) : -ENOMEM;

	for (size_t i = from; r == 0 && i < to; i++)
		if ((s->rows[i].n.state == NOTICE_FARM) == farm)
			r = fill_line(s, &s->rows[i], &lines[n++]);
	if (r == 0 && n > 1) {
		if (title)
			printf("%s: %zu\n", title, n - 1);
		print_lines(lines, n);
	}
	lines_done(lines, room);
	return r;
}

static void
print_refills(const struct status *s)
{
	if (s->refills > 0)
		printf("to be compiled again by an idle worker, for others: %zu\n", s->refills);
}

static int
print_text(const struct status *s)
{
	unsigned lent = count_lent(s);
	enum notice_state lack = find_lack(s);
	int r;

	if (s->n == 0) {
		printf("nothing is running\n");
		print_refills(s);
		return 0;
	}
	printf("slots: %zu of %u in use", s->n_held - lent, s->slots);
	if (lent)
		printf(", and %u lent on", lent);
	putchar('\n');
	r = print_rows(s, NULL, 0, s->n_held, false);
	if (r == 0)
		r = print_rows(s, "waiting", s->n_held, s->n, false);
	if (r == 0)
		r = print_rows(s, "on the farm", s->n_held, s->n, true);
	if (r == 0 && lack != NOTICE_HOLDS)
		printf("no other slot is opened: %s\n", reasons[lack].text);
	print_refills(s);
	return r;
}

static int
run(int argc, char **argv)
{
	_cleanup_(conf_freep) struct conf *conf = NULL;
	_cleanup_(status_done) struct status s = { .n = 0 };
	bool json = false;
	const struct cmd_option options[] = { { .name = "json", .flag = &json }, { .name = NULL } };
	int args, status, r;

	if (!cmd_options(&cmd_status, argc, argv, options, 0, 0, &args, &status))
		return status;
	if (cmd_load_conf(&cmd_status, &conf) < 0)
		return CMD_FAILED;
	r = gather(conf, &s);
	if (r == 0)
		r = json ? print_json(&s) : print_text(&s);
	if (r < 0)
		cmd_error(&cmd_status, "%s", strerror(-r));
	return fflush(stdout) == 0 && r == 0 ? CMD_OK : CMD_FAILED;
}

const struct cmd cmd_status = {
	.name = "status",
	.usage = "status [--json]",
	.summary = "Show what builds do on this machine now, what waits, and why",
	.help = "  --json      as one JSON object\n"
		"  -h, --help  print this\n",
	.run = run,
};
