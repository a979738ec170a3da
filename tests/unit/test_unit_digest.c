/* What makes two units the same job: every field that a job is laid out from. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/unit_digest.h"

#define LIST 2

static char words[LIST][8] = { "one", "two" };

struct sent {
	Dray__Unit unit;
	Dray__Blob blob[LIST], *blobs[LIST];
	Dray__UnitFile file[LIST], *files[LIST];
	Dray__FileTimes times[LIST];
	Dray__EnvVar var[LIST], *env[LIST];
	uint8_t digest[LIST][DIGEST_SIZE], toolchain[DIGEST_SIZE];
	char *list[LIST];
};

static void
fill(struct sent *s)
{
	memset(s, 0, sizeof(*s));
	dray__unit__init(&s->unit);
	s->unit.toolchain = (ProtobufCBinaryData){ DIGEST_SIZE, s->toolchain };
	for (size_t i = 0; i < LIST; i++) {
		s->list[i] = words[i];
		dray__blob__init(&s->blob[i]);
		dray__unit_file__init(&s->file[i]);
		dray__file_times__init(&s->times[i]);
		dray__env_var__init(&s->var[i]);
		s->digest[i][0] = (uint8_t)i;
		s->blob[i].digest = (ProtobufCBinaryData){ DIGEST_SIZE, s->digest[i] };
		s->blobs[i] = &s->blob[i];
		s->file[i].path = words[i];
		s->file[i].blob = (uint32_t)i;
		s->file[i].times = &s->times[i];
		s->files[i] = &s->file[i];
		s->var[i].name = words[i];
		s->var[i].value = (ProtobufCBinaryData){ 3, (uint8_t *)words[i] };
		s->env[i] = &s->var[i];
	}
	s->unit.sysroot = s->unit.driver = s->unit.cwd = s->unit.out_dir = words[0];
	s->unit.linker = s->unit.crate = words[0];
	s->unit.argv = s->unit.dirs = s->unit.walked = s->unit.withheld = s->unit.withheld_env =
		s->unit.links = s->list;
	s->unit.n_argv = s->unit.n_dirs = s->unit.n_walked = s->unit.n_withheld =
		s->unit.n_withheld_env = s->unit.n_links = LIST;
	s->unit.env = s->env;
	s->unit.blobs = s->blobs;
	s->unit.files = s->files;
	s->unit.n_env = s->unit.n_blobs = s->unit.n_files = LIST;
}

static struct digest
digest_of(const struct sent *s)
{
	struct digest d;

	assert_int_equal(unit_digest(&s->unit, &d), 0);
	return d;
}

static bool
is_as(const struct sent *s, const struct digest *d)
{
	struct digest other = digest_of(s);

	return digest_eq(&other, d);
}

/* Takes what a list ends with, or changes a word, or a number. */
static void
change(struct sent *s, const ProtobufCFieldDescriptor *f)
{
	static Dray__PushedToolchain pushed;
	uint8_t *at = (uint8_t *)&s->unit;

	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		--*(size_t *)(void *)(at + f->quantifier_offset);
	else if (f->type == PROTOBUF_C_TYPE_STRING)
		*(char **)(void *)(at + f->offset) = words[1];
	else if (f->type == PROTOBUF_C_TYPE_MESSAGE)
		*(Dray__PushedToolchain **)(void *)(at + f->offset) = &pushed;
	else if (f->type == PROTOBUF_C_TYPE_BYTES)
		((ProtobufCBinaryData *)(void *)(at + f->offset))->data[0] ^= 1;
	else
		++*(uint32_t *)(void *)(at + f->offset);
}

/* A field that is added to a unit has to be thought about. */
static void
test_each_field(void **state)
{
	const ProtobufCMessageDescriptor *m = &dray__unit__descriptor;
	struct sent s;
	struct digest d;

	(void)state;
	fill(&s);
	d = digest_of(&s);
	for (unsigned i = 0; i < m->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->fields[i];
		struct digest other;

		fill(&s);
		change(&s, f);
		if (strcmp(f->name, "blobs") == 0 || strcmp(f->name, "push") == 0) {
			assert_int_equal(unit_digest(&s.unit, &other), -EINVAL);
			continue;
		}
		if (is_as(&s, &d) != (strcmp(f->name, "withheld_env") == 0))
			fail_msg("%s", f->name);
	}
}

