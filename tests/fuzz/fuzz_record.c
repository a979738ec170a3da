/* inputs_from_record over arbitrary items, whose paths are kept below a directory of ours. What it
 * takes must hold as long as nothing changes. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/inputs.h"
#include "common/fs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[] = "/tmp/dray-fuzz-record-XXXXXX";

static void
remove_dir(void)
{
	fs_rm_rf(dir);
}

static void
must(bool ok)
{
	if (!ok)
		abort();
}

/* Not by a change of directory, which would hide the corpus. */
static const char *
in(const char *name)
{
	static char path[sizeof(dir) + 16];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void
make_dir(void)
{
	must(mkdtemp(dir) && atexit(remove_dir) == 0);
	must(mkdir(in("out"), 0755) == 0 && mkdir(in("src"), 0755) == 0);
	must(mkdir(in("bin"), 0755) == 0);
	must(fs_write_atomic(in("src/a"), "a", 1, 0644) == 0);
	must(fs_write_atomic(in("out/a"), "a", 1, 0644) == 0);
	must(fs_write_atomic(in("bin/a"), "a", 1, 0755) == 0);
	must(symlink("src", in("l")) == 0 && symlink("nowhere", in("n")) == 0);
	must(symlink("out", in("o")) == 0);
}

/* Up to the next NUL byte. */
static const uint8_t *
add_item(const uint8_t *p, const uint8_t *end, struct buf *to)
{
	const uint8_t *nul = memchr(p, '\0', (size_t)(end - p));
	const uint8_t *stop = nul ? nul : end;
	bool path = stop - p > 1 && p[1] == '/';

	if (p < stop)
		must(buf_add(to, p, 1) == 0);
	if (path)
		must(buf_adds(to, dir) == 0);
	for (const uint8_t *s = p + 1; s < stop; s++)
		must(buf_add(to, path && *s == '.' ? (const uint8_t *)"_" : s, 1) == 0);
	if (nul)
		must(buf_add(to, "", 1) == 0);
	return stop + 1;
}

static void
try_record(const struct buf *record, const char *out, bool linked)
{
	char real[sizeof(dir) + 8], given[sizeof(dir) + 8], path[sizeof(dir) + 16],
		libs[sizeof(dir) + 32];
	char *env[] = { path, libs, NULL };
	struct inputs_place place = { .out_dir = given,
		.real_out_dir = real,
		.target_dir = linked ? dir : NULL,
		.real_target_dir = linked ? dir : NULL,
		.envp = env };
	struct strv ignored = STRV_INIT, made = STRV_INIT;
	struct inputs_from from = { .place = &place,
		.ignored_lists = &ignored,
		.cwd = dir,
		.linked = linked,
		.metadata = !linked,
		.started = { INT32_MAX, 0 } };
	struct inputs got = INPUTS_INIT;
	char *why, *differs = NULL;
	int r;

	snprintf(real, sizeof(real), "%s/out", dir);
	snprintf(given, sizeof(given), "%s/%s", dir, out);
	snprintf(path, sizeof(path), "PATH=%s/bin:x", dir);
	snprintf(libs, sizeof(libs), "LD_LIBRARY_PATH=%s/out", dir);
	r = inputs_from_record(&from, record, &got, &made, &why);
	must(r == 0 || r == -EBADMSG || (r == -ENOTSUP && why));
	must(r != 0 || inputs_check(&got, &place, &differs) == 0);
	free(why);
	free(differs);
	inputs_done(&got);
	strv_done(&made);
	strv_done(&ignored);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *p = data + 1, *end = data + size;
	struct buf record = BUF_INIT;

	if (ends_with(dir, "-XXXXXX"))
		make_dir();
	if (size < 2 || size > 65536)
		return 0;
	while (p < end)
		p = add_item(p, end, &record);
	try_record(&record, data[0] & 1 ? "o" : "out", data[0] & 2);
	buf_done(&record);
	return 0;
}
