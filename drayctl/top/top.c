/* drayctl top's screen. Invariant: what is drawn depends on the struct alone, and no line of it is
 * wider than the screen, or holds a control character. */
#include "config.h"

#include "drayctl/top/top.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/text/show.h"
#include "drayctl/event_line.h"
#include "drayctl/grid.h"
#include "drayctl/words.h"

#define FILTER_MAX 65
#define MESSAGE_MAX 300
#define NAME_MAX_SHOWN 65
#define HEAD_LINES 5  /* of sums, and a blank one */
#define LEAST_LINES 3 /* of a part: its heads and two rows */
#define BAR_WIDTH 20
#define PERCENT 100
#define MS_US 1000
#define MS_PER_S 1000.0
#define PAGE 10

enum worker_sort { BY_NAME, BY_USED, BY_LOAD, BY_ENDED, BY_FAILED, WORKER_SORTS };
enum job_sort { BY_HELD, BY_AGE, BY_CRATE, BY_CLIENT, JOB_SORTS };

static const char *const worker_sorts[WORKER_SORTS] = { "name", "used", "load", "ended", "failed" };
static const char *const job_sorts[JOB_SORTS] = { "in slot", "age", "crate", "client" };

/* Counts of one view; rates come from two. */
struct sums {
	uint64_t at_ms, ended, found, absent, fetched, bytes;
};

struct top {
	struct wire_msg msg;
	const Dray__AdminView *view; /* NULL: none has come */
	struct sums now, before;
	enum worker_sort worker_sort;
	enum job_sort job_sort;
	char filter[FILTER_MAX];
	bool typing; /* the filter is being typed */
	bool on_jobs, follows;
	char chosen[NAME_MAX_SHOWN];
	size_t first_worker, first_job; /* that are drawn */
	char message[MESSAGE_MAX];
	char *events[TOP_EVENTS_KEPT]; /* a ring: the newest is before `next_event` */
	size_t next_event;
	uint64_t last_event;
};

int
top_new(struct top **ret)
{
	*ret = calloc(1, sizeof(**ret));
	if (*ret)
		(*ret)->msg = (struct wire_msg)WIRE_MSG_INIT;
	return *ret ? 0 : -ENOMEM;
}

void
top_free(struct top *t)
{
	if (!t)
		return;
	wire_msg_done(&t->msg);
	for (size_t i = 0; i < TOP_EVENTS_KEPT; i++)
		free(t->events[i]);
	free(t);
}

void
top_freep(struct top **t)
{
	top_free(*t);
	*t = NULL;
}

/* ---- what comes */

void
top_take_view(struct top *t, struct wire_msg *m)
{
	const Dray__AdminView *v;

	wire_msg_done(&t->msg);
	t->msg = *m;
	*m = (struct wire_msg)WIRE_MSG_INIT;
	v = t->view = (const Dray__AdminView *)t->msg.body;
	/* another coordinator, or one that was started anew: its counts are others */
	if (v->ended < t->now.ended || v->at_ms <= t->now.at_ms)
		t->now = (struct sums){ 0 };
	t->before = t->now;
	t->now = (struct sums){ v->at_ms, v->ended, v->cache_found, v->cache_absent,
		v->store_fetched, v->cache_bytes };
}

void
top_take_events(struct top *t, const Dray__AdminEvents *m)
{
	t->last_event = m->next;
	for (size_t i = 0; i < m->n_event; i++) {
		struct buf b = BUF_INIT;

		if (event_line(m->event[i], &b) < 0) {
			buf_done(&b);
			continue;
		}
		free(t->events[t->next_event]);
		t->events[t->next_event] = (char *)b.p;
		t->next_event = (t->next_event + 1) % TOP_EVENTS_KEPT;
	}
}

void
top_say(struct top *t, const char *fmt, ...)
{
	_cleanup_(freep) char *text = NULL;
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (r < 0) {
		text = NULL;
		return;
	}
	if (show_text(&b, text) == 0)
		snprintf(t->message, sizeof(t->message), "%s", b.n ? (const char *)b.p : "");
}

/* ---- rows: which, in what order */

static bool
has(const char *text, const char *part)
{
	return strcasestr(text, part) != NULL;
}

static bool
worker_wanted(const struct top *t, const Dray__AdminWorker *w)
{
	return !*t->filter || has(w->name, t->filter) || has(words_worker_state(w), t->filter);
}

static bool
job_wanted(const struct top *t, const Dray__AdminJob *j)
{
	return !*t->filter || has(j->crate, t->filter) || has(j->worker, t->filter) ||
	       has(j->client, t->filter) || has(j->kind, t->filter);
}

