/* What is kept of admins' acts: workers that are drained or removed, the file of what was done, and
 * the ring of events. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/fs.h"
#include "coordinator/admin/audit.h"
#include "coordinator/admin/events.h"
#include "coordinator/admin/pins.h"
#include "coordinator/admin/standing.h"

#define KEY_A "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
#define KEY_B "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"

static int
setup(void **state)
{
	char *dir = NULL;

	assert_int_equal(fs_make_temp_dir("/tmp", "dray-test-", &dir), 0);
	*state = dir;
	return 0;
}

static int
teardown(void **state)
{
	fs_rm_rf(*state);
	free(*state);
	return 0;
}

/* ---- workers */

static void
test_standings(void **state)
{
	_cleanup_(standings_done) struct standings s = { NULL, 0 }, again = { NULL, 0 };

	assert_int_equal(standings_get(&s, "w1", ""), STANDING_FREE);
	assert_int_equal(standings_set(&s, "w1", KEY_A, STANDING_DRAINED), 0);
	assert_int_equal(standings_set(&s, "w2", "", STANDING_REMOVED), 0);
	assert_int_equal(standings_get(&s, "w1", ""), STANDING_DRAINED);
	assert_int_equal(standings_get(&s, "w2", ""), STANDING_REMOVED);
	assert_int_equal(standings_get(&s, "w3", ""), STANDING_FREE);
	/* under another name */
	assert_int_equal(standings_get(&s, "w3", KEY_A), STANDING_DRAINED);
	assert_int_equal(standings_get(&s, "w3", KEY_B), STANDING_FREE);
	/* no key is none that two have */
	assert_int_equal(standings_get(&s, "w4", ""), STANDING_FREE);
	assert_int_equal(standings_save(*state, &s), 0);
	assert_int_equal(standings_load(*state, &again), 0);
	assert_int_equal(again.n, 2);
	assert_int_equal(standings_get(&again, "w9", KEY_A), STANDING_DRAINED);
	assert_int_equal(standings_set(&s, "w1", KEY_A, STANDING_REMOVED), 0);
	assert_int_equal(s.n, 2);
	assert_int_equal(standings_get(&s, "w1", ""), STANDING_REMOVED);
	assert_int_equal(standings_set(&s, "w9", KEY_A, STANDING_FREE), 0);
	assert_int_equal(s.n, 1);
	assert_string_equal(standing_name(STANDING_REMOVED), "removed");
}

static void
test_standings_wrong(void **state)
{
	static const char *const wrong[] = {
		"drained\n",
		"drained w1\n",
		"drained w1 key\n",
		"drained w1 - more\n",
		"free w1 -\n",
		"drained w/1 -\n",
		"drained  -\n",
		"drained w1 -\nremoved w1 -\n",
		"drained w\033[2J -\n",
		"drained w1 -\nremoved w2 -", /* it is cut */
		"dray-workers 1",
		"dray-pins 1\ndrained w1 -\n",
	};
	struct standings s = { NULL, 0 };
	char name[KEYS_NAME_MAX + 2];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		assert_int_equal(standings_parse(wrong[i], strlen(wrong[i]), &s), -EBADMSG);
		assert_int_equal(s.n, 0);
		assert_null(s.v);
	}
	assert_int_equal(standings_parse("drained w1 -\0", 13, &s), -EBADMSG);
	assert_int_equal(standings_parse("", 0, &s), 0);
	assert_int_equal(standings_parse("dray-workers 1\n", 15, &s), 0);
	assert_int_equal(standings_parse("dray-workers 2\n", 15, &s), -EPROTONOSUPPORT);
	/* as before there was a first line */
	assert_int_equal(standings_parse("drained w1 -\n", 13, &s), 0);
	assert_int_equal(s.n, 1);
	standings_done(&s);
	assert_int_equal(standings_set(&s, "w 1", "", STANDING_DRAINED), -EINVAL);
	assert_int_equal(standings_set(&s, "w1", "key", STANDING_DRAINED), -EINVAL);
	memset(name, 'n', sizeof(name));
	name[KEYS_NAME_MAX + 1] = '\0';
	assert_int_equal(standings_set(&s, name, "", STANDING_DRAINED), -EINVAL);
	for (int i = 0; i < STANDING_MAX; i++) {
		snprintf(name, sizeof(name), "w%d", i);
		assert_int_equal(standings_set(&s, name, "", STANDING_DRAINED), 0);
	}
	assert_int_equal(standings_set(&s, "one-more", "", STANDING_DRAINED), -ENOSPC);
	assert_int_equal(standings_set(&s, "w7", "", STANDING_REMOVED), 0);
	standings_done(&s);
}