static void
test_inside_of_fields(void **state)
{
	char *moved[] = { words[1], words[0], words[1] };
	struct sent s;
	struct digest d;

	(void)state;
	fill(&s);
	d = digest_of(&s);
	s.digest[1][31] ^= 1;
	assert_false(is_as(&s, &d));
	fill(&s);
	s.blob[0].size++;
	assert_false(is_as(&s, &d));
	fill(&s);
	s.file[1].path = words[0];
	assert_false(is_as(&s, &d));
	fill(&s);
	s.var[1].value.len--;
	assert_false(is_as(&s, &d));
	fill(&s);
	s.times[0].link = true;
	assert_false(is_as(&s, &d));
	fill(&s);
	s.times[0].behind = true;
	assert_false(is_as(&s, &d));
	fill(&s);
	s.file[0].times = NULL;
	assert_false(is_as(&s, &d));
	/* asked for by a macro, if at all */
	fill(&s);
	s.times[0].modified = s.times[0].changed = s.times[0].created = 7;
	s.times[0].mode = s.times[0].uid = s.times[0].gid = 7;
	assert_true(is_as(&s, &d));
	/* a word that moves from one list to the next */
	fill(&s);
	s.unit.n_dirs--;
	s.unit.walked = moved;
	s.unit.n_walked = ARRAY_LEN(moved);
	assert_false(is_as(&s, &d));
}

static void
test_order(void **state)
{
	struct sent s;
	struct digest d;

	(void)state;
	fill(&s);
	d = digest_of(&s);
	s.files[0] = &s.file[1];
	s.files[1] = &s.file[0];
	assert_true(is_as(&s, &d));
	s.blobs[0] = &s.blob[1];
	s.blobs[1] = &s.blob[0];
	s.file[0].blob = 1;
	s.file[1].blob = 0;
	assert_true(is_as(&s, &d));
	s.file[0].blob = 0;
	assert_false(is_as(&s, &d));
	s.list[0] = words[1];
	s.list[1] = words[0];
	s.file[0].blob = 1;
	assert_false(is_as(&s, &d));
}

static void
test_nonsense(void **state)
{
	struct sent s;
	struct digest d;

	(void)state;
	fill(&s);
	s.file[0].blob = LIST;
	assert_int_equal(unit_digest(&s.unit, &d), -EINVAL);
	fill(&s);
	s.blob[0].digest.len--;
	assert_int_equal(unit_digest(&s.unit, &d), -EINVAL);
}

/* Wherever the unit lies, and in any order: what a worker calls it, and each blob. */
static void
test_alike(void **state)
{
	struct digest called = { { 1 } }, other = { { 2 } }, d, e;
	Dray__Blob *first;
	struct sent s;

	(void)state;
	fill(&s);
	assert_int_equal(unit_alike(&s.unit, &called, &d), 0);
	s.unit.cwd = words[1];
	s.unit.n_files--;
	first = s.unit.blobs[0];
	s.unit.blobs[0] = s.unit.blobs[1];
	s.unit.blobs[1] = first;
	assert_int_equal(unit_alike(&s.unit, &called, &e), 0);
	assert_true(digest_eq(&d, &e));
	assert_int_equal(unit_alike(&s.unit, &other, &e), 0);
	assert_false(digest_eq(&d, &e));
	first->digest.data[0] ^= 1;
	assert_int_equal(unit_alike(&s.unit, &called, &e), 0);
	assert_false(digest_eq(&d, &e));
	first->digest.data[0] ^= 1;
	s.unit.n_blobs--;
	assert_int_equal(unit_alike(&s.unit, &called, &e), 0);
	assert_false(digest_eq(&d, &e));
	s.unit.n_blobs++;
	first->digest.len--;
	assert_int_equal(unit_alike(&s.unit, &called, &e), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_field),
		cmocka_unit_test(test_inside_of_fields),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_alike),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