static int
down(uint64_t a, uint64_t b)
{
	return a < b ? 1 : a > b ? -1 : 0;
}

static int
compare_workers(const void *a, const void *b, void *arg)
{
	const Dray__AdminWorker *x = *(Dray__AdminWorker *const *)a,
				*y = *(Dray__AdminWorker *const *)b;
	const struct top *t = arg;
	int d = t->worker_sort == BY_USED     ? down(x->used, y->used)
		: t->worker_sort == BY_LOAD   ? down(x->load_percent, y->load_percent)
		: t->worker_sort == BY_ENDED  ? down(x->ended, y->ended)
		: t->worker_sort == BY_FAILED ? down(x->failed, y->failed)
					      : 0;

	return d ? d : strcmp(x->name, y->name);
}

static int
compare_jobs(const void *a, const void *b, void *arg)
{
	const Dray__AdminJob *x = *(Dray__AdminJob *const *)a, *y = *(Dray__AdminJob *const *)b;
	const struct top *t = arg;
	int d = t->job_sort == BY_HELD	   ? down(x->held_ms, y->held_ms)
		: t->job_sort == BY_CRATE  ? strcmp(x->crate, y->crate)
		: t->job_sort == BY_CLIENT ? strcmp(x->client, y->client)
					   : 0;

	if (d == 0)
		d = down(x->age_ms, y->age_ms);
	return d ? d : strcmp(x->id, y->id);
}

/* The workers that are shown, in their order; the caller frees it. */
static size_t
list_workers(const struct top *t, const Dray__AdminWorker ***ret)
{
	size_t n = 0, all = t->view ? t->view->n_worker : 0;
	const Dray__AdminWorker **v = calloc(all + 1, sizeof(*v));

	for (size_t i = 0; v && i < all; i++)
		if (worker_wanted(t, t->view->worker[i]))
			v[n++] = t->view->worker[i];
	if (v && n > 1)
		qsort_r(v, n, sizeof(*v), compare_workers, (void *)(uintptr_t)t);
	*ret = v;
	return n;
}

static size_t
list_jobs(const struct top *t, const Dray__AdminJob ***ret)
{
	size_t n = 0, all = t->view ? t->view->n_job : 0;
	const Dray__AdminJob **v = calloc(all + 1, sizeof(*v));

	for (size_t i = 0; v && i < all; i++)
		if (job_wanted(t, t->view->job[i]))
			v[n++] = t->view->job[i];
	if (v && n > 1)
		qsort_r(v, n, sizeof(*v), compare_jobs, (void *)(uintptr_t)t);
	*ret = v;
	return n;
}

static size_t
place_of(const struct top *t, const Dray__AdminWorker *const *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (streq(v[i]->name, t->chosen))
			return i;
	return 0;
}

/* ---- keys */

static void
move(struct top *t, long by)
{
	const Dray__AdminWorker **v;
	size_t n = list_workers(t, &v), at;

	if (v && n > 0) {
		at = place_of(t, v, n);
		if (by < 0)
			at -= MIN2(at, (size_t)-by);
		else
			at = MIN2(at + (size_t)by, n - 1);
		snprintf(t->chosen, sizeof(t->chosen), "%s", v[at]->name);
	}
	free(v);
}

static void
scroll(struct top *t, long by)
{
	if (!t->on_jobs)
		move(t, by);
	else if (by < 0)
		t->first_job -= MIN2(t->first_job, (size_t)-by);
	else
		t->first_job += (size_t)by;
}

static void
type(struct top *t, int key)
{
	size_t n = strlen(t->filter);

	if (key == TOP_ENTER) {
		t->typing = false;
	} else if (key == TOP_ESCAPE) {
		t->typing = false;
		*t->filter = '\0';
	} else if (key == TOP_BACKSPACE) {
		if (n > 0)
			t->filter[n - 1] = '\0';
	} else if (key >= ' ' && key < 0x7f && n + 1 < sizeof(t->filter)) {
		t->filter[n] = (char)key;
		t->filter[n + 1] = '\0';
	}
}

static void
next_sort(struct top *t)
{
	if (t->on_jobs)
		t->job_sort = (t->job_sort + 1) % JOB_SORTS;
	else
		t->worker_sort = (t->worker_sort + 1) % WORKER_SORTS;
}