static void
test_standings_no_file(void **state)
{
	struct standings s = { NULL, 0 };
	_cleanup_(freep) char *path = path_join(*state, STANDING_FILE);

	assert_int_equal(standings_load(*state, &s), 0);
	assert_int_equal(s.n, 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_true(standings_load(*state, &s) < 0);
	assert_true(standings_save(*state, &s) < 0);
}

/* ---- toolchains */

static struct digest
id_of(unsigned n)
{
	struct digest d = { { 0 } };

	memcpy(d.b, &n, sizeof(n));
	return d;
}

static void
test_pins(void **state)
{
	_cleanup_(pins_done) struct pins p = { NULL, 0 }, again = { NULL, 0 };
	struct digest a = id_of(1), b = id_of(2), c = id_of(3);

	assert_null(pins_find(&p, &a));
	assert_int_equal(pins_add(&p, &a, "1.95.0 rustc x"), 0);
	assert_int_equal(pins_add(&p, &b, ""), 0);
	assert_int_equal(pins_add(&p, &c, "1.96.0 rustc x"), 0);
	/* its first text stays */
	assert_int_equal(pins_add(&p, &a, "another"), 0);
	assert_int_equal(p.n, 3);
	assert_int_equal(pins_save(*state, &p), 0);
	assert_int_equal(pins_load(*state, &again), 0);
	assert_int_equal(again.n, 3);
	assert_string_equal(pins_find(&again, &a)->text, "1.95.0 rustc x");
	assert_string_equal(pins_find(&again, &b)->text, "");
	assert_true(pins_drop(&again, &b));
	assert_false(pins_drop(&again, &b));
	assert_int_equal(again.n, 2);
	assert_string_equal(pins_find(&again, &c)->text, "1.96.0 rustc x");
	assert_true(pins_drop(&again, &c));
	assert_true(pins_drop(&again, &a));
	assert_int_equal(pins_save(*state, &again), 0);
	pins_done(&again);
	assert_int_equal(pins_load(*state, &again), 0);
	assert_int_equal(again.n, 0);
}

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"

static void
test_pins_wrong(void **state)
{
	static const char *const wrong[] = {
		HEX "0\n",
		HEX " 1.95.0\n",
		HEX "00 1.95.0\n",
		HEX "G 1.95.0\n",
		"1.95.0 rustc\n",
		" \n",
		HEX "0 a\n" HEX "0 b\n",
		HEX "0 a\033[2J\n",
		HEX "0 a\tb\n",
		HEX "0 "
		    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n",
	};
	struct pins p = { NULL, 0 };
	struct digest id;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		assert_int_equal(pins_parse(wrong[i], strlen(wrong[i]), &p), -EBADMSG);
		assert_int_equal(p.n, 0);
		assert_null(p.v);
	}
	assert_int_equal(pins_parse(HEX "0 a\0", 67, &p), -EBADMSG);
	assert_int_equal(pins_parse("", 0, &p), 0);
	assert_int_equal(pins_parse("dray-pins 2\n", 12, &p), -EPROTONOSUPPORT);
	assert_int_equal(pins_parse(HEX "0 a", 66, &p), -EBADMSG);
	assert_int_equal(pins_parse(HEX "0 a\n", 67, &p), 0);
	pins_done(&p);
	for (unsigned i = 0; i < PINS_MAX; i++) {
		id = id_of(i);
		assert_int_equal(pins_add(&p, &id, "x"), 0);
	}
	id = id_of(PINS_MAX);
	assert_int_equal(pins_add(&p, &id, "x"), -ENOSPC);
	id = id_of(0);
	assert_int_equal(pins_add(&p, &id, "x"), 0);
	assert_int_equal(pins_add(&p, &id, "\n"), -EINVAL);
	pins_done(&p);
}

static void
test_pins_no_file(void **state)
{
	struct pins p = { NULL, 0 };
	_cleanup_(freep) char *path = path_join(*state, PINS_FILE);

	assert_int_equal(pins_load(*state, &p), 0);
	assert_int_equal(p.n, 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_true(pins_load(*state, &p) < 0);
	assert_true(pins_save(*state, &p) < 0);
}

/* ---- the file */

static json_t *
line_of(struct buf *b, size_t n)
{
	char *rest = (char *)b->p, *line = NULL;
	json_error_t error;
	json_t *o;

	for (size_t i = 0; i <= n; i++)
		line = strsep(&rest, "\n");
	o = json_loads(line, 0, &error);
	assert_non_null(o);
	return o;
}

static void
test_audit(void **state)
{
	_cleanup_(freep) char *path = path_join(*state, AUDIT_REFUSED_FILE);
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	struct audit_line l = { .at_ms = 1796061600123ULL,
		.who = "alice",
		.from = "key x",
		.act = "drain",
		.what = "w1\n\"\033[2J\xff\xc2\x9b",
		.result = AUDIT_DONE,
		.why = "" };
	struct stat st;
	json_t *o;

	assert_int_equal(audit_append(*state, &l), 0);
	l.result = AUDIT_REFUSED;
	l.why = "no";
	assert_int_equal(audit_append(*state, &l), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(fs_read_file(path, 1 << 20, &b), 0);
	for (size_t i = 0; i < b.n; i++)
		assert_true(b.p[i] == '\n' || (b.p[i] >= ' ' && b.p[i] < 0x7f));
	o = line_of(&b, 0);
	assert_string_equal(json_string_value(json_object_get(o, "who")), "alice");
	assert_string_equal(json_string_value(json_object_get(o, "act")), "drain");
	assert_string_equal(json_string_value(json_object_get(o, "result")), "refused");
	assert_string_equal(json_string_value(json_object_get(o, "why")), "no");
	assert_string_equal(
		json_string_value(json_object_get(o, "at")), "2026-11-30T18:00:00.123Z");
	json_decref(o);
	assert_int_equal(audit_append("/proc/none/of/it", &l), -ENOENT);
}

/* It is bounded, and the newest are there. */
static void
test_audit_rotates(void **state)
{
	char why[400], path[512];
	struct audit_line l = { .who = "", .from = "", .act = "", .what = "", .why = why };
	size_t each = sizeof(why) + 100;
	unsigned files = 0;
	off_t all = 0;

	memset(why, 'x', sizeof(why) - 1);
	why[sizeof(why) - 1] = '\0';
	for (size_t i = 0; i < (AUDIT_FILES + 2) * (AUDIT_FILE_MAX / each); i++) {
		l.at_ms = i;
		assert_int_equal(audit_append(*state, &l), 0);
	}
	for (unsigned i = 0; i < AUDIT_FILES + 2; i++) {
		struct stat st;

		snprintf(path, sizeof(path), "%s/%s%s%.0u", (char *)*state, AUDIT_FILE,
			i ? "." : "", i);
		if (stat(path, &st) < 0)
			continue;
		files++;
		all += st.st_size;
	}
	assert_int_equal(files, AUDIT_FILES);
	assert_true(all < (off_t)AUDIT_FILES * (AUDIT_FILE_MAX + 1024));
	assert_true(all > (off_t)(AUDIT_FILES - 1) * AUDIT_FILE_MAX);
}

/* However much is refused, what was done stays. */
static void
test_audit_keeps_acts(void **state)
{
	_cleanup_(freep) char *path = path_join(*state, AUDIT_FILE);
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	char why[400];
	struct audit_line l = { .who = "alice", .from = "", .act = "drain", .what = "", .why = "" };

	assert_int_equal(audit_append(*state, &l), 0);
	memset(why, 'x', sizeof(why) - 1);
	why[sizeof(why) - 1] = '\0';
	l.why = why;
	l.result = AUDIT_REFUSED;
	for (size_t i = 0; i < (AUDIT_FILES + 2) * (AUDIT_FILE_MAX / sizeof(why)); i++)
		assert_int_equal(audit_append(*state, &l), 0);
	assert_int_equal(fs_read_file(path, 1 << 20, &b), 0);
	assert_int_equal(buf_add(&b, "", 1), 0);
	assert_non_null(strstr((char *)b.p, "\"result\":\"done\""));
	assert_null(strstr((char *)b.p, "refused"));
}

/* ---- events */

static void
test_events(void **state)
{
	struct events *e = NULL;
	struct event ev = { .kind = EVENT_PLACED };
	const struct event *at;
	uint64_t lost = 99, after = 0;

	(void)state;
	assert_int_equal(events_new(&e), 0);
	assert_null(events_after(e, 0, &lost));
	assert_int_equal(lost, 0);
	assert_int_equal(events_last(e), 0);
	for (unsigned i = 1; i <= 3; i++) {
		snprintf(ev.text, sizeof(ev.text), "%u", i);
		events_add(e, &ev);
	}
	for (unsigned i = 1; i <= 3; i++) {
		at = events_after(e, after, &lost);
		assert_non_null(at);
		assert_int_equal(at->serial, i);
		assert_int_equal(atoi(at->text), i);
		assert_int_equal(lost, 0);
		after = at->serial;
	}
	assert_null(events_after(e, after, &lost));
	/* of a process before this one */
	assert_int_equal(events_after(e, 1000, &lost)->serial, 1);
	assert_int_equal(events_after(e, UINT64_MAX, &lost)->serial, 1);
	for (unsigned i = 0; i < EVENTS_KEPT; i++)
		events_add(e, &ev);
	at = events_after(e, 1, &lost);
	assert_int_equal(at->serial, 4);
	assert_int_equal(lost, 2);
	assert_int_equal(events_after(e, EVENTS_KEPT + 2, &lost)->serial, EVENTS_KEPT + 3);
	assert_int_equal(lost, 0);
	events_free(e);
	assert_string_equal(event_kind_name(EVENT_ADMIN), "admin");
	assert_string_equal(event_kind_name((enum event_kind)77), "-");
}

#define S(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		S(test_standings),
		cmocka_unit_test(test_standings_wrong),
		S(test_standings_no_file),
		S(test_pins),
		cmocka_unit_test(test_pins_wrong),
		S(test_pins_no_file),
		S(test_audit),
		S(test_audit_rotates),
		S(test_audit_keeps_acts),
		cmocka_unit_test(test_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