enum top_wish
top_key(struct top *t, int key)
{
	*t->message = '\0';
	if (t->typing) {
		type(t, key);
		return TOP_NOTHING;
	}
	switch (key) {
	case 'q':
		return TOP_QUIT;
	case 's':
		next_sort(t);
		break;
	case '/':
		t->typing = true;
		break;
	case TOP_ESCAPE:
		*t->filter = '\0';
		break;
	case 'f':
		t->follows = !t->follows;
		return TOP_LOOK;
	case TOP_TAB:
		t->on_jobs = !t->on_jobs;
		break;
	case TOP_UP:
	case 'k':
		scroll(t, -1);
		break;
	case TOP_DOWN:
	case 'j':
		scroll(t, 1);
		break;
	case TOP_PAGE_UP:
		scroll(t, -PAGE);
		break;
	case TOP_PAGE_DOWN:
		scroll(t, PAGE);
		break;
	case 'd':
		return *top_chosen(t) ? TOP_DRAIN : TOP_NOTHING;
	case 'r':
		return *top_chosen(t) ? TOP_RESUME : TOP_NOTHING;
	case ' ':
		return TOP_LOOK;
	default:
		break;
	}
	return TOP_NOTHING;
}

/* The one that is marked on the screen. */
const char *
top_chosen(const struct top *t)
{
	const Dray__AdminWorker **v;
	size_t n = list_workers(t, &v);
	const char *name = v && n > 0 ? v[place_of(t, v, n)]->name : "";

	free(v);
	return name;
}

bool
top_follows(const struct top *t)
{
	return t->follows;
}

uint64_t
top_last_event(const struct top *t)
{
	return t->last_event;
}

/* ---- the screen */

void
top_frame_done(struct top_frame *f)
{
	for (unsigned i = 0; i < f->n; i++)
		free(f->text[i]);
	f->n = 0;
}

struct drawing {
	struct top_frame *frame;
	unsigned width, height;
	bool failed;
};

/* Cuts text where it is wider than the screen. */
static void
cut(char *text, unsigned width)
{
	for (unsigned n = 0; *text; text++) {
		if (((unsigned char)*text & 0xc0) != 0x80 && n++ == width) {
			*text = '\0';
			return;
		}
	}
}

/* Takes text, which is safe. */
static void
put(struct drawing *d, enum top_look look, char *text)
{
	struct top_frame *f = d->frame;

	if (!text || f->n >= d->height || f->n == TOP_LINES_MAX) {
		d->failed |= !text;
		free(text);
		return;
	}
	cut(text, d->width);
	f->text[f->n] = text;
	f->look[f->n++] = look;
}

/* The same of a text that may hold anything. */
static void _printf_(3, 4) draw(struct drawing *d, enum top_look look, const char *fmt, ...)
{
	_cleanup_(freep) char *text = NULL;
	struct buf b = BUF_INIT;
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (r < 0)
		text = NULL;
	if (!text || show_text(&b, text) < 0 || buf_add(&b, "", 1) < 0) {
		buf_done(&b);
		d->failed = true;
		return;
	}
	put(d, look, (char *)b.p);
}

static double
rate(const struct top *t, uint64_t now, uint64_t before)
{
	uint64_t ms = t->now.at_ms - t->before.at_ms;

	return t->before.at_ms == 0 || ms == 0 || now < before
		       ? 0
		       : (double)(now - before) * MS_PER_S / (double)ms;
}

static void
fill_bar(char bar[BAR_WIDTH + 1], uint64_t used, uint64_t all)
{
	unsigned n = all ? (unsigned)((used * BAR_WIDTH + all - 1) / all) : 0;

	for (unsigned i = 0; i < BAR_WIDTH; i++)
		bar[i] = i < n ? '#' : '.';
	bar[BAR_WIDTH] = '\0';
}

static void
draw_title(struct drawing *d, const struct top *t)
{
	const Dray__AdminView *v = t->view;
	char when[SHOW_SIZE], up[SHOW_SIZE];

	show_when(v->at_ms, when);
	show_time(v->up_ms * MS_US, up);
	draw(d, TOP_HEAD, "dray top - %s, up %s, %s%s%s%s%s", v->name, up, when,
		v->shutting_down ? ", shutting down" : "", *t->filter || t->typing ? "  /" : "",
		t->filter, t->typing ? "_" : "");
}

static void
draw_sums(struct drawing *d, const struct top *t)
{
	const Dray__AdminView *v = t->view;
	uint64_t found = v->cache_found, all = found + v->cache_absent;
	uint64_t far = MIN2(v->store_fetched, found);
	char bar[BAR_WIDTH + 1], oldest[SHOW_SIZE], disk[SHOW_SIZE], stores[SHOW_SIZE],
		absent[SHOW_SIZE], bytes[SHOW_SIZE];
	unsigned drained = 0, bad = 0;

	for (size_t i = 0; i < v->n_worker; i++) {
		drained += *v->worker[i]->standing != '\0';
		bad += v->worker[i]->here && !streq(v->worker[i]->trust, "trusted");
	}
	fill_bar(bar, v->used, v->slots);
	show_time(v->queue_oldest_ms * MS_US, oldest);
	draw(d, bad ? TOP_WARN : TOP_PLAIN,
		"workers %u, %u drained, %u not trusted   slots [%s] %u/%u", v->workers, drained,
		bad, bar, v->used, v->slots);
	draw(d, v->queued ? TOP_WARN : TOP_PLAIN,
		"queue %u, oldest %s   jobs %.1f/s, %llu ended, %llu joined others", v->queued,
		oldest, rate(t, t->now.ended, t->before.ended), (unsigned long long)v->ended,
		(unsigned long long)v->twins);
	show_share(found - far, all, disk);
	show_share(far, all, stores);
	show_share(v->cache_absent, all, absent);
	show_bytes((uint64_t)rate(t, t->now.bytes, t->before.bytes), bytes);
	if (v->has_cache)
		draw(d, TOP_PLAIN, "hits: disk %s, stores %s, none %s   %.1f/s, %s/s", disk, stores,
			absent,
			rate(t, t->now.found + t->now.absent, t->before.found + t->before.absent),
			bytes);
	else
		draw(d, TOP_PLAIN, "no shared cache is kept");
}

static enum top_look
look_of(const Dray__AdminWorker *w)
{
	const char *state = words_worker_state(w);

	if (streq(state, "ready") || streq(state, "busy"))
		return TOP_GOOD;
	return streq(state, "shunned") || streq(state, "removed") ? TOP_BAD : TOP_WARN;
}

/* The lines of a grid; the first has its heads. NULL: no memory. The caller frees it. */
static char *
print_grid(const struct grid *g, unsigned width)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	int r;

	if (!f)
		return NULL;
	r = g ? grid_print(g, width, f) : -ENOMEM;
	if (fclose(f) != 0 || r < 0) {
		free(text);
		return NULL;
	}
	return text;
}

static void
add_worker(struct grid *g, const Dray__AdminWorker *w)
{
	char heard[SHOW_SIZE] = "-", memory[SHOW_SIZE] = "-";

	if (w->here)
		show_time(w->heard_ms * MS_US, heard);
	if (w->memory_available)
		show_bytes(w->memory_available, memory);
	grid_add(g, "%s", w->name);
	grid_add(g, "%s", words_worker_state(w));
	grid_add(g, "%u/%u", w->used, w->slots);
	grid_add(g, "%u%%", w->load_percent);
	grid_add(g, "%s", memory);
	grid_add(g, "%llu", (unsigned long long)w->ended);
	grid_add(g, "%llu", (unsigned long long)w->failed);
	grid_add(g, "%s", heard);
}

static void
draw_workers(struct drawing *d, struct top *t, unsigned lines)
{
	static const struct grid_column columns[] = { { "WORKER", false, 8 }, { "STATE", false, 0 },
		{ "SLOTS", true, 0 }, { "LOAD", true, 0 }, { "FREE MEM", true, 0 },
		{ "ENDED", true, 0 }, { "FAILED", true, 0 }, { "HEARD", true, 0 } };
	_cleanup_(grid_freep) struct grid *g = grid_new(columns, ARRAY_LEN(columns));
	const Dray__AdminWorker **v;
	size_t n = list_workers(t, &v), at = v ? place_of(t, v, n) : 0, rows = lines - 1;
	_cleanup_(freep) char *text = NULL;
	char *rest, *line;

	if (at < t->first_worker)
		t->first_worker = at;
	if (at >= t->first_worker + rows)
		t->first_worker = at - rows + 1;
	if (t->first_worker + rows > n)
		t->first_worker = n > rows ? n - rows : 0;
	for (size_t i = t->first_worker; g && v && i < n && i < t->first_worker + rows; i++)
		add_worker(g, v[i]);
	rest = text = v ? print_grid(g, d->width) : NULL;
	d->failed |= !text;
	for (size_t i = 0; text && (line = strsep(&rest, "\n")) && (*line || rest); i++)
		put(d,
			i == 0 ? TOP_STRONG
			: !t->on_jobs && t->first_worker + i - 1 == at
				? TOP_CHOSEN
				: look_of(v[t->first_worker + i - 1]),
			strdup(line));
	free(v);
}

static void
add_job(struct grid *g, const Dray__AdminJob *j)
{
	char key[WORDS_KEY_SIZE], age[SHOW_SIZE] = "-", held[SHOW_SIZE] = "-";

	if (j->age_ms)
		show_time(j->age_ms * MS_US, age);
	if (j->held_ms)
		show_time(j->held_ms * MS_US, held);
	grid_add(g, "%s", held);
	grid_add(g, "%s", age);
	grid_add(g, "%s%s", j->state, j->twin ? "+" : "");
	grid_add(g, "%s", *j->crate ? j->crate : "-");
	grid_add(g, "%s", *j->kind ? j->kind : "-");
	grid_add(g, "%s", *j->worker ? j->worker : "-");
	grid_add(g, "%s", words_who(j->client, j->curve_public, key));
}

static void
draw_jobs(struct drawing *d, struct top *t, unsigned lines)
{
	static const struct grid_column columns[] = { { "IN SLOT", true, 0 }, { "AGE", true, 0 },
		{ "STATE", false, 0 }, { "CRATE", false, 10 }, { "KIND", false, 4 },
		{ "WORKER", false, 8 }, { "CLIENT", false, 8 } };
	_cleanup_(grid_freep) struct grid *g = grid_new(columns, ARRAY_LEN(columns));
	const Dray__AdminJob **v;
	size_t n = list_jobs(t, &v), rows = lines - 1;
	_cleanup_(freep) char *text = NULL;
	char *rest, *line;

	if (t->first_job + rows > n)
		t->first_job = n > rows ? n - rows : 0;
	for (size_t i = t->first_job; g && v && i < n && i < t->first_job + rows; i++)
		add_job(g, v[i]);
	rest = text = v ? print_grid(g, d->width) : NULL;
	d->failed |= !text;
	for (size_t i = 0; text && (line = strsep(&rest, "\n")) && (*line || rest); i++)
		put(d, i == 0 ? TOP_STRONG : TOP_PLAIN, strdup(line));
	free(v);
}

static void
draw_events(struct drawing *d, const struct top *t, unsigned lines)
{
	draw(d, TOP_STRONG, "EVENTS");
	for (unsigned back = lines - 1; back > 0; back--) {
		const char *e =
			t->events[(t->next_event + TOP_EVENTS_KEPT - back) % TOP_EVENTS_KEPT];

		if (e)
			draw(d, TOP_PLAIN, "%s", e);
	}
}

static void
draw_last(struct drawing *d, const struct top *t)
{
	while (d->frame->n + 1 < d->height && !d->failed)
		draw(d, TOP_PLAIN, "%s", "");
	if (*t->message)
		draw(d, TOP_WARN, "%s", t->message);
	else
		draw(d, TOP_HEAD,
			"q quit  s sort (%s)  / filter  d drain  r resume  f %s  Tab %s  arrows",
			t->on_jobs ? job_sorts[t->job_sort] : worker_sorts[t->worker_sort],
			t->follows ? "jobs" : "follow", t->on_jobs ? "workers" : "jobs");
}

int
top_draw(struct top *t, unsigned width, unsigned height, struct top_frame *ret)
{
	struct drawing d = { ret, MIN2(width, (unsigned)TOP_COLUMNS_MAX),
		MIN2(height, (unsigned)TOP_LINES_MAX), false };
	unsigned room = d.height > HEAD_LINES + 2 ? d.height - HEAD_LINES - 2 : 0;
	unsigned upper = MAX2(room / 2, (unsigned)LEAST_LINES);
	const Dray__AdminWorker **v;
	size_t n = list_workers(t, &v);

	free(v);
	ret->n = 0;
	if (!t->view) {
		draw(&d, TOP_HEAD, "dray top");
	} else {
		draw_title(&d, t);
		draw_sums(&d, t);
		draw(&d, TOP_PLAIN, "%s", "");
		/* what few workers leave is for jobs */
		upper = (unsigned)MIN2((size_t)upper, MAX2(n + 1, (size_t)2));
		if (room >= upper)
			draw_workers(&d, t, upper);
		if (room > upper + LEAST_LINES) {
			draw(&d, TOP_PLAIN, "%s", "");
			if (t->follows)
				draw_events(&d, t, room - upper);
			else
				draw_jobs(&d, t, room - upper);
		}
	}
	draw_last(&d, t);
	if (d.failed)
		top_frame_done(ret);
	return d.failed ? -ENOMEM : 0;
}
